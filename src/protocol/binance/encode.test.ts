import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Kind, Level, MarketMember } from "../../channel/types.ts";
import { AGG_TRADE, AT, CANDLE, channelFor, LIQUIDATION, MARK_PRICE, TICKER, TOP, TRADE } from "../testing.ts";
import { binance, binanceEncoder } from "./mod.ts";

const encoder = (kind: Kind, market = "spot", timeUnit: "ms" | "us" = "ms") =>
  binanceEncoder(channelFor(kind, market), { dialect: "binance", timeUnit });
const DELTA = { bids: [["2750.83", "3.1"]], asks: [["2750.85", "0.00000000"]] } as const;
const FIRST = { ...AT, prev: null };

// The lines below are those of Binance's documentation (reference/protocols.md, section 2).

test("binance encode - trade", () => {
  expect(encoder("trade").items(AT, [TRADE])).toEqual([
    '{"e":"trade","E":1795321303824,"s":"ETHUSDT","t":551201,"p":"2750.84","q":"0.50000000","T":1795321303823,"m":false,"M":true}',
  ]);
  expect(encoder("trade", "usdm").items(AT, [{ ...TRADE, side: "sell" }])).toEqual([
    '{"e":"trade","E":1795321303824,"T":1795321303823,"s":"ETHUSDT","t":551201,"p":"2750.84","q":"0.50000000","X":"MARKET","m":true}',
  ]);
});

test("binance encode - aggTrade", () => {
  expect(encoder("aggTrade").items(AT, [AGG_TRADE])).toEqual([
    '{"e":"aggTrade","E":1795321303824,"s":"ETHUSDT","a":90817,"p":"2750.84","q":"1.20000000","f":551199,"l":551201,"T":1795321303823,"m":true,"M":true}',
  ]);
  expect(encoder("aggTrade", "usdm").items(AT, [{ ...AGG_TRADE, quantity: "1.200" }])).toEqual([
    '{"e":"aggTrade","E":1795321303824,"s":"ETHUSDT","a":90817,"p":"2750.84","q":"1.200","nq":"1.200","f":551199,"l":551201,"T":1795321303823,"m":true}',
  ]);
});

test("binance encode - kline, the same on both markets, one frame per candle", () => {
  const open =
    '{"e":"kline","E":1795321303824,"s":"ETHUSDT","k":{"t":1795321260000,"T":1795321319999,"s":"ETHUSDT","i":"1m","f":551100,"L":551201,' +
    '"o":"2749.10","c":"2750.84","h":"2751.00","l":"2748.77","v":"120.50000000","n":102,"x":false,"q":"331412.11","V":"60.20000000","Q":"165600.00","B":"0"}}';
  expect(encoder("kline").candles(AT, [CANDLE])).toEqual([open]);
  expect(encoder("kline", "usdm").candles(AT, [{ ...CANDLE, closed: true, partial: true }, CANDLE])).toEqual([
    open.replace('"x":false', '"x":true'),
    open,
  ]);
});

test("binance encode - miniTicker", () => {
  const frame =
    '{"e":"24hrMiniTicker","E":1795321303824,"s":"ETHUSDT","c":"2750.84","o":"2700.00","h":"2790.00","l":"2690.00","v":"10000.0","q":"27400000.0"}';
  expect(encoder("miniTicker").value(AT, TICKER, null)).toEqual([frame]);
  expect(encoder("miniTicker", "usdm").value(AT, TICKER, null)).toEqual([frame]);
});

test("binance encode - ticker: 23 keys on spot with this node's best prices, 18 on USD-M", () => {
  const rest =
    '"o":"2700.00","h":"2790.00","l":"2690.00","v":"10000.0","q":"27400000.0",' +
    '"O":1795234903824,"C":1795321303824,"F":540000,"L":551201,"n":11202}';
  const spot =
    '{"e":"24hrTicker","E":1795321303824,"s":"ETHUSDT","p":"50.84","P":"1.883","w":"2740.10","x":"2699.90","c":"2750.84","Q":"0.50000000",';
  const [frame] = encoder("ticker").value(AT, TICKER, TOP);
  expect(frame).toBe(`${spot}"b":"2750.83","B":"3.1","a":"2750.85","A":"2.2",${rest}`);
  expect(Object.keys(JSON.parse(frame!))).toHaveLength(23);
  const none = '"b":"0.00000000","B":"0.00000000","a":"0.00000000","A":"0.00000000",';
  expect(encoder("ticker").value(AT, TICKER, null)).toEqual([spot + none + rest]);
  expect(encoder("ticker").value(AT, TICKER, { bid: "0", bidQuantity: "0", ask: "0", askQuantity: "0" })).toEqual([
    spot + none + rest,
  ]);
  expect(encoder("ticker", "usdm").value(AT, TICKER, TOP)).toEqual([
    `{"e":"24hrTicker","E":1795321303824,"s":"ETHUSDT","p":"50.84","P":"1.883","w":"2740.10","c":"2750.84","Q":"0.50000000",${rest}`,
  ]);
});

