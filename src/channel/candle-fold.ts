/**
 * Candles put together: several short ones as a longer one, and what a window of them says (rolling tickers, averages).
 *
 * On the path: the engine's made channels and REST. Invariants: exact; a candle without a trade changes nothing but the
 * span, so that folding a span's candles equals the candle built from its trades.
 */
import { compare, DecimalSum, multiply, parseDecimal, ratio, subtract } from "./decimal.ts";
import type { Candle, WindowTicker } from "./types.ts";

const PERCENT_SCALE = 3;
const AVERAGE_SCALE = 8;
const HUNDRED = parseDecimal("100");

/** Two candles, the older first, as one from the start of the first to the end of the second. */
export function mergeCandles(older: Candle, newer: Candle): Candle {
  const span = {
    openTime: older.openTime,
    closeTime: newer.closeTime,
    closed: newer.closed,
    partial: older.partial || newer.partial,
  };
  if (newer.count === 0) return { ...older, ...span };
  if (older.count === 0) return { ...newer, ...span };
  return {
    interval: older.interval,
    ...span,
    open: older.open,
    high: compare(newer.high, older.high) > 0 ? newer.high : older.high,
    low: compare(newer.low, older.low) < 0 ? newer.low : older.low,
    close: newer.close,
    volume: sumOf(older.volume, newer.volume),
    quoteVolume: sumOf(older.quoteVolume, newer.quoteVolume),
    takerVolume: sumOf(older.takerVolume, newer.takerVolume),
    takerQuoteVolume: sumOf(older.takerQuoteVolume, newer.takerQuoteVolume),
    firstId: older.firstId,
    lastId: newer.lastId,
    count: older.count + newer.count,
  };
}

/** Spelled as the volumes of candles are: without trailing zeros. */
function sumOf(a: string, b: string): string {
  const sum = new DecimalSum();
  sum.set(a);
  sum.add(parseDecimal(b));
  return sum.text;
}

/** Consecutive candles, oldest first, as one; null of none. */
export function foldCandles(candles: readonly Candle[]): Candle | null {
  let folded: Candle | null = null;
  for (const candle of candles) folded = folded === null ? candle : mergeCandles(folded, candle);
  return folded;
}

/** What a window that is folded into one candle says as a ticker; `closeTime`: of the last change. */
export function tickerOf(window: Candle, closeTime: number): WindowTicker {
  const open = parseDecimal(window.open);
  const change = subtract(window.close, window.open);
  return {
    open: window.open,
    high: window.high,
    low: window.low,
    close: window.close,
    volume: window.volume,
    quoteVolume: window.quoteVolume,
    openTime: window.openTime,
    closeTime,
    partial: window.partial,
    change,
    changePercent: open.units === 0 ? "0.000" : ratio(multiply(parseDecimal(change), HUNDRED), open, PERCENT_SCALE),
    weightedAverage: averageOf(window),
    firstId: window.firstId,
    lastId: window.lastId,
    count: window.count,
  };
}

/** The average price by volume; the last price where nothing was traded. */
export function averageOf(window: Candle): string {
  const volume = parseDecimal(window.volume);
  return volume.units === 0 ? window.close : ratio(parseDecimal(window.quoteVolume), volume, AVERAGE_SCALE);
}
