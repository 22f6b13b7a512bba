import { expect, test } from "bun:test";
import { InstrumentRegistry } from "../../../channel/registry.ts";
import type { AggTrade, Candle, Publication, Trade, Value } from "../../../channel/types.ts";
import { GatewayError } from "../../../lib/errors.ts";
import { createFakeClock } from "../../../lib/fake-clock.ts";
import { MARK_PRICE, TICKER } from "../../testing.ts";
import { createBinanceRest, type Kept } from "../mod.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = Date.UTC(2026, 2, 1);

const spec = { base: "BTC", quote: "USDT", tick: "0.01", lot: "0.001", status: "trading" } as const;

function setUp(kept: Readonly<Record<string, Kept | Error>> = {}) {
  const clock = createFakeClock(1_795_321_303_824_123);
  const instruments = new InstrumentRegistry();
  for (const market of ["spot", "usdm"]) {
    for (const spelling of ["BTCUSDT", "ETHUSDT"]) instruments.add({ market, spelling, ...spec });
  }
  const asked: string[] = [];
  const failures: unknown[] = [];
  const rest = createBinanceRest({
    instruments,
    clock,
    depth: (channel) =>
      Promise.resolve(
        channel.includes("eth")
          ? { unavailable: true }
          : { lastUpdateId: 160, bids: [["2750.83", "3.10"]], asks: [["2750.85", "2.20"]], time: 7 },
      ),
    kept(channel) {
      asked.push(channel);
      const found = kept[channel];
      return found instanceof Error ? Promise.reject(found) : Promise.resolve(found ?? null);
    },
    failed: (error) => failures.push(error),
  });
  const get = async (path: string, query = "") => {
    const { status, body } = await rest.handle(path, query);
    return { status, body: JSON.parse(body) };
  };
  const text = async (path: string, query = "") => (await rest.handle(path, query)).body;
  return { get, text, asked, clock, failures, rest };
}

const publication = (body: object, seq: number): Publication =>
  ({ channel: "x", kind: "json", user: "", time: 0, receivedUs: 0, seq, prev: seq - 1, ...body }) as Publication;

const value = (data: Value, time = 9): Kept => ({ state: { type: "value", data }, history: [], time });

const trade = (t: number): Trade => ({
  id: String(t),
  t,
  price: "2750.84",
  quantity: "0.500",
  side: t % 2 === 0 ? "buy" : "sell",
  time: START + t,
});
const TRADES: Kept = {
  state: null,
  history: [
    publication({ type: "items", data: [trade(1), trade(2)] }, 1),
    publication({ type: "gap", data: { missed: null, reason: "source" } }, 2),
    publication({ type: "items", data: [trade(3), trade(4)] }, 3),
  ],
  time: START + 4,
};

test("binance rest - trades: the last ones, Binance's keys in their order", async () => {
  const { text, get } = setUp({ "btcusdt@trade": TRADES, "usdm:btcusdt@trade": TRADES });
  expect(await text("/api/v3/trades", "symbol=BTCUSDT&limit=2")).toBe(
    '[{"id":3,"price":"2750.84","qty":"0.500","quoteQty":"1375.42000","time":1772323200003,"isBuyerMaker":true,"isBestMatch":true},' +
      '{"id":4,"price":"2750.84","qty":"0.500","quoteQty":"1375.42000","time":1772323200004,"isBuyerMaker":false,"isBestMatch":true}]',
  );
  expect(await text("/fapi/v1/trades", "symbol=BTCUSDT&limit=1")).toBe(
    '[{"id":4,"price":"2750.84","qty":"0.500","quoteQty":"1375.42000","time":1772323200004,"isBuyerMaker":false}]',
  );
  const ids = async (path: string, query: string) => (await get(path, query)).body.map((one: { id: number }) => one.id);
  expect(await ids("/api/v3/trades", "symbol=BTCUSDT")).toEqual([1, 2, 3, 4]);
  expect(await ids("/api/v3/trades", "symbol=BTCUSDT&limit=5000")).toEqual([1, 2, 3, 4]);
  expect(await ids("/api/v3/historicalTrades", "symbol=BTCUSDT&fromId=2&limit=2")).toEqual([2, 3]);
  expect(await ids("/api/v3/trades", "symbol=ETHUSDT")).toEqual([]);
});

