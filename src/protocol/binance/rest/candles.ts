/**
 * Candles over REST: klines of every interval and time zone, the average price, rolling windows.
 *
 * Invariants: closed candles that are partial are left out (DESIGN 4), the current one is not; an interval that its owner
 * does not build (another time zone's day) is put together from the longest one that divides it.
 */
import { averageOf, foldCandles, mergeCandles, tickerOf } from "../../../channel/candle-fold.ts";
import type { Instrument } from "../../../channel/instruments.ts";
import { INTERVALS, type Interval } from "../../../channel/kinds.ts";
import { MINUTE_MS, spansAt } from "../../../channel/spans.ts";
import type { Candle, WindowTicker } from "../../../channel/types.ts";
import type { Market } from "./market.ts";
import type { Query } from "./query.ts";
import { refuse } from "./replies.ts";

const DAY_MINUTES = 1440;
/** Intervals of a fixed length that divides a day, longest first, in minutes. */
const PARTS: readonly (readonly [interval: Interval, minutes: number])[] = [
  ["4h", 240],
  ["2h", 120],
  ["1h", 60],
  ["30m", 30],
  ["15m", 15],
  ["5m", 5],
  ["3m", 3],
  ["1m", 1],
];
/** Candles that an owner keeps, at least. */
const KEPT = 500;
const AVERAGE_SECONDS = 300;
const TIME_ZONE = /^([+-]?)(\d{1,2})(?::(\d{2}))?$/;
const WINDOW = /^([1-9]\d?)([mhd])$/;
const WINDOW_MOST: Readonly<Record<string, number>> = { m: 59, h: 23, d: 7 };
const UNIT_MINUTES: Readonly<Record<string, number>> = { m: 1, h: 60, d: DAY_MINUTES };

/** `pairs`: USD-M continuousKlines, of a pair's perpetual contract. */
export async function klines(market: Market, query: Query, pairs = false): Promise<string> {
  const symbol = pairs ? query.symbol("pair") : query.symbol();
  if (pairs && query.mandatory("contractType") !== "PERPETUAL") throw refuse.invalid("contractType");
  const interval = INTERVALS.find((one) => one === query.mandatory("interval"));
  if (interval === undefined || (!market.isSpot && interval === "1s")) throw refuse.interval();
  const start = query.number("startTime");
  const end = query.number("endTime");
  const offset = market.isSpot ? offsetMinutes(query.optional("timeZone")) : 0;
  const most = market.isSpot ? 1000 : 1500;
  const limit = query.limit({ normal: 500, most, over: market.isSpot ? "clamp" : "refuse" });
  query.end();
  if (!market.isSpot && start !== null && end !== null && start > end) throw refuse.startAfterEnd();
  const all = await candlesAt(market, market.find(symbol), interval, offset);
  const asked = all.filter(
    (candle) =>
      !(candle.closed && candle.partial) &&
      (start === null || candle.openTime >= start) &&
      (end === null || candle.openTime <= end),
  );
  const page = start === null ? asked.slice(-limit) : asked.slice(0, limit);
  return `[${page.map(klineText).join(",")}]`;
}

function klineText(c: Candle): string {
  return (
    `[${c.openTime},"${c.open}","${c.high}","${c.low}","${c.close}","${c.volume}",${c.closeTime},` +
    `"${c.quoteVolume}",${c.count},"${c.takerVolume}","${c.takerQuoteVolume}","0"]`
  );
}

/** `-1:00`, `05:45`, `8`: minutes ahead of UTC, from -12:00 to +14:00. */
function offsetMinutes(text: string | null): number {
  if (text === null) return 0;
  // A plus sign in a query is a space.
  const parts = TIME_ZONE.exec(text.replace(" ", "+"));
  if (parts === null) throw refuse.invalid("timeZone");
  const minutes = Number(parts[2]) * 60 + Number(parts[3] ?? 0);
  const offset = parts[1] === "-" ? -minutes : minutes;
  if (Number(parts[3] ?? 0) > 59 || offset < -720 || offset > 840) throw refuse.invalid("timeZone");
  return offset;
}

