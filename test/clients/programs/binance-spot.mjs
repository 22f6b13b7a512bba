/** npm `@binance/spot`: streams and REST. */
import { Spot } from "@binance/spot";
import { asked, callAll, say } from "./lib.mjs";

const { http, ws, mode, symbols } = asked;
const client = new Spot({
  configurationRestAPI: { apiKey: "key", apiSecret: "secret", basePath: http },
  configurationWebsocketStreams: { wsURL: ws },
});

const connection = await client.websocketStreams.connect();
connection.on("open", () => say("open"));
connection.on("close", () => say("close"));
connection.on("error", (error) => say("exception", { message: String(error?.message ?? error) }));

/** No more than five messages a second reach the server: it has this second's when their last stream is heard. */
const nextSecond = async (last) => {
  await new Promise((resolve) => last.on("message", resolve));
  await new Promise((resolve) => setTimeout(resolve, 1100));
};

const hear = (stream) => {
  stream.on("message", (event) => say("event", { market: "spot", event }));
  return stream;
};

if (mode === "book") {
  for (const symbol of symbols) hear(connection.diffBookDepth({ symbol, updateSpeed: "100ms" }));
} else {
  const symbol = "btcusdt";
  hear(connection.aggTrade({ symbol }));
  const trades = hear(connection.trade({ symbol }));
  hear(connection.kline({ symbol, interval: "1m" }));
  const tops = hear(connection.bookTicker({ symbol }));
  await callAll("spot", {
    ping: () => client.restAPI.ping().then((reply) => reply.data()),
    exchangeInfo: () => client.restAPI.exchangeInfo({ symbol: "BNBUSDT" }).then((reply) => reply.data()),
    depth: () => client.restAPI.depth({ symbol: "BTCUSDT", limit: 100 }).then((reply) => reply.data()),
    trades: () => client.restAPI.getTrades({ symbol: "BTCUSDT", limit: 50 }).then((reply) => reply.data()),
    aggTrades: () => client.restAPI.aggTrades({ symbol: "BTCUSDT", limit: 50 }).then((reply) => reply.data()),
    klines: () => client.restAPI.klines({ symbol: "BTCUSDT", interval: "1m", limit: 5 }).then((reply) => reply.data()),
    avgPrice: () => client.restAPI.avgPrice({ symbol: "BTCUSDT" }).then((reply) => reply.data()),
    ticker24hr: () => client.restAPI.ticker24hr({ symbol: "BTCUSDT" }).then((reply) => reply.data()),
    tickerPrice: () => client.restAPI.tickerPrice({ symbol: "BTCUSDT" }).then((reply) => reply.data()),
    bookTicker: () => client.restAPI.tickerBookTicker({ symbol: "BTCUSDT" }).then((reply) => reply.data()),
    unknownSymbol: () => client.restAPI.depth({ symbol: "NOSUCH" }).then((reply) => reply.data()),
  });
  await nextSecond(tops);
  hear(connection.miniTicker({ symbol }));
  hear(connection.ticker({ symbol }));
  hear(connection.partialBookDepth({ symbol, levels: "10", updateSpeed: "100ms" }));
  const depths = hear(connection.diffBookDepth({ symbol, updateSpeed: "100ms" }));
  await nextSecond(depths);
  hear(connection.avgPrice({ symbol }));
  hear(connection.rollingWindowTicker({ symbol, windowSize: "1h" }));
  hear(connection.allMiniTicker());
  trades.unsubscribe();
  say("unsubscribed");
}