test("binance rest - aggTrades: by id, by time, or the last", async () => {
  const agg = (a: number): AggTrade => ({
    a,
    price: "2750.84",
    quantity: "1.2",
    firstId: a * 10,
    lastId: a * 10 + 3,
    side: "sell",
    time: START + a * 1000,
  });
  const kept: Kept = {
    state: null,
    history: [1, 2, 3, 4, 5].map((a) => publication({ type: "items", data: [agg(a)] }, a)),
    time: 0,
  };
  const { text, get } = setUp({ "btcusdt@aggTrade": kept, "usdm:btcusdt@aggTrade": kept });
  expect(await text("/api/v3/aggTrades", "symbol=BTCUSDT&limit=1")).toBe(
    '[{"a":5,"p":"2750.84","q":"1.2","f":50,"l":53,"T":1772323205000,"m":true,"M":true}]',
  );
  expect(await text("/fapi/v1/aggTrades", "symbol=BTCUSDT&limit=1")).toBe(
    '[{"a":5,"p":"2750.84","q":"1.2","f":50,"l":53,"T":1772323205000,"m":true}]',
  );
  const ids = async (query: string) =>
    (await get("/api/v3/aggTrades", `symbol=BTCUSDT&${query}`)).body.map((one: { a: number }) => one.a);
  expect(await ids("fromId=2&limit=2")).toEqual([2, 3]);
  expect(await ids(`startTime=${START + 2000}&limit=2`)).toEqual([2, 3]);
  expect(await ids(`endTime=${START + 4000}&limit=2`)).toEqual([3, 4]);
  expect(await ids(`startTime=${START + 2000}&endTime=${START + 4000}`)).toEqual([2, 3, 4]);
});

const candle = (interval: string, lengthMs: number, index: number, more: Partial<Candle> = {}): Candle => ({
  interval,
  openTime: START + index * lengthMs,
  closeTime: START + (index + 1) * lengthMs - 1,
  open: String(100 + index),
  high: String(110 + index),
  low: String(90 + index),
  close: String(101 + index),
  volume: "2",
  quoteVolume: "200",
  takerVolume: "1",
  takerQuoteVolume: "100",
  firstId: index * 10,
  lastId: index * 10 + 9,
  count: 10,
  closed: true,
  partial: false,
  ...more,
});

/** Closed candles before `count - 1` and an open one; the first is partial. */
function candles(interval: string, lengthMs: number, count: number): Kept {
  const all = Array.from({ length: count }, (_, i) =>
    candle(interval, lengthMs, i, { closed: i < count - 1, partial: i === 0 }),
  );
  return {
    state: { type: "candles", data: all.slice(-1) },
    history: all.map((one, i) => publication({ type: "candles", data: [one] }, i)),
    time: (all.at(-1)?.openTime ?? 0) + 1234,
  };
}

test("binance rest - klines: arrays of twelve, closed partial candles left out", async () => {
  const kept = candles("1m", MINUTE, 5);
  const { text, get } = setUp({ "btcusdt@kline_1m": kept, "usdm:btcusdt@kline_1m": kept });
  const last = '[1772323440000,"104","114","94","105","2",1772323499999,"200",10,"1","100","0"]';
  expect(await text("/api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=1")).toBe(`[${last}]`);
  expect(await text("/fapi/v1/continuousKlines", "pair=BTCUSDT&contractType=PERPETUAL&interval=1m&limit=1")).toBe(
    `[${last}]`,
  );
  const opens = async (query: string, path = "/api/v3/klines") =>
    (await get(path, `symbol=BTCUSDT&interval=1m&${query}`)).body.map((one: number[]) => (one[0]! - START) / MINUTE);
  expect(await opens("limit=9999")).toEqual([1, 2, 3, 4]);
  expect(await opens("limit=2")).toEqual([3, 4]);
  expect(await opens(`startTime=${START + MINUTE}&limit=2`)).toEqual([1, 2]);
  expect(await opens(`startTime=${START + MINUTE + 1}&endTime=${START + 3 * MINUTE}`)).toEqual([2, 3]);
  expect(await opens(`endTime=${START + 3 * MINUTE - 1}&limit=1`, "/api/v3/uiKlines")).toEqual([2]);
  expect(await opens("limit=1500", "/fapi/v1/klines")).toEqual([1, 2, 3, 4]);
  expect(await get("/api/v3/klines", "symbol=ETHUSDT&interval=1m")).toEqual({ status: 200, body: [] });
});

