/** REST from end to end: what it says is what the streams say, on both markets. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Frame } from "../lib/frame-socket.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { waitFor } from "../lib/wait.ts";

let node: TestNode;

beforeAll(async () => {
  node = await startTestNode({ simRate: "300", seed: "44" });
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

// biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever comes
type Json = any;

async function get(path: string): Promise<Json> {
  const response = await fetch(node.http + path);
  const body = await response.json();
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${JSON.stringify(body)}`);
  return body;
}

const spotPaths: readonly string[] = [
  "ping",
  "time",
  "exchangeInfo",
  "depth?symbol=BTCUSDT",
  "trades?symbol=BTCUSDT",
  "historicalTrades?symbol=BTCUSDT",
  "aggTrades?symbol=BTCUSDT",
  "klines?symbol=BTCUSDT&interval=1m",
  "uiKlines?symbol=BTCUSDT&interval=1d&timeZone=8",
  "avgPrice?symbol=BTCUSDT",
  "ticker/24hr",
  "ticker/24hr?symbol=BTCUSDT&type=MINI",
  "ticker/price",
  "ticker/bookTicker",
  "ticker?symbol=BTCUSDT",
  "ticker?symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D&windowSize=7d",
  "ticker/tradingDay?symbol=BTCUSDT",
];
const usdmPaths: readonly string[] = [
  "ping",
  "time",
  "exchangeInfo",
  "depth?symbol=BTCUSDT&limit=50",
  "trades?symbol=BTCUSDT",
  "historicalTrades?symbol=BTCUSDT",
  "aggTrades?symbol=BTCUSDT",
  "klines?symbol=BTCUSDT&interval=1m",
  "continuousKlines?pair=BTCUSDT&contractType=PERPETUAL&interval=1m",
  "ticker/24hr",
  "ticker/price",
  "ticker/bookTicker",
  "premiumIndex",
];

for (const path of [...spotPaths.map((one) => `/api/v3/${one}`), ...usdmPaths.map((one) => `/fapi/v1/${one}`)]) {
  test.concurrent(`rest - ${path} is answered`, async () => {
    const response = await fetch(node.http + path);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain("application/json");
    const body: Json = await response.json();
    if (Array.isArray(body)) expect(body.length).toBeGreaterThan(0);
    else expect(typeof body).toBe("object");
  });
}

test.concurrent("rest - lists of all symbols name every instrument of their market", async () => {
  for (const [path, market] of [
    ["/api/v3/exchangeInfo", "spot"],
    ["/fapi/v1/exchangeInfo", "usdm"],
    ["/api/v3/ticker/24hr", "spot"],
    ["/fapi/v1/ticker/24hr", "usdm"],
    ["/api/v3/ticker/bookTicker", "spot"],
    ["/fapi/v1/ticker/bookTicker", "usdm"],
    ["/fapi/v1/premiumIndex", "usdm"],
  ] as const) {
    const known = node.node.parts.registry.list(market).map(({ symbol }) => symbol.toUpperCase());
    // The marks of the simulated exchange come one after the other.
    await waitFor(async () => {
      const body = await get(path);
      const symbols = (body.symbols ?? body).map((one: { symbol: string }) => one.symbol);
      return Bun.deepEquals(symbols.toSorted(), known.toSorted());
    }, `${path} names every instrument`);
  }
});

test.concurrent("rest - trades and aggTrades are those of the streams", async () => {
  for (const [base, socket, symbol] of [
    ["/api/v3", "/stream", "ETHUSDT"],
    ["/fapi/v1", "/public/stream", "ETHUSDT"],
  ] as const) {
    const client = await node.binance(socket);
    await client.request("SUBSCRIBE", ["ethusdt@trade"]);
    await waitFor(() => client.of("ethusdt@trade").length >= 20, "twenty trades");
    const streamed = client.of("ethusdt@trade");
    let trades: Json[] = [];
    // An answer is kept for a moment.
    await waitFor(async () => {
      trades = await get(`${base}/trades?symbol=${symbol}&limit=1000`);
      return trades.some(({ id }) => id === streamed[19]?.t);
    }, "the twentieth is answered");
    const byId = new Map(trades.map((trade) => [trade.id, trade]));
    for (const { t, p, q, T, m } of streamed.slice(0, 20)) {
      expect(byId.get(t as number)).toMatchObject({ price: p, qty: q, time: T, isBuyerMaker: m });
    }
    expect(trades.map(({ id }) => id)).toEqual(trades.map((_, i) => trades[0].id + i));
    const aggregates: Json[] = await get(`${base}/aggTrades?symbol=${symbol}&limit=50`);
    const from = await get(`${base}/aggTrades?symbol=${symbol}&fromId=${aggregates[10].a}&limit=5`);
    expect(from).toEqual(aggregates.slice(10, 15));
    const since = await get(`${base}/aggTrades?symbol=${symbol}&startTime=${aggregates[10].T}&limit=500`);
    expect(since[0].T).toBeGreaterThanOrEqual(aggregates[10].T);
    expect(aggregates.every(({ f, l }) => f <= l)).toBe(true);
  }
});

test.concurrent("rest - klines are what the stream said when it closed them", async () => {
  const client = await node.binance("/stream?streams=btcusdt@kline_1s");
  const closed = (): Json[] =>
    client
      .of("btcusdt@kline_1s")
      .map(({ k }) => k as Json)
      .filter(({ x }) => x);
  await waitFor(() => closed().length >= 3, "three closed candles");
  const rows: Json[] = await get("/api/v3/klines?symbol=BTCUSDT&interval=1s&limit=100");
  const byTime = new Map(rows.map((row) => [row[0], row]));
  for (const { t, T, o, h, l, c, v, q, n, V, Q } of closed().slice(0, 3)) {
    expect(byTime.get(t)).toEqual([t, o, h, l, c, v, T, q, n, V, Q, "0"]);
  }
});

test.concurrent("rest - longer candles hold what the shorter ones do", async () => {
  for (const base of ["/api/v3", "/fapi/v1"]) {
    const hours: Json[] = await get(`${base}/klines?symbol=SOLUSDT&interval=1h&limit=3`);
    const [time, open, high, low, close, , closeTime, , count] = hours[1];
    const minutes: Json[] = await get(
      `${base}/klines?symbol=SOLUSDT&interval=1m&startTime=${time}&endTime=${closeTime}`,
    );
    expect(minutes).toHaveLength(60);
    expect(minutes[0][0]).toBe(time);
    const traded = minutes.filter((row) => row[8] > 0);
    expect([traded[0][1], traded.at(-1)[4]]).toEqual([open, close]);
    expect(Math.max(...traded.map((row) => Number(row[2])))).toBe(Number(high));
    expect(Math.min(...traded.map((row) => Number(row[3])))).toBe(Number(low));
    expect(traded.reduce((sum, row) => sum + row[8], 0)).toBe(count);
  }
});

/** The fields of `event` by REST's names, for the same last trade. */
async function sameAs(path: string, event: () => Frame | undefined, names: Readonly<Record<string, string>>) {
  let last: unknown = null;
  await waitFor(
    async () => {
      const rest = await get(path);
      const streamed = event();
      if (streamed === undefined) return false;
      const mine = Object.fromEntries(Object.entries(names).map(([key, name]) => [name, streamed[key]]));
      last = { rest, mine };
      return Object.entries(mine).every(([name, value]) => rest[name] === value);
    },
    () => `${path} says what the stream says: ${JSON.stringify(last)}`,
  );
}