test("binance encode - bookTicker: spot has neither event nor time", () => {
  const at = { ...AT, seq: 400900217 };
  expect(encoder("bookTicker").value(at, TOP, null)).toEqual([
    '{"u":400900217,"s":"ETHUSDT","b":"2750.83","B":"3.1","a":"2750.85","A":"2.2"}',
  ]);
  expect(encoder("bookTicker", "usdm").value(at, TOP, null)).toEqual([
    '{"e":"bookTicker","u":400900217,"E":1795321303824,"T":1795321303822,"s":"ETHUSDT","b":"2750.83","B":"3.1","a":"2750.85","A":"2.2"}',
  ]);
});

test("binance encode - partial book: on USD-M shaped like a diff", () => {
  expect(encoder("partialDepth").value(AT, DELTA, null)).toEqual([
    '{"lastUpdateId":160,"bids":[["2750.83","3.1"]],"asks":[["2750.85","0.00000000"]]}',
  ]);
  expect(encoder("partialDepth", "usdm").value(AT, DELTA, null)).toEqual(encoder("depth", "usdm").delta(AT, DELTA));
});

test("binance encode - diff book: U follows u of the event before, the first of an epoch has U = u", () => {
  const body = '"b":[["2750.83","3.1"]],"a":[["2750.85","0.00000000"]]}';
  const spot = '{"e":"depthUpdate","E":1795321303824,"s":"ETHUSDT",';
  const usdm = '{"e":"depthUpdate","E":1795321303824,"T":1795321303822,"s":"ETHUSDT",';
  expect(encoder("depth").delta(AT, DELTA)).toEqual([`${spot}"U":157,"u":160,${body}`]);
  expect(encoder("depth").delta(FIRST, DELTA)).toEqual([`${spot}"U":160,"u":160,${body}`]);
  expect(encoder("depth", "usdm").delta(AT, DELTA)).toEqual([`${usdm}"U":157,"u":160,"pu":156,${body}`]);
  expect(encoder("depth", "usdm").delta(FIRST, DELTA)).toEqual([`${usdm}"U":160,"u":160,"pu":159,${body}`]);
});

test("binance encode - spot diff book: a level that is gone has the one zero that clients look for", () => {
  const levels: [string, string][] = [
    ["1", "0"],
    ["2", "0.00000000"],
    ["3", "0.0"],
    ["4", "0.05"],
    ["5", "10"],
  ];
  const gone = '["1","0.00000000"],["2","0.00000000"],["3","0.00000000"],["4","0.05"],["5","10"]';
  expect(encoder("depth").delta(AT, { bids: levels, asks: levels })[0]).toContain(`"b":[${gone}],"a":[${gone}]}`);
});

test("binance encode - markPrice and forceOrder", () => {
  expect(encoder("markPrice", "usdm").value({ ...AT, sentUs: 1795321303000999 }, MARK_PRICE, null)).toEqual([
    '{"e":"markPriceUpdate","E":1795321303000,"s":"ETHUSDT","p":"2750.90000000","ap":"2750.70000000","i":"2750.50000000","P":"2750.60000000","r":"0.00010000","T":1795334400000}',
  ]);
  expect(encoder("liquidation", "usdm").items(AT, [LIQUIDATION])).toEqual([
    '{"e":"forceOrder","E":1795321303824,"o":{"s":"ETHUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"2700","ap":"2701.5","X":"FILLED","l":"0.014","z":"0.014","T":1795321303820}}',
  ]);
  expect(encoder("liquidation", "usdm").items(AT, [{ ...LIQUIDATION, filled: "0.004" }])[0]).toContain(
    '"X":"PARTIALLY_FILLED","l":"0.004"',
  );
});