test("binance rest - klines of a time zone: days from its midnight, shorter intervals where they are the same", async () => {
  const { get, asked } = setUp({
    "btcusdt@kline_4h": candles("4h", 4 * HOUR, 20),
    "btcusdt@kline_15m": candles("15m", 15 * MINUTE, 200),
    "btcusdt@kline_1h": candles("1h", HOUR, 3),
  });
  const rows = async (query: string) => (await get("/api/v3/klines", `symbol=BTCUSDT&${query}`)).body;
  const days = await rows("interval=1d&timeZone=8");
  // The first day began before the data: it is partial. 20 candles of 4 h end at 80 h.
  expect(days.map((row: unknown[]) => row[0])).toEqual([START + 16 * HOUR, START + 40 * HOUR, START + 64 * HOUR]);
  expect(days[0]).toEqual([
    ...[START + 16 * HOUR, "104", "119", "94", "110", "12", START + 40 * HOUR - 1],
    ...["1200", 60, "6", "600", "0"],
  ]);
  expect(await rows("interval=1d&timeZone=%2B08:00")).toEqual(days);
  expect((await rows("interval=1h&timeZone=05:45"))[0][0]).toBe(START + 15 * MINUTE);
  expect((await rows("interval=1h&timeZone=-3"))[0][0]).toBe(START + HOUR);
  expect(asked).toEqual(["btcusdt@kline_4h", "btcusdt@kline_15m", "btcusdt@kline_1h"]);
});

test("binance rest - avgPrice over the last five minutes", async () => {
  const kept = candles("1s", 1000, 400);
  const { text } = setUp({ "btcusdt@kline_1s": kept });
  expect(await text("/api/v3/avgPrice", "symbol=BTCUSDT")).toBe(
    `{"mins":5,"price":"100.00000000","closeTime":${kept.time}}`,
  );
  expect(await text("/api/v3/avgPrice", "symbol=ETHUSDT")).toBe('{"mins":5,"price":"0.00000000","closeTime":0}');
});

test("binance rest - rolling windows from the shortest candles that reach back far enough", async () => {
  const { text, get, asked } = setUp({
    "btcusdt@kline_1m": candles("1m", MINUTE, 90),
    "btcusdt@kline_3m": candles("3m", 3 * MINUTE, 500),
  });
  expect(await text("/api/v3/ticker", "symbol=BTCUSDT&windowSize=1h")).toBe(
    `{"symbol":"BTCUSDT","priceChange":"61","priceChangePercent":"47.287","weightedAvgPrice":"100.00000000",` +
      `"openPrice":"129","highPrice":"199","lowPrice":"119","lastPrice":"190","volume":"122","quoteVolume":"12200",` +
      `"openTime":${START + 29 * MINUTE},"closeTime":${START + 89 * MINUTE + 1234},"firstId":290,"lastId":899,"count":610}`,
  );
  const mini = await get("/api/v3/ticker", 'symbols=["BTCUSDT","ETHUSDT"]&type=MINI');
  expect(Object.keys(mini.body[0])).toEqual([
    ...["symbol", "openPrice", "highPrice", "lowPrice", "lastPrice", "volume", "quoteVolume"],
    ...["openTime", "closeTime", "firstId", "lastId", "count"],
  ]);
  expect(mini.body[0]).toMatchObject({ openTime: START + 19 * 3 * MINUTE, count: 4810 });
  expect(mini.body[1]).toMatchObject({ symbol: "ETHUSDT", lastPrice: "0.00000000", count: 0 });
  expect(asked).toEqual(["btcusdt@kline_1m", "btcusdt@kline_3m", "ethusdt@kline_3m"]);
});

test("binance rest - trading day", async () => {
  const { get } = setUp({ "btcusdt@kline_1d": candles("1d", 24 * HOUR, 2) });
  expect((await get("/api/v3/ticker/tradingDay", "symbol=BTCUSDT")).body).toMatchObject({
    openPrice: "101",
    openTime: START + 24 * HOUR,
    closeTime: START + 48 * HOUR - 1,
  });
});

test("binance rest - ticker/24hr of both markets, whole and short, one, some and all", async () => {
  const { text, get } = setUp({ "btcusdt@ticker": value(TICKER), "usdm:btcusdt@ticker": value(TICKER) });
  const volumes =
    '"volume":"10000.0","quoteVolume":"27400000.0","openTime":1795234903824,"closeTime":1795321303824,' +
    '"firstId":540000,"lastId":551201,"count":11202}';
  expect(await text("/api/v3/ticker/24hr", "symbol=BTCUSDT")).toBe(
    '{"symbol":"BTCUSDT","priceChange":"50.84","priceChangePercent":"1.883","weightedAvgPrice":"2740.10","prevClosePrice":"2699.90",' +
      '"lastPrice":"2750.84","lastQty":"0.50000000","bidPrice":"2750.83","bidQty":"3.10","askPrice":"2750.85","askQty":"2.20",' +
      `"openPrice":"2700.00","highPrice":"2790.00","lowPrice":"2690.00",${volumes}`,
  );
  expect(await text("/fapi/v1/ticker/24hr", "symbol=BTCUSDT")).toBe(
    '{"symbol":"BTCUSDT","priceChange":"50.84","priceChangePercent":"1.883","weightedAvgPrice":"2740.10","lastPrice":"2750.84",' +
      `"lastQty":"0.50000000","openPrice":"2700.00","highPrice":"2790.00","lowPrice":"2690.00",${volumes}`,
  );
  expect(await text("/api/v3/ticker/24hr", "symbol=BTCUSDT&type=MINI")).toBe(
    `{"symbol":"BTCUSDT","openPrice":"2700.00","highPrice":"2790.00","lowPrice":"2690.00","lastPrice":"2750.84",${volumes}`,
  );
  const some = await get("/api/v3/ticker/24hr", 'symbols=["ETHUSDT","BTCUSDT"]');
  expect(some.body.map((one: { symbol: string; count: number }) => [one.symbol, one.count])).toEqual([
    ["ETHUSDT", 0],
    ["BTCUSDT", 11202],
  ]);
  expect(some.body[0]).toMatchObject({ lastPrice: "0.00000000", bidPrice: "0.00000000" });
  for (const path of ["/api/v3/ticker/24hr", "/fapi/v1/ticker/24hr"]) {
    expect((await get(path)).body.map((one: { symbol: string }) => one.symbol)).toEqual(["BTCUSDT"]);
  }
});