async function candlesAt(
  market: Market,
  instrument: Instrument,
  interval: Interval,
  offset: number,
): Promise<readonly Candle[]> {
  const length = PARTS.find(([one]) => one === interval)?.[1] ?? lengthMinutes(interval);
  const part =
    offset % length === 0 ? null : PARTS.find(([, minutes]) => offset % minutes === 0 && length % minutes === 0);
  if (part === null || part === undefined) return (await market.candles(instrument, interval)).candles;
  return regroup((await market.candles(instrument, part[0])).candles, interval, offset);
}

/** Of intervals longer than four hours; those that hold whole days only have to begin at midnight. */
function lengthMinutes(interval: Interval): number {
  if (interval === "1s") return 1;
  const hours = interval.endsWith("h") ? Number(interval.slice(0, -1)) : 24;
  return hours * 60;
}

function regroup(parts: readonly Candle[], interval: Interval, offset: number): Candle[] {
  const spans = spansAt(interval, offset * MINUTE_MS);
  const groups = new Map<number, Candle>();
  for (const candle of parts) {
    const index = spans.indexOf(candle.openTime);
    const whole = groups.get(index);
    groups.set(index, whole === undefined ? candle : mergeCandles(whole, candle));
  }
  return [...groups].map(([index, candle]) => {
    const openTime = spans.startOf(index);
    const closeTime = spans.startOf(index + 1) - 1;
    const partial = candle.partial || candle.openTime > openTime;
    return {
      ...candle,
      interval,
      openTime,
      closeTime,
      closed: candle.closed && candle.closeTime === closeTime,
      partial,
    };
  });
}

export async function avgPrice(market: Market, query: Query): Promise<string> {
  const symbol = query.symbol();
  query.end();
  const { candles, time } = await market.candles(market.find(symbol), "1s");
  const start = (candles.at(-1)?.openTime ?? 0) - (AVERAGE_SECONDS - 1) * 1000;
  const window = foldCandles(candles.filter((candle) => candle.openTime >= start));
  const price = window === null ? "0.00000000" : averageOf(window);
  return `{"mins":${AVERAGE_SECONDS / 60},"price":"${price}","closeTime":${time}}`;
}

/** `1m` to `59m`, `1h` to `23h`, `1d` to `7d`, as minutes. */
export function windowMinutes(text: string | null): number {
  if (text === null) return DAY_MINUTES;
  const parts = WINDOW.exec(text);
  if (parts === null) throw refuse.illegal("windowSize", "^[1-9][0-9]{0,1}[mhd]$");
  const [count, unit] = [Number(parts[1]), parts[2] as string];
  if (count > WINDOW_MOST[unit]!) throw refuse.invalid("windowSize");
  return count * UNIT_MINUTES[unit]!;
}

/** A rolling window from the shortest candles that reach back far enough; it begins where one of them begins. */
export async function windowTicker(
  market: Market,
  instrument: Instrument,
  minutes: number,
): Promise<WindowTicker | null> {
  const [interval, length] = PARTS.findLast(([, one]) => one * KEPT >= minutes) ?? PARTS[0]!;
  const { candles, time } = await market.candles(instrument, interval);
  const now = candles.at(-1);
  if (now === undefined) return null;
  const start = now.openTime - Math.ceil(minutes / length) * length * MINUTE_MS;
  const window = foldCandles(candles.filter((candle) => candle.openTime >= start));
  return window === null ? null : { ...tickerOf(window, time), openTime: start };
}

/** Since midnight of a time zone. */
export async function dayTicker(market: Market, instrument: Instrument, offset: number): Promise<WindowTicker | null> {
  const today = (await candlesAt(market, instrument, "1d", offset)).at(-1);
  return today === undefined ? null : { ...tickerOf(today, today.closeTime), openTime: today.openTime };
}

export const timeZoneOf = offsetMinutes;
