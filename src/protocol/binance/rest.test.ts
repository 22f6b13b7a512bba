import { expect, test } from "bun:test";
import type { InstrumentSpec } from "../../channel/registry.ts";
import { InstrumentRegistry } from "../../channel/registry.ts";
import { createBinanceRest, type DepthReply } from "./mod.ts";

const BTC: InstrumentSpec = {
  market: "spot",
  spelling: "BTC/USDT",
  base: "BTC",
  quote: "USDT",
  tick: "0.01",
  lot: "0.000000001",
  status: "trading",
};
const ETH: InstrumentSpec = { ...BTC, spelling: "ETH/USDT", base: "eth", lot: "0.0001", status: "halt" };

const clock = { wallUs: () => 1795321303824123, monotonicMs: () => 0, after: () => ({ cancel() {} }) };

function setUp(depth?: (channel: string, limit: number) => Promise<DepthReply>, pendingMax?: number) {
  const asked: [string, number][] = [];
  const instruments = new InstrumentRegistry();
  for (const spec of [BTC, ETH, { ...BTC, market: "usdm", spelling: "SOLUSDT" }]) instruments.add(spec);
  const rest = createBinanceRest({
    instruments,
    depth(channel, limit) {
      asked.push([channel, limit]);
      return depth === undefined
        ? Promise.resolve({ lastUpdateId: 160, bids: [["2750.83", "3.10"]], asks: [], time: 1 })
        : depth(channel, limit);
    },
    clock,
    ...(pendingMax === undefined ? {} : { pendingMax }),
  });
  const get = async (path: string, query = "") => {
    const { status, body } = await rest.handle(path, query);
    return { status, body: JSON.parse(body) };
  };
  return { rest, get, asked, instruments };
}

test("binance rest - ping and time", async () => {
  const { rest } = setUp();
  expect(await rest.handle("/api/v3/ping", "")).toMatchObject({ status: 200, body: "{}" });
  expect(await rest.handle("/api/v3/time", "?x=1")).toMatchObject({
    status: 200,
    body: '{"serverTime":1795321303824}',
  });
});

test("binance rest - depth is Binance's object, byte for byte", async () => {
  const { rest, asked } = setUp();
  expect(await rest.handle("/api/v3/depth", "?symbol=BTCUSDT&limit=1000")).toMatchObject({
    status: 200,
    body: '{"lastUpdateId":160,"bids":[["2750.83","3.10"]],"asks":[]}',
    headers: { "content-type": "application/json;charset=UTF-8" },
  });
  await rest.handle("/api/v3/depth", "symbol=ETHUSDT");
  await rest.handle("/api/v3/depth", "symbol=ETHUSDT&limit=99999");
  expect(asked).toEqual([
    ["btcusdt@depth", 1000],
    ["ethusdt@depth", 100],
    ["ethusdt@depth", 5000],
  ]);
});

const MANDATORY = "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.";
const bad: readonly (readonly [path: string, query: string, status: number, code: number, msg: string])[] = [
  ["/api/v3/depth", "", 400, -1102, MANDATORY],
  ["/api/v3/depth", "limit=5", 400, -1102, MANDATORY],
  ["/api/v3/depth", "symbol=", 400, -1105, "Parameter 'symbol' was empty."],
  ["/api/v3/depth", "symbol=SOLUSDT", 400, -1121, "Invalid symbol."],
  ["/api/v3/depth", "symbol=NOSUCH", 400, -1121, "Invalid symbol."],
  ["/api/v3/depth", "symbol=__PROTO__", 400, -1121, "Invalid symbol."],
  [
    "/api/v3/depth",
    "symbol=btcusdt",
    400,
    -1100,
    "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'.",
  ],
  ["/api/v3/depth", "symbol=BTCUSDT&limit=", 400, -1105, "Parameter 'limit' was empty."],
  [
    "/api/v3/depth",
    "symbol=BTCUSDT&limit=-5",
    400,
    -1100,
    "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.",
  ],
  [
    "/api/v3/depth",
    "symbol=BTCUSDT&limit=ten",
    400,
    -1100,
    "Illegal characters found in parameter 'limit'; legal range is '^[0-9]{1,20}$'.",
  ],
  ["/api/v3/depth", "symbol=BTCUSDT&limit=0", 400, -1130, "Data sent for parameter 'limit' is not valid."],
  ["/api/v3/exchangeInfo", "symbol=NOSUCH", 400, -1121, "Invalid symbol."],
  ["/api/v3/exchangeInfo", "symbol=", 400, -1105, "Parameter 'symbol' was empty."],
  [
    "/api/v3/exchangeInfo",
    'symbol=BTCUSDT&symbols=["BTCUSDT"]',
    400,
    -1128,
    "Combination of optional parameters invalid.",
  ],
  ["/api/v3/exchangeInfo", 'symbols=["BTCUSDT","NOSUCH"]', 400, -1121, "Invalid symbol."],
  ["/api/v3/nothing", "", 404, -1000, "Path /api/v3/nothing is not served here"],
];