test("binance encode - microseconds: E is the instant itself, every other time is times 1000", () => {
  const times = (frames: readonly string[]) => JSON.parse(frames[0]!);
  expect(times(encoder("trade", "spot", "us").items(AT, [TRADE]))).toMatchObject({ E: AT.sentUs, T: 1795321303823000 });
  expect(times(encoder("aggTrade", "spot", "us").items(AT, [AGG_TRADE]))).toMatchObject({
    E: AT.sentUs,
    T: 1795321303823000,
  });
  expect(times(encoder("depth", "spot", "us").delta(AT, DELTA))).toMatchObject({ E: AT.sentUs });
  expect(times(encoder("ticker", "spot", "us").value(AT, TICKER, null))).toMatchObject({
    O: 1795234903824000,
    C: 1795321303824000,
  });
  expect(times(encoder("kline", "spot", "us").candles(AT, [CANDLE])).k).toMatchObject({
    t: 1795321260000000,
    T: 1795321319999000,
  });
});

test("binance encode - no word for a joiner's snapshot, a gap or stale; a repair is a delta in the chain", () => {
  const depth = encoder("depth");
  expect(depth.snapshot(AT, DELTA, null)).toEqual([]);
  expect(depth.snapshot(AT, { bids: [], asks: [] }, DELTA)).toEqual(depth.delta(AT, DELTA));
  expect(depth.gap(AT, { missed: 1, reason: "source" })).toEqual([]);
  expect(depth.stale()).toEqual([]);
  for (const kind of ["json", "index", "funding", "instrument", "private"] as const) {
    expect(encoder(kind).value(AT, { json: "{}" }, null)).toEqual([]);
    expect(encoder(kind).items(AT, [{ json: "{}" }])).toEqual([]);
  }
});

test("binance envelope - combined wraps in the name as asked, escaped; raw does not", () => {
  expect(binance.envelope("ethusdt@depth@100ms", true)).toEqual({
    before: '{"stream":"ethusdt@depth@100ms","data":',
    after: "}",
  });
  expect(binance.envelope('x"', true).before).toBe('{"stream":"x\\"","data":');
  expect(binance.envelope("ethusdt@depth", false)).toEqual({ before: "", after: "" });
});

test("binance encode - any chain of flushes satisfies the rules of a local book", () => {
  const decimal = fc.tuple(fc.nat(), fc.nat({ max: 99999999 })).map(([whole, part]) => `${whole}.${part}`);
  const levels = fc.array(fc.tuple(decimal, decimal) as fc.Arbitrary<Level>, { maxLength: 5 });
  const flush = fc.record({
    step: fc.integer({ min: 1, max: 1000 }),
    depth: fc.record({ bids: levels, asks: levels }),
  });
  fc.assert(
    fc.property(fc.array(flush, { minLength: 1, maxLength: 20 }), fc.boolean(), (flushes, combined) => {
      const wrap = binance.envelope("ethusdt@depth", combined);
      let prev: number | null = null;
      for (const { step, depth } of flushes) {
        const seq: number = (prev ?? 1e12) + step;
        for (const market of ["spot", "usdm"]) {
          const payload = encoder("depth", market).delta({ ...AT, prev, from: seq, seq }, depth)[0]!;
          expect(payload).not.toContain("\n");
          const frame = JSON.parse(wrap.before + payload + wrap.after);
          const event = combined ? frame.data : frame;
          expect(event).toMatchObject({ u: seq, b: depth.bids, a: depth.asks });
          expect(event.U).toBe(prev === null ? seq : prev + 1);
          if (market === "usdm") expect(event.pu).toBe(prev ?? seq - 1);
        }
        prev = seq;
      }
    }),
  );
});

test("binance encode - continuousKline names its pair and contract, and its candle no symbol", () => {
  const channel = { ...channelFor("kline", "usdm"), stream: "continuousKline_1m" };
  expect(binanceEncoder(channel, { dialect: "binance", timeUnit: "ms" }).candles(AT, [CANDLE])).toEqual([
    '{"e":"continuous_kline","E":1795321303824,"ps":"ETHUSDT","ct":"PERPETUAL","k":{"t":1795321260000,"T":1795321319999,"i":"1m","f":551100,"L":551201,' +
      '"o":"2749.10","c":"2750.84","h":"2751.00","l":"2748.77","v":"120.50000000","n":102,"x":false,"q":"331412.11","V":"60.20000000","Q":"165600.00","B":"0"}}',
  ]);
});