test.concurrent("rest - rolling windows, 24 h, averages and mark prices are those of the streams", async () => {
  const client = await node.binance("/stream?streams=avaxusdt@ticker_1h/avaxusdt@ticker/avaxusdt@avgPrice");
  const usdm = await node.binance("/market/stream?streams=avaxusdt@markPrice@1s");
  const newest =
    (stream: string, from = client) =>
    () =>
      from.of(stream).at(-1);
  const window = {
    o: "openPrice",
    h: "highPrice",
    l: "lowPrice",
    c: "lastPrice",
    v: "volume",
    q: "quoteVolume",
    n: "count",
  };
  const times = { O: "openTime", C: "closeTime", F: "firstId", L: "lastId" };
  const change = { p: "priceChange", P: "priceChangePercent", w: "weightedAvgPrice" };
  await Promise.all([
    sameAs("/api/v3/ticker?symbol=AVAXUSDT&windowSize=1h", newest("avaxusdt@ticker_1h"), {
      ...window,
      ...times,
      ...change,
    }),
    sameAs("/api/v3/ticker/24hr?symbol=AVAXUSDT", newest("avaxusdt@ticker"), { ...window, ...times, ...change }),
    sameAs("/api/v3/avgPrice?symbol=AVAXUSDT", newest("avaxusdt@avgPrice"), { w: "price" }),
    sameAs("/fapi/v1/premiumIndex?symbol=AVAXUSDT", newest("avaxusdt@markPrice@1s", usdm), {
      p: "markPrice",
      i: "indexPrice",
      P: "estimatedSettlePrice",
      r: "lastFundingRate",
      T: "nextFundingTime",
    }),
  ]);
});

test.concurrent("rest - mistakes over HTTP: Binance's status, code and words", async () => {
  for (const [path, status, code] of [
    ["/api/v3/depth", 400, -1102],
    ["/api/v3/depth?symbol=NOSUCH", 400, -1121],
    ["/api/v3/ping?x=1", 400, -1101],
    ["/fapi/v1/depth?symbol=BTCUSDT&limit=3", 400, -4021],
    ["/fapi/v1/klines?symbol=BTCUSDT&interval=1s", 400, -1120],
    ["/fapi/v1/nothing", 404, -1000],
  ] as const) {
    const response = await fetch(node.http + path);
    expect([path, response.status, ((await response.json()) as Json).code]).toEqual([path, status, code]);
  }
  expect((await fetch(`${node.http}/fapi/v1/ping`, { method: "POST" })).status).toBe(405);
});
