import { expect, test } from "bun:test";
import { averageOf, foldCandles, tickerOf } from "./candle-fold.ts";
import type { Candle } from "./types.ts";

const MINUTE = 60_000;

const candle = (minute: number, more: Partial<Candle> = {}): Candle => ({
  interval: "1m",
  openTime: minute * MINUTE,
  closeTime: (minute + 1) * MINUTE - 1,
  open: "10.0",
  high: "12.0",
  low: "9.0",
  close: "11.0",
  volume: "2",
  quoteVolume: "21.5",
  takerVolume: "1",
  takerQuoteVolume: "11",
  firstId: minute * 10,
  lastId: minute * 10 + 4,
  count: 5,
  closed: true,
  partial: false,
  ...more,
});
const empty = (minute: number): Candle =>
  candle(minute, {
    open: "99",
    high: "99",
    low: "99",
    close: "99",
    volume: "0",
    quoteVolume: "0",
    takerVolume: "0",
    takerQuoteVolume: "0",
    firstId: -1,
    lastId: -1,
    count: 0,
  });

test("candle fold - first open, last close, extremes, exact sums", () => {
  const folded = foldCandles([
    candle(0),
    candle(1, { open: "11.0", high: "15.0", low: "10.0", close: "14.0", volume: "0.30", quoteVolume: "4.1" }),
    candle(2, { low: "8.50", closed: false }),
  ]);
  expect(folded).toEqual({
    ...candle(0),
    closeTime: 3 * MINUTE - 1,
    high: "15.0",
    low: "8.50",
    close: "11.0",
    volume: "4.3",
    quoteVolume: "47.1",
    takerVolume: "3",
    takerQuoteVolume: "33",
    lastId: 24,
    count: 15,
    closed: false,
  });
});

test("candle fold - a candle without a trade adds nothing but its span", () => {
  expect(foldCandles([empty(0), candle(1), empty(2)])).toEqual({
    ...candle(1),
    openTime: 0,
    closeTime: 3 * MINUTE - 1,
  });
  expect(foldCandles([empty(0), empty(1)])).toMatchObject({ open: "99", close: "99", count: 0, firstId: -1 });
  expect(foldCandles([])).toBeNull();
});

test("candle fold - one partial part makes the whole partial", () => {
  expect(foldCandles([candle(0), candle(1, { partial: true }), candle(2)])?.partial).toBe(true);
});

test("candle fold - a window as a ticker", () => {
  expect(tickerOf(candle(0), 12345)).toEqual({
    open: "10.0",
    high: "12.0",
    low: "9.0",
    close: "11.0",
    volume: "2",
    quoteVolume: "21.5",
    openTime: 0,
    closeTime: 12345,
    partial: false,
    change: "1.0",
    changePercent: "10.000",
    weightedAverage: "10.75000000",
    firstId: 0,
    lastId: 4,
    count: 5,
  });
  expect(averageOf(empty(0))).toBe("99");
});
