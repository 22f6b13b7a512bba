/** npm `binance`: WebsocketClient for spot and USD-M, MainClient, USDMClient. */
import { MainClient, USDMClient, WebsocketClient } from "binance";
import { asked, callAll, say } from "./lib.mjs";

const { http: baseUrl, ws: wsUrl, mode, symbols } = asked;
const client = new WebsocketClient({ wsUrl, beautify: true, restOptions: { baseUrl, disableTimeSync: true } });
const marketOf = (wsKey) => (wsKey.startsWith("usdm") ? "usdm" : "spot");

client.on("open", ({ wsKey }) => say("open", { market: marketOf(wsKey) }));
client.on("reconnecting", ({ wsKey }) => say("reconnecting", { market: marketOf(wsKey) }));
client.on("reconnected", ({ wsKey }) => say("reconnected", { market: marketOf(wsKey) }));
client.on("response", ({ wsKey, ...reply }) => say("reply", { market: marketOf(wsKey), reply }));
client.on("exception", ({ wsKey, message, error }) => say("exception", { wsKey, message: message ?? error?.message }));
client.on("message", ({ wsKey, ...event }) => {
  const market = marketOf(wsKey ?? event[0]?.wsKey);
  const isArray = event[0] !== undefined;
  say("event", { market, event: isArray ? Object.values(event).filter((one) => typeof one === "object") : event });
});

if (mode === "book") {
  client.subscribe(
    symbols.map((symbol) => `${symbol}@depth@100ms`),
    "main",
  );
  client.subscribe(
    symbols.map((symbol) => `${symbol}@depth@100ms`),
    "usdm",
  );
} else {
  client.on("formattedMessage", (event) => say("formatted", { event: Array.isArray(event) ? event[0] : event }));
  client.subscribe(
    [
      "!ticker_1h@arr",
      "!miniTicker@arr",
      "btcusdt@bookTicker",
      "btcusdt@avgPrice",
      "btcusdt@depth10@100ms",
      "btcusdt@depth",
      "btcusdt@trade",
      "btcusdt@aggTrade",
      "btcusdt@kline_1m",
      "btcusdt@ticker",
    ],
    "main",
  );
  client.subscribe(
    [
      "btcusdt@aggTrade",
      "btcusdt@markPrice",
      "!miniTicker@arr",
      "btcusdt@kline_1m",
      "btcusdt@ticker",
      "btcusdt@depth@100ms",
      "btcusdt@bookTicker",
    ],
    "usdm",
  );
  const symbol = "BTCUSDT";
  const main = new MainClient({ baseUrl, disableTimeSync: true });
  await callAll("spot", {
    ping: () => main.testConnectivity(),
    exchangeInfo: () => main.getExchangeInfo(),
    depth: () => main.getOrderBook({ symbol, limit: 100 }),
    trades: () => main.getRecentTrades({ symbol, limit: 50 }),
    aggTrades: () => main.getAggregateTrades({ symbol, limit: 50 }),
    klines: () => main.getKlines({ symbol, interval: "1m", limit: 5 }),
    avgPrice: () => main.getAvgPrice({ symbol }),
    ticker24hr: () => main.get24hrChangeStatistics({ symbol }),
    tickerPrice: () => main.getSymbolPriceTicker({ symbol }),
    bookTicker: () => main.getSymbolOrderBookTicker({ symbol }),
    unknownSymbol: () => main.getOrderBook({ symbol: "NOSUCH" }),
  });
  const usdm = new USDMClient({ baseUrl, disableTimeSync: true });
  await callAll("usdm", {
    ping: () => usdm.testConnectivity(),
    exchangeInfo: () => usdm.getExchangeInfo(),
    depth: () => usdm.getOrderBook({ symbol, limit: 100 }),
    trades: () => usdm.getRecentTrades({ symbol, limit: 50 }),
    aggTrades: () => usdm.getAggregateTrades({ symbol, limit: 50 }),
    klines: () => usdm.getKlines({ symbol, interval: "1m", limit: 5 }),
    ticker24hr: () => usdm.get24hrChangeStatistics({ symbol }),
    tickerPrice: () => usdm.getSymbolPriceTicker({ symbol }),
    bookTicker: () => usdm.getSymbolOrderBookTicker({ symbol }),
    premiumIndex: () => usdm.getMarkPrice({ symbol }),
  });
}
