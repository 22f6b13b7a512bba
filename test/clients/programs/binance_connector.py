"""PyPI `binance-connector`: SpotWebsocketStreamClient and Spot (REST). It does not dial again by itself: we do."""
import json
import threading
import time

from binance.error import ClientError
from binance.spot import Spot
from binance.websocket.spot.websocket_stream import SpotWebsocketStreamClient

from lib import asked, say


heard = set()
heard_more = threading.Condition()


def on_message(_, text):
    message = json.loads(text)
    if "stream" in message:
        with heard_more:
            heard.add(message["stream"])
            heard_more.notify_all()
        say("event", market="spot", event=message["data"], stream=message["stream"])
    else:
        say("reply", market="spot", reply=message)


def books():
    ended = threading.Event()

    def on_end(_, error=None):
        say("exception", message=repr(error))
        ended.set()

    while True:
        ended.clear()
        try:
            client = SpotWebsocketStreamClient(
                stream_url=asked["ws"], on_message=on_message, on_close=on_end, on_error=on_end, is_combined=True
            )
            client.subscribe([f"{symbol}@depth@100ms" for symbol in asked["symbols"]])
        except Exception as error:  # the proxy cut it during the handshake
            on_end(None, error)
        ended.wait()
        time.sleep(0.1)


def rest():
    symbol = "BTCUSDT"
    client = Spot(base_url=asked["http"])
    calls = {
        "ping": lambda: client.ping(),
        "time": lambda: client.time(),
        "exchangeInfo": lambda: client.exchange_info(symbol=symbol),
        "depth": lambda: client.depth(symbol, limit=100),
        "trades": lambda: client.trades(symbol, limit=50),
        "aggTrades": lambda: client.agg_trades(symbol, limit=50),
        "klines": lambda: client.klines(symbol, "1m", limit=5),
        "avgPrice": lambda: client.avg_price(symbol),
        "ticker24hr": lambda: client.ticker_24hr(symbol),
        "tickerPrice": lambda: client.ticker_price(symbol),
        "bookTicker": lambda: client.book_ticker(symbol),
        "unknownSymbol": lambda: client.depth("NOSUCH"),
    }
    for call, run in calls.items():
        try:
            say("rest", market="spot", call=call, result=run())
        except ClientError as error:
            say("rest", market="spot", call=call, error=error.error_message, code=error.error_code)


def next_second(last):
    """No more than five messages a second reach the server: it has this second's when their last stream is heard."""
    with heard_more:
        heard_more.wait_for(lambda: last in heard)
    time.sleep(1.1)


def readme():
    client = SpotWebsocketStreamClient(stream_url=asked["ws"], on_message=on_message, is_combined=True)
    client.agg_trade(symbol="btcusdt")
    client.trade(symbol="btcusdt")
    client.kline(symbol="btcusdt", interval="1m")
    client.book_ticker(symbol="btcusdt")
    rest()
    next_second("btcusdt@bookTicker")
    client.mini_ticker(symbol="btcusdt")
    client.ticker(symbol="btcusdt")
    client.partial_book_depth(symbol="btcusdt", level=10, speed=100)
    client.diff_book_depth(symbol="btcusdt", speed=100)
    next_second("btcusdt@depth@100ms")
    client.trade(symbol="btcusdt", action=SpotWebsocketStreamClient.ACTION_UNSUBSCRIBE)
    client.rolling_window_ticker(symbol="btcusdt", windowSize="1h")
    client.subscribe(["btcusdt@avgPrice"])
    client.mini_ticker()
    next_second("!miniTicker@arr")
    client.list_subscribe()
    threading.Event().wait()


books() if asked["mode"] == "book" else readme()
