import { expect, test } from "bun:test";
import { trade } from "../testing/rig.ts";
import { CandleBuilder, EMPTY_CANDLES_MAX } from "./candle-builder.ts";
import { fillOf } from "./fill.ts";

const MINUTE = 60_000;
const START = 28_800 * MINUTE;

/** Adds a trade as derivation does; the candles it closed. */
function give(builder: CandleBuilder, one: ReturnType<typeof trade>, since = 0) {
  const closed = builder.advance(one.time, since);
  builder.add(fillOf(one), since);
  return closed;
}

test("candles - prices are the source's strings, volumes exact sums", () => {
  const builder = new CandleBuilder("1m");
  expect(builder.current).toBeNull();
  give(builder, trade(START + 1, "100.10", "0.1", { t: 7 }));
  give(builder, trade(START + 2, "99.90", "0.2", { t: 8, side: "sell" }));
  give(builder, trade(START + 59_999, "100.1", "0.30", { t: 9 }));
  expect(builder.current).toEqual({
    interval: "1m",
    openTime: START,
    closeTime: START + 59_999,
    open: "100.10",
    high: "100.10",
    low: "99.90",
    close: "100.1",
    volume: "0.6",
    quoteVolume: "60.02",
    takerVolume: "0.4",
    takerQuoteVolume: "40.04",
    firstId: 7,
    lastId: 9,
    count: 3,
    closed: false,
    partial: false,
  });
});

test("candles - one closes on the first record at or after its end, and the next begins with the previous close", () => {
  const builder = new CandleBuilder("1m");
  give(builder, trade(START, "5", "1", { t: 1 }));
  expect(builder.advance(START + MINUTE - 1, 0)).toEqual([]);
  const [closed] = builder.advance(START + MINUTE, 0);
  expect(closed).toMatchObject({ openTime: START, closed: true, close: "5", count: 1 });
  expect(builder.current).toMatchObject({ openTime: START + MINUTE, open: "5", high: "5", low: "5", close: "5" });
  expect(builder.current).toMatchObject({ volume: "0", count: 0, firstId: -1, lastId: -1, closed: false });
  give(builder, trade(START + MINUTE + 5, "4", "1", { t: 2 }));
  expect(builder.current).toMatchObject({ open: "4", high: "4", low: "4", close: "4", count: 1 });
});

test("candles - a silence gives empty candles, boundedly many", () => {
  const builder = new CandleBuilder("1m");
  give(builder, trade(START, "5", "1"));
  const closed = give(builder, trade(START + 3 * MINUTE, "6", "1"));
  expect(closed.map((candle) => [candle.openTime - START, candle.close, candle.count])).toEqual([
    [0, "5", 1],
    [MINUTE, "5", 0],
    [2 * MINUTE, "5", 0],
  ]);
  const many = give(builder, trade(START + 100_000 * MINUTE, "7", "1"));
  expect(many).toHaveLength(1 + EMPTY_CANDLES_MAX);
  expect(many.at(-1)?.openTime).toBe(START + 99_999 * MINUTE);
});

test("candles - a late trade counts into the current candle and reopens nothing", () => {
  const builder = new CandleBuilder("1m");
  give(builder, trade(START + MINUTE, "5", "1"));
  expect(give(builder, trade(START + 10, "9", "1"))).toEqual([]);
  expect(builder.current).toMatchObject({ openTime: START + MINUTE, high: "9", close: "9", count: 2 });
});

test("candles - partial: begun before our data, or met by a loss, and not the next one", () => {
  const builder = new CandleBuilder("1m");
  const since = START + 1000;
  give(builder, trade(since, "5", "1"), since);
  expect(builder.current?.partial).toBe(true);
  expect(builder.advance(START + MINUTE, since)[0]?.partial).toBe(true);
  expect(builder.current?.partial).toBe(false);
  builder.markPartial();
  expect(builder.current?.partial).toBe(true);
  // Until data is back, what opens is partial too.
  builder.advance(START + 2 * MINUTE, Number.POSITIVE_INFINITY);
  expect(builder.current?.partial).toBe(true);
});

test("candles - equal doubles are ordered by their digits", () => {
  const builder = new CandleBuilder("1m");
  give(builder, trade(START, "90071992547409930.1", "1"));
  give(builder, trade(START, "90071992547409930.2", "1"));
  give(builder, trade(START, "90071992547409930.05", "1"));
  expect(builder.current).toMatchObject({ high: "90071992547409930.2", low: "90071992547409930.05" });
});
