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
    kept: () => Promise.resolve(null),
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
  const time = { status: 200, body: '{"serverTime":1795321303824}' };
  expect(await rest.handle("/api/v3/time", "?")).toMatchObject(time);
  expect(await rest.handle("/fapi/v1/time", "")).toMatchObject(time);
  expect(await rest.handle("/fapi/v1/ping", "?x=1")).toMatchObject({ status: 200, body: "{}" });
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

const ILLEGAL_NUMBER = "'; legal range is '^[0-9]{1,20}$'.";
const illegal = (name: string): string => `Illegal characters found in parameter '${name}${ILLEGAL_NUMBER}`;
const notValid = (name: string): string => `Data sent for parameter '${name}' is not valid.`;
const wrong: readonly (readonly [path: string, query: string, code: number, msg: string])[] = [
  ["/api/v3/ping", "x=1", -1101, "Too many parameters; expected '0' and received '1'."],
  ["/api/v3/time", "x=1&y=2", -1101, "Too many parameters; expected '0' and received '2'."],
  ["/api/v3/depth", "symbol=BTCUSDT&symbol=ETHUSDT", -1101, "Duplicate values for a parameter detected."],
  [
    "/api/v3/depth",
    "symbol=BTCUSDT&foo=1",
    -1104,
    "Not all sent parameters were read; read '1' parameter(s) but was sent '2'.",
  ],
  [
    "/api/v3/exchangeInfo",
    "symbol=BTCUSDT&x=&y=1",
    -1104,
    "Not all sent parameters were read; read '1' parameter(s) but was sent '3'.",
  ],
  ...["trades", "historicalTrades", "aggTrades"].flatMap((name): [string, string, number, string][] => [
    [`/api/v3/${name}`, "", -1102, MANDATORY],
    [`/api/v3/${name}`, "symbol=NOSUCH", -1121, "Invalid symbol."],
    [`/api/v3/${name}`, "symbol=BTCUSDT&limit=x", -1100, illegal("limit")],
    [`/api/v3/${name}`, "symbol=BTCUSDT&limit=0", -1130, notValid("limit")],
    [`/fapi/v1/${name}`, "symbol=SOLUSDT&limit=1001", -1130, notValid("limit")],
  ]),
  ["/api/v3/historicalTrades", "symbol=BTCUSDT&fromId=x", -1100, illegal("fromId")],
  ["/api/v3/aggTrades", "symbol=BTCUSDT&startTime=-1", -1100, illegal("startTime")],
  ["/api/v3/aggTrades", "symbol=BTCUSDT&fromId=1&startTime=5", -1128, "Combination of optional parameters invalid."],
  ["/fapi/v1/aggTrades", "symbol=SOLUSDT&startTime=5&endTime=4", -1023, "Start time is greater than end time."],
  [
    "/fapi/v1/aggTrades",
    "symbol=SOLUSDT&startTime=0&endTime=3600001",
    -1127,
    "More than 1 hours between startTime and endTime.",
  ],
  ["/api/v3/klines", "symbol=BTCUSDT", -1102, MANDATORY.replace("symbol", "interval")],
  ["/api/v3/klines", "symbol=BTCUSDT&interval=7m", -1120, "Invalid interval."],
  ["/api/v3/uiKlines", "symbol=BTCUSDT&interval=1y", -1120, "Invalid interval."],
  ["/fapi/v1/klines", "symbol=SOLUSDT&interval=1s", -1120, "Invalid interval."],
  ["/fapi/v1/klines", "symbol=SOLUSDT&interval=1m&limit=1501", -1130, notValid("limit")],
  [
    "/fapi/v1/klines",
    "symbol=SOLUSDT&interval=1m&startTime=2&endTime=1",
    -1023,
    "Start time is greater than end time.",
  ],
  ["/api/v3/klines", "symbol=BTCUSDT&interval=1m&timeZone=15", -1130, notValid("timeZone")],
  ["/api/v3/klines", "symbol=BTCUSDT&interval=1m&timeZone=1:75", -1130, notValid("timeZone")],
  ["/api/v3/klines", "symbol=BTCUSDT&interval=", -1105, "Parameter 'interval' was empty."],
  ["/fapi/v1/continuousKlines", "interval=1m", -1102, MANDATORY.replace("symbol", "pair")],
  [
    "/fapi/v1/continuousKlines",
    "pair=SOLUSDT&contractType=CURRENT_QUARTER&interval=1m",
    -1130,
    notValid("contractType"),
  ],
  ["/api/v3/avgPrice", "", -1102, MANDATORY],
  ["/api/v3/ticker", "", -1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!"],
  [
    "/api/v3/ticker",
    "symbol=BTCUSDT&windowSize=1x",
    -1100,
    "Illegal characters found in parameter 'windowSize'; legal range is '^[1-9][0-9]{0,1}[mhd]$'.",
  ],
  ["/api/v3/ticker", "symbol=BTCUSDT&windowSize=8d", -1130, notValid("windowSize")],
  ["/api/v3/ticker", "symbol=BTCUSDT&windowSize=60m", -1130, notValid("windowSize")],
  ["/api/v3/ticker", "symbol=BTCUSDT&type=SMALL", -1130, notValid("type")],
  ["/api/v3/ticker/24hr", 'symbol=BTCUSDT&symbols=["BTCUSDT"]', -1128, "Combination of optional parameters invalid."],
  ["/api/v3/ticker/24hr", "symbol=NOSUCH", -1121, "Invalid symbol."],
  ["/api/v3/ticker/price", 'symbols=["BTCUSDT","NOSUCH"]', -1121, "Invalid symbol."],
  ["/api/v3/ticker/bookTicker", "symbol=", -1105, "Parameter 'symbol' was empty."],
  ["/api/v3/ticker/tradingDay", "", -1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!"],
  ["/fapi/v1/depth", "symbol=SOLUSDT&limit=7", -4021, "7 is not valid depth limit."],
  ["/fapi/v1/depth", "symbol=BTCUSDT", -1121, "Invalid symbol."],
  ["/fapi/v1/premiumIndex", "symbol=NOSUCH", -1121, "Invalid symbol."],
];

for (const [path, query, code, msg] of wrong) {
  test(`binance rest - ${path}?${query} is 400 ${code}`, async () => {
    const { get, asked } = setUp();
    expect(await get(path, query)).toEqual({ status: 400, body: { code, msg } });
    expect(asked).toEqual([]);
  });
}

test("binance rest - USD-M ignores parameters nobody reads, and has its own depth", async () => {
  const { rest, asked } = setUp();
  expect(await rest.handle("/fapi/v1/depth", "?symbol=SOLUSDT&foo=1")).toMatchObject({
    status: 200,
    body: '{"lastUpdateId":160,"E":1795321303824,"T":1,"bids":[["2750.83","3.10"]],"asks":[]}',
  });
  await rest.handle("/fapi/v1/depth", "symbol=SOLUSDT&limit=5");
  expect(asked).toEqual([
    ["usdm:solusdt@depth", 500],
    ["usdm:solusdt@depth", 5],
  ]);
});

test("binance rest - USD-M exchangeInfo: perpetual contracts with true steps", async () => {
  const { get } = setUp();
  const { body } = await get("/fapi/v1/exchangeInfo", "symbol=anything");
  expect(body.assets).toEqual([{ asset: "USDT", marginAvailable: true, autoAssetExchange: null }]);
  expect(body.symbols).toHaveLength(1);
  expect(body.symbols[0]).toMatchObject({
    symbol: "SOLUSDT",
    pair: "SOLUSDT",
    contractType: "PERPETUAL",
    deliveryDate: 4133404800000,
    status: "TRADING",
    baseAsset: "BTC",
    quoteAsset: "USDT",
    marginAsset: "USDT",
    pricePrecision: 2,
    quantityPrecision: 9,
  });
  const filters = body.symbols[0].filters.map((one: { filterType: string }) => one.filterType);
  expect(filters).toEqual(["PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "MIN_NOTIONAL"]);
  expect(body.symbols[0].filters[0]).toMatchObject({ tickSize: "0.01" });
  expect(body.symbols[0].filters[1]).toMatchObject({ stepSize: "0.000000001" });
});

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
