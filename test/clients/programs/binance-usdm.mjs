/** npm `@binance/derivatives-trading-usds-futures`: streams and REST. */
import { DerivativesTradingUsdsFutures } from "@binance/derivatives-trading-usds-futures";
import { asked, callAll, say } from "./lib.mjs";

const { http, ws, mode, symbols } = asked;
const client = new DerivativesTradingUsdsFutures({
  configurationRestAPI: { apiKey: "key", apiSecret: "secret", basePath: http },
  configurationWebsocketStreams: { wsURL: ws },
});

const connection = await client.websocketStreams.connect();
connection.on("open", () => say("open"));
connection.on("close", () => say("close"));
connection.on("error", (error) => say("exception", { message: String(error?.message ?? error) }));

const hear = (stream) => stream.on("message", (event) => say("event", { market: "usdm", event }));

if (mode === "book") {
  for (const symbol of symbols) hear(connection.diffBookDepthStreams({ symbol, updateSpeed: "100ms" }));
} else {
  const symbol = "btcusdt";
  hear(connection.aggregateTradeStreams({ symbol }));
  hear(connection.markPriceStream({ symbol, updateSpeed: "1s" }));
  hear(connection.klineCandlestickStreams({ symbol, interval: "1m" }));
  hear(connection.individualSymbolTickerStreams({ symbol }));
  hear(connection.individualSymbolMiniTickerStream({ symbol }));
  hear(connection.allMarketMiniTickersStream());
  hear(connection.individualSymbolBookTickerStreams({ symbol }));
  hear(connection.diffBookDepthStreams({ symbol, updateSpeed: "100ms" }));
  hear(
    connection.continuousContractKlineCandlestickStreams({ pair: symbol, contractType: "perpetual", interval: "1m" }),
  );
  await callAll("usdm", {
    ping: () => client.restAPI.testConnectivity().then((reply) => reply.data()),
    exchangeInfo: () => client.restAPI.exchangeInformation().then((reply) => reply.data()),
    depth: () => client.restAPI.orderBook({ symbol: "BTCUSDT", limit: 100 }).then((reply) => reply.data()),
    trades: () => client.restAPI.recentTradesList({ symbol: "BTCUSDT", limit: 50 }).then((reply) => reply.data()),
    aggTrades: () =>
      client.restAPI.compressedAggregateTradesList({ symbol: "BTCUSDT", limit: 50 }).then((reply) => reply.data()),
    klines: () =>
      client.restAPI
        .klineCandlestickData({ symbol: "BTCUSDT", interval: "1m", limit: 5 })
        .then((reply) => reply.data()),
    ticker24hr: () =>
      client.restAPI.ticker24hrPriceChangeStatistics({ symbol: "BTCUSDT" }).then((reply) => reply.data()),
    tickerPrice: () => client.restAPI.symbolPriceTicker({ symbol: "BTCUSDT" }).then((reply) => reply.data()),
    bookTicker: () => client.restAPI.symbolOrderBookTicker({ symbol: "BTCUSDT" }).then((reply) => reply.data()),
    premiumIndex: () => client.restAPI.markPrice({ symbol: "BTCUSDT" }).then((reply) => reply.data()),
  });
}
