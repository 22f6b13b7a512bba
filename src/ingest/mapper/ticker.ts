/** A venue's 24 h statistics as our ticker: what it does not say is worked out where that is exact, else unknown. */
import { divide, isDecimal, isZero, subtract, times } from "../../channel/decimal.ts";
import type { MiniTicker, Ticker } from "../../channel/types.ts";
import type { MappedUpdate } from "./mapper.ts";

export const DAY_MS = 86_400_000;

export interface DayStatistics {
  readonly open: unknown;
  readonly high: unknown;
  readonly low: unknown;
  readonly close: unknown;
  readonly volume: unknown;
  /** Null: the venue does not say. */
  readonly quoteVolume: unknown;
  readonly lastQuantity: unknown;
  /** Id of the last trade; -1 if unknown. */
  readonly lastId: number;
  readonly time: number;
}

/** Updates of the channels `ticker` and `miniTicker`; null if a number is unsound. */
export function tickerUpdates(prefix: string, day: DayStatistics): MappedUpdate[] | null {
  const { open, high, low, close, volume, lastQuantity, lastId, time } = day;
  const quoteVolume = day.quoteVolume ?? "0";
  const all = [open, high, low, close, volume, quoteVolume, lastQuantity];
  if (!all.every(isDecimal) || !Number.isSafeInteger(time)) return null;
  const texts = all as string[];
  const [o, h, l, c, v, q, last] = texts as [string, string, string, string, string, string, string];
  const mini: MiniTicker = {
    open: o,
    high: h,
    low: l,
    close: c,
    volume: v,
    quoteVolume: q,
    openTime: time - DAY_MS,
    closeTime: time,
    partial: false,
  };
  const change = subtract(c, o);
  const data: Ticker = {
    ...mini,
    change,
    changePercent: isZero(o) ? "0.000" : divide(times(change, "100"), o, 3),
    weightedAverage: isZero(v) || isZero(q) ? "0" : divide(q, v, 8),
    previousClose: o,
    lastQuantity: last,
    firstId: -1,
    lastId,
    count: 0,
  };
  return [
    { channel: `${prefix}@ticker`, kind: "ticker", user: "", time, type: "value", data },
    { channel: `${prefix}@miniTicker`, kind: "miniTicker", user: "", time, type: "value", data: mini },
  ];
}