test("binance encode - rolling windows", () => {
  const channel = { ...channelFor("windowTicker"), stream: "ticker_4h" };
  const [frame] = binanceEncoder(channel, { dialect: "binance", timeUnit: "ms" }).value(AT, TICKER, null);
  expect(frame).toBe(
    '{"e":"4hTicker","E":1795321303824,"s":"ETHUSDT","p":"50.84","P":"1.883","o":"2700.00","h":"2790.00","l":"2690.00",' +
      '"c":"2750.84","w":"2740.10","v":"10000.0","q":"27400000.0","O":1795234903824,"C":1795321303824,"F":540000,"L":551201,"n":11202}',
  );
});

test("binance encode - avgPrice", () => {
  const value = { interval: "5m", price: "2749.88000000", tradeTime: 1795321302213 };
  expect(encoder("avgPrice").value(AT, value, null)).toEqual([
    '{"e":"avgPrice","E":1795321303824,"s":"ETHUSDT","i":"5m","w":"2749.88000000","T":1795321302213}',
  ]);
  expect(encoder("avgPrice", "spot", "us").value(AT, value, null)[0]).toContain('"T":1795321302213000}');
});

test("binance encode - of the liquidations in one flush the largest", () => {
  const all = ["0.5", "10", "9.9"].map((quantity) => ({ ...LIQUIDATION, quantity }));
  const frames = encoder("liquidation", "usdm").items(AT, all);
  expect(frames.map((frame) => JSON.parse(frame).o.q)).toEqual(["10"]);
});

const member = (symbol: string, data: MarketMember["data"], more: Partial<MarketMember> = {}): MarketMember => ({
  symbol,
  seq: 7,
  time: 1795321303111,
  data,
  top: () => null,
  ...more,
});
const allMarket = (kind: Kind, all: string, market = "usdm") =>
  binanceEncoder({ ...channelFor(kind, market, ""), all }, { dialect: "binance", timeUnit: "ms" });

test("binance encode - an all-market array holds each member as its own stream would send it", () => {
  const members = [member("ethusdt", TICKER), member("btcusdt", TICKER)];
  const single = encoder("miniTicker", "usdm").value(AT, TICKER, null)[0]!;
  expect(allMarket("miniTicker", "miniTicker").value(AT, { members }, null)).toEqual([
    `[${single},${single.replace("ETHUSDT", "BTCUSDT")}]`,
  ]);
  const [spot] = allMarket("ticker", "ticker", "spot").value(
    AT,
    { members: [member("ethusdt", TICKER, { top: () => TOP })] },
    null,
  );
  expect(spot).toBe(`[${encoder("ticker").value(AT, TICKER, TOP)[0]}]`);
  const [window] = allMarket("windowTicker", "ticker_1h", "spot").value(AT, { members }, null);
  expect(JSON.parse(window!).map((event: { e: string; s: string }) => [event.e, event.s])).toEqual([
    ["1hTicker", "ETHUSDT"],
    ["1hTicker", "BTCUSDT"],
  ]);
});

test("binance encode - all-market streams without an array send an event per member", () => {
  expect(
    allMarket("bookTicker", "bookTicker").value(AT, { members: [member("a", TOP), member("b", TOP)] }, null),
  ).toEqual(
    ["A", "B"].map(
      (s) =>
        `{"e":"bookTicker","u":7,"E":1795321303824,"T":1795321303111,"s":"${s}","b":"2750.83","B":"3.1","a":"2750.85","A":"2.2"}`,
    ),
  );
  expect(allMarket("liquidation", "forceOrder").value(AT, { members: [member("ethusdt", LIQUIDATION)] }, null)).toEqual(
    encoder("liquidation", "usdm").items(AT, [LIQUIDATION]) as string[],
  );
  const instrument = { market: "usdm", symbol: "ethusdt", spelling: "ETHUSDT", base: "ETH", quote: "USDT" };
  const status = { tick: "0.01", lot: "0.001", status: "halt", inferred: false } as const;
  expect(
    allMarket("instrument", "instrument").value(
      AT,
      { members: [member("ethusdt", { ...instrument, ...status })] },
      null,
    ),
  ).toEqual([
    '{"e":"contractInfo","E":1795321303824,"s":"ETHUSDT","ps":"ETHUSDT","ct":"PERPETUAL","dt":4133404800000,"ot":0,"cs":"SETTLING"}',
  ]);
});