test("binance rest - last and best prices", async () => {
  const { text, get } = setUp({ "btcusdt@ticker": value(TICKER), "usdm:btcusdt@ticker": value(TICKER) });
  expect(await text("/api/v3/ticker/price", "symbol=BTCUSDT")).toBe('{"symbol":"BTCUSDT","price":"2750.84"}');
  expect(await text("/api/v3/ticker/price")).toBe('[{"symbol":"BTCUSDT","price":"2750.84"}]');
  for (const version of ["v1", "v2"]) {
    expect(await text(`/fapi/${version}/ticker/price`, "symbol=BTCUSDT")).toBe(
      '{"symbol":"BTCUSDT","price":"2750.84","time":1795321303824}',
    );
  }
  const best = '"symbol":"BTCUSDT","bidPrice":"2750.83","bidQty":"3.10","askPrice":"2750.85","askQty":"2.20"';
  expect(await text("/api/v3/ticker/bookTicker", "symbol=BTCUSDT")).toBe(`{${best}}`);
  expect(await text("/fapi/v1/ticker/bookTicker", "symbol=BTCUSDT")).toBe(`{${best},"time":7}`);
  expect(await text("/api/v3/ticker/bookTicker")).toBe(`[{${best}}]`);
  expect(await get("/api/v3/ticker/bookTicker", "symbol=ETHUSDT")).toMatchObject({
    status: 503,
    body: { code: -1001 },
  });
});

test("binance rest - premiumIndex", async () => {
  const { text, get } = setUp({ "usdm:btcusdt@markPrice": value(MARK_PRICE, 1795321303000) });
  expect(await text("/fapi/v1/premiumIndex", "symbol=BTCUSDT")).toBe(
    '{"symbol":"BTCUSDT","markPrice":"2750.90000000","indexPrice":"2750.50000000","estimatedSettlePrice":"2750.60000000",' +
      '"lastFundingRate":"0.00010000","interestRate":"0.00000000","nextFundingTime":1795334400000,"time":1795321303000}',
  );
  expect((await get("/fapi/v1/premiumIndex")).body).toHaveLength(1);
});

test("binance rest - a reply is at most 50 ms old, and equal requests of a moment ask once", async () => {
  const { rest, asked, clock } = setUp({ "btcusdt@trade": TRADES });
  const ask = () => rest.handle("/api/v3/trades", "symbol=BTCUSDT");
  await Promise.all([ask(), ask(), ask()]);
  await rest.handle("/api/v3/trades", "symbol=BTCUSDT&limit=1");
  clock.advance(49);
  await ask();
  expect(asked).toEqual(["btcusdt@trade"]);
  clock.advance(1);
  await ask();
  expect(asked).toEqual(["btcusdt@trade", "btcusdt@trade"]);
});

test("binance rest - an owner that does not answer is 503; a fault of ours too, and it is reported", async () => {
  const { get, failures, asked } = setUp({
    "btcusdt@trade": new GatewayError("NO_ANSWER", "no"),
    "btcusdt@aggTrade": new TypeError("oops"),
  });
  expect(await get("/api/v3/trades", "symbol=BTCUSDT")).toMatchObject({ status: 503, body: { code: -1001 } });
  await get("/api/v3/trades", "symbol=BTCUSDT");
  // A failure is not remembered.
  expect(asked).toHaveLength(2);
  expect(failures).toEqual([]);
  expect((await get("/api/v3/aggTrades", "symbol=BTCUSDT")).status).toBe(503);
  expect(failures).toHaveLength(1);
});
