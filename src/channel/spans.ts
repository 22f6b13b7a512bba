/**
 * The intervals of candles as numbered spans of time, in UTC or at another offset from it.
 *
 * A span has an index; consecutive spans have consecutive indices. `1w` begins on Monday, `3d` is anchored at 1970-01-01
 * (as Binance does), `1M` is a calendar month.
 */
import { INTERVALS, type Interval } from "./kinds.ts";

export interface Spans {
  readonly interval: Interval;
  /** Index of the span a time in ms falls into. */
  indexOf(time: number): number;
  /** First millisecond of a span. */
  startOf(index: number): number;
}

export const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** 1970-01-01 was a Thursday. */
const FIRST_MONDAY_MS = 4 * DAY_MS;

function fixed(interval: Interval, lengthMs: number, anchorMs = 0): Spans {
  return {
    interval,
    indexOf: (time) => Math.floor((time - anchorMs) / lengthMs),
    startOf: (index) => anchorMs + index * lengthMs,
  };
}

function months(interval: Interval): Spans {
  return {
    interval,
    indexOf(time) {
      const date = new Date(time);
      return date.getUTCFullYear() * 12 + date.getUTCMonth();
    },
    startOf: (index) => Date.UTC(Math.floor(index / 12), index % 12),
  };
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS };

function spansOf(interval: Interval): Spans {
  if (interval === "1M") return months(interval);
  if (interval === "1w") return fixed(interval, 7 * DAY_MS, FIRST_MONDAY_MS);
  const unitMs = UNIT_MS[interval.slice(-1)] as number;
  return fixed(interval, Number(interval.slice(0, -1)) * unitMs);
}

const SPANS = new Map<Interval, Spans>(INTERVALS.map((interval) => [interval, spansOf(interval)]));

export const spans = (interval: Interval): Spans => SPANS.get(interval) as Spans;

/** Spans whose days begin at midnight of a time zone `offsetMs` ahead of UTC. */
export function spansAt(interval: Interval, offsetMs: number): Spans {
  const utc = spans(interval);
  return {
    interval,
    indexOf: (time) => utc.indexOf(time + offsetMs),
    startOf: (index) => utc.startOf(index) - offsetMs,
  };
}
