"""PyPI `python-binance`: AsyncClient, BinanceSocketManager, DepthCacheManager, ThreadedWebsocketManager's streams."""
import asyncio

from binance import AsyncClient, BinanceSocketManager, DepthCacheManager
from binance.exceptions import BinanceAPIException

from websockets.exceptions import WebSocketException

from lib import asked, say

AsyncClient.API_URL = asked["http"] + "/api"
AsyncClient.FUTURES_URL = asked["http"] + "/fapi"
BinanceSocketManager.STREAM_URL = asked["ws"] + "/"
BinanceSocketManager.FSTREAM_URL = asked["ws"] + "/"


class WatchedClient(AsyncClient):
    """Says the id of every snapshot of a book, as a proxy in front of the REST side could."""

    snapshot_ids: dict = {}

    async def get_order_book(self, **params):
        book = await super().get_order_book(**params)
        self.snapshot_ids[params["symbol"]] = book["lastUpdateId"]
        return book


async def books(client):
    manager = BinanceSocketManager(client)

    async def follow(symbol):
        name = symbol.upper()
        while True:
            cache_manager = DepthCacheManager(client, name, bm=manager, limit=1000, ws_interval=100)
            async with cache_manager as cache:
                while True:
                    depth = await cache.recv()
                    if isinstance(depth, dict):
                        say("exception", market="spot", symbol=symbol, message=str(depth))
                        if depth["type"] not in ("ConnectionClosedError", "ConnectionClosedOK", "BinanceWebsocketClosed"):
                            break
                        continue
                    say(
                        "book",
                        market="spot",
                        symbol=symbol,
                        id=cache_manager._last_update_id,
                        snapshot=client.snapshot_ids[name],
                        bids=depth.get_bids(),
                        asks=depth.get_asks(),
                    )

    async def follow_on(symbol):
        # A first connection that does not come about is an exception: its user tries again.
        while True:
            try:
                await follow(symbol)
            except (OSError, WebSocketException, asyncio.TimeoutError) as error:
                say("exception", market="spot", symbol=symbol, message=repr(error))
                await asyncio.sleep(0.5)

    await asyncio.gather(*(follow_on(symbol) for symbol in asked["symbols"]))


async def rest(market, calls):
    for call, run in calls.items():
        try:
            say("rest", market=market, call=call, result=await run())
        except BinanceAPIException as error:
            say("rest", market=market, call=call, error=error.message, code=error.code)


async def readme(client):
    symbol = "BTCUSDT"
    await rest(
        "spot",
        {
            "exchangeInfo": lambda: client.get_exchange_info(),
            "depth": lambda: client.get_order_book(symbol=symbol, limit=100),
            "trades": lambda: client.get_recent_trades(symbol=symbol, limit=50),
            "aggTrades": lambda: client.get_aggregate_trades(symbol=symbol, limit=50),
            "klines": lambda: client.get_klines(symbol=symbol, interval=AsyncClient.KLINE_INTERVAL_1MINUTE, limit=5),
            "avgPrice": lambda: client.get_avg_price(symbol=symbol),
            "ticker24hr": lambda: client.get_ticker(symbol=symbol),
            "tickerPrice": lambda: client.get_symbol_ticker(symbol=symbol),
            "bookTicker": lambda: client.get_orderbook_ticker(symbol=symbol),
            "unknownSymbol": lambda: client.get_order_book(symbol="NOSUCH"),
        },
    )
    await rest(
        "usdm",
        {
            "exchangeInfo": lambda: client.futures_exchange_info(),
            "depth": lambda: client.futures_order_book(symbol=symbol, limit=100),
            "trades": lambda: client.futures_recent_trades(symbol=symbol, limit=50),
            "aggTrades": lambda: client.futures_aggregate_trades(symbol=symbol, limit=50),
            "klines": lambda: client.futures_klines(symbol=symbol, interval="1m", limit=5),
            "ticker24hr": lambda: client.futures_ticker(symbol=symbol),
            "tickerPrice": lambda: client.futures_symbol_ticker(symbol=symbol),
            "bookTicker": lambda: client.futures_orderbook_ticker(symbol=symbol),
            "premiumIndex": lambda: client.futures_mark_price(symbol=symbol),
        },
    )
    manager = BinanceSocketManager(client)

    async def hear(market, socket):
        async with socket as stream:
            while True:
                message = await stream.recv()
                say("event", market=market, event=message.get("data", message) if isinstance(message, dict) else message)

    async def cache():
        async with DepthCacheManager(client, symbol=symbol, bm=manager) as cache_manager:
            while True:
                depth = await cache_manager.recv()
                say(
                    "cache",
                    id=cache_manager._last_update_id,
                    snapshot=client.snapshot_ids[symbol],
                    bids=depth.get_bids()[:5],
                    asks=depth.get_asks()[:5],
                )

    await asyncio.gather(
        hear("spot", manager.trade_socket(symbol)),
        hear("spot", manager.aggtrade_socket(symbol)),
        hear("spot", manager.kline_socket(symbol, interval=AsyncClient.KLINE_INTERVAL_1MINUTE)),
        hear("spot", manager.symbol_miniticker_socket(symbol)),
        hear("spot", manager.symbol_ticker_socket(symbol)),
        hear("spot", manager.symbol_book_ticker_socket(symbol)),
        hear("spot", manager.depth_socket(symbol, depth=BinanceSocketManager.WEBSOCKET_DEPTH_10, interval=100)),
        hear("spot", manager.miniticker_socket()),
        hear("spot", manager.multiplex_socket(["btcusdt@depth@100ms", "btcusdt@avgPrice"])),
        hear("usdm", manager.futures_multiplex_socket(["btcusdt@aggTrade", "btcusdt@kline_1m"])),
        hear("usdm", manager.symbol_mark_price_socket(symbol)),
        hear("usdm", manager.futures_depth_socket(symbol)),
        cache(),
    )


async def main():
    client = await WatchedClient.create()
    await (books(client) if asked["mode"] == "book" else readme(client))


asyncio.run(main())