for (const [path, query, status, code, msg] of bad) {
  test(`binance rest - ${path}?${query} is ${status} ${code}`, async () => {
    const { get, asked } = setUp();
    expect(await get(path, query)).toEqual({ status, body: { code, msg } });
    expect(asked).toEqual([]);
  });
}

test("binance rest - symbols that is no list of symbols", async () => {
  const { get } = setUp();
  for (const symbols of ["BTCUSDT", "[]", "[1]", '["btcusdt"]', '{"a":1}', '["BTCUSDT"']) {
    expect(await get("/api/v3/exchangeInfo", `symbols=${symbols}`)).toMatchObject({
      status: 400,
      body: { code: -1100 },
    });
  }
});

test("binance rest - a book that is not there now is 503, and so is a port that fails", async () => {
  const body = { code: -1001, msg: "Internal error; unable to process your request. Please try again." };
  const none = setUp(() => Promise.resolve({ unavailable: true }));
  expect(await none.get("/api/v3/depth", "symbol=BTCUSDT")).toEqual({ status: 503, body });
  const broken = setUp(() => Promise.reject(new Error("no")));
  expect(await broken.get("/api/v3/depth", "symbol=BTCUSDT")).toEqual({ status: 503, body });
});

test("binance rest - depth requests over the limit are refused with 429 until others are answered", async () => {
  const { promise, resolve } = Promise.withResolvers<DepthReply>();
  const { get, rest } = setUp(() => promise, 2);
  const waiting = [get("/api/v3/depth", "symbol=BTCUSDT"), get("/api/v3/depth", "symbol=BTCUSDT")];
  const over = await rest.handle("/api/v3/depth", "symbol=BTCUSDT");
  expect(over).toMatchObject({ status: 429, headers: { "retry-after": "1" } });
  expect(JSON.parse(over.body).code).toBe(-1003);
  resolve({ lastUpdateId: 1, bids: [], asks: [], time: 1 });
  expect((await Promise.all(waiting)).map((reply) => reply.status)).toEqual([200, 200]);
  expect((await get("/api/v3/depth", "symbol=BTCUSDT")).status).toBe(200);
});

test("binance rest - exchangeInfo: true steps, and what clients need of a symbol", async () => {
  const { get } = setUp();
  const { status, body } = await get("/api/v3/exchangeInfo", "permissions=SPOT");
  expect(status).toBe(200);
  expect(Object.keys(body)).toEqual(["timezone", "serverTime", "rateLimits", "exchangeFilters", "symbols"]);
  expect(body.symbols).toHaveLength(2);
  expect(body.symbols[0]).toMatchObject({
    symbol: "BTCUSDT",
    status: "TRADING",
    baseAsset: "BTC",
    baseAssetPrecision: 9,
    quoteAsset: "USDT",
    quotePrecision: 8,
    isSpotTradingAllowed: true,
  });
  const filters = Object.fromEntries(
    body.symbols[0].filters.map((filter: { filterType: string }) => [filter.filterType, filter]),
  );
  expect(filters.PRICE_FILTER).toMatchObject({ minPrice: "0.01", tickSize: "0.01" });
  expect(filters.LOT_SIZE).toMatchObject({ minQty: "0.000000001", stepSize: "0.000000001" });
  expect(body.symbols[1]).toMatchObject({ symbol: "ETHUSDT", status: "HALT", baseAsset: "ETH", baseAssetPrecision: 8 });
});

test("binance rest - exchangeInfo of some symbols, and anew when the instruments changed", async () => {
  const { get, instruments } = setUp();
  const names = async (query: string) =>
    (await get("/api/v3/exchangeInfo", query)).body.symbols.map((symbol: { symbol: string }) => symbol.symbol);
  expect(await names("symbol=ETHUSDT")).toEqual(["ETHUSDT"]);
  expect(await names('symbols=["ETHUSDT","BTCUSDT","ETHUSDT"]')).toEqual(["ETHUSDT", "BTCUSDT"]);
  expect(await names(`symbols=${encodeURIComponent('["BTCUSDT"]')}`)).toEqual(["BTCUSDT"]);
  expect(await names("")).toEqual(["BTCUSDT", "ETHUSDT"]);
  instruments.add({ ...BTC, spelling: "XRP/USDT" });
  expect(await names("")).toEqual(["BTCUSDT", "ETHUSDT", "XRPUSDT"]);
  instruments.update("spot", "xrpusdt", { tick: "0.0001" });
  expect((await get("/api/v3/exchangeInfo", "")).body.symbols[2].filters[0].tickSize).toBe("0.0001");
});
