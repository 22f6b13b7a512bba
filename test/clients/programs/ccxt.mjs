/** npm `ccxt` (pro): the book of `binance` or `binanceusdm`, in the catch-and-retry loop its manual shows. */
import ccxt from "ccxt";
import { asked, say } from "./lib.mjs";

const { http, ws, symbols } = asked;
const MARKETS = { spot: "BTC/USDT", usdm: "BTC/USDT:USDT" };

for (const market of Object.keys(MARKETS)) {
  const options = { fetchMarkets: { types: [market === "spot" ? "spot" : "linear"] }, fetchCurrencies: false };
  const exchange = new ccxt.pro[market === "spot" ? "binance" : "binanceusdm"]({ options });
  // Cut every few seconds, its own delay before it dials again would grow to a minute: little would be left to test.
  exchange.options.ws = { ...exchange.options.ws, backoff: { max: 2000 } };
  await exchange.loadHttpProxyAgent();
  const { api } = exchange.urls;
  api.public = api.private = `${http}/api/v3`;
  api.fapiPublic = api.fapiPrivate = `${http}/fapi/v1`;
  api.fapiPublicV2 = api.fapiPrivateV2 = `${http}/fapi/v2`;
  api.ws.spot = `${ws}/stream-spot/ws`;
  api.ws.future = `${ws}/ws`;
  await exchange.loadMarkets();
  for (const symbol of symbols) follow(exchange, market, symbol);
}

async function follow(exchange, market, symbol) {
  const name = MARKETS[market].replace("BTC", symbol.slice(0, -4).toUpperCase());
  for (;;) {
    try {
      const { nonce, bids, asks } = await exchange.watchOrderBook(name);
      say("book", { market, symbol, id: nonce, bids, asks });
    } catch (error) {
      say("exception", { market, symbol, name: error.constructor.name, message: error.message });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
