/**
 * Kinds: what the part of a channel name behind the `@` means, and the intervals of candles.
 *
 * Invariants: one stream name means one kind everywhere; whatever is not listed here is `json`.
 */
import type { Family, Kind } from "./types.ts";

/** Intervals of candles, shortest first. */
export const INTERVALS = [
  "1s",
  "1m",
  "3m",
  "5m",
  "15m",
  "30m",
  "1h",
  "2h",
  "4h",
  "6h",
  "8h",
  "12h",
  "1d",
  "3d",
  "1w",
  "1M",
] as const;
export type Interval = (typeof INTERVALS)[number];

export interface StreamKind {
  readonly kind: Kind;
  readonly family: Family;
  /** kline: its interval; else ''. */
  readonly interval: Interval | "";
  /** partialDepth: 5, 10 or 20; else 0. */
  readonly levels: number;
  /** The stream of the same instrument it can be derived from; '' if none. */
  readonly derived: "depth" | "trade" | "";
  /** How each node makes it from another stream (`from`) of the same instrument. */
  readonly made?: HowMade & { readonly from: string };
}

/**
 * `same`: another name and shape for the same values. `window`, `average`: over the current candle and the `candles`
 * before it. `span`: longer candles, of days that begin at midnight `offsetMs` ahead of UTC.
 */
export type HowMade =
  | { readonly how: "same" }
  | { readonly how: "window" | "average"; readonly candles: number }
  | { readonly how: "span"; readonly offsetMs: number };

/** The only time zone beside UTC that has streams of its own. */
export const UTC8 = { suffix: "_utc8", offsetMs: 8 * 3_600_000 } as const;

const of = (kind: Kind, family: Family, derived: StreamKind["derived"] = "", levels = 0): StreamKind => ({
  kind,
  family,
  interval: "",
  levels,
  derived,
});

/** Interval from whose candles those of a time zone's day are put together; '' where they are those of UTC. */
function partsOf(interval: Interval): Interval | "" {
  if (interval === "6h") return "2h";
  return ["12h", "1d", "3d", "1w", "1M"].includes(interval) ? "4h" : "";
}

const candlesOf = (interval: Interval): StreamKind => ({ ...of("kline", "candles", "trade"), interval });

/** Windows begin on a whole minute, so they hold up to 59,999 ms more than their name says (as Binance's do). */
const windowOf = (minutes: number): StreamKind => ({
  ...of("windowTicker", "value", "trade"),
  made: { how: "window", from: "kline_1m", candles: minutes },
});

const STREAMS: ReadonlyMap<string, StreamKind> = new Map<string, StreamKind>([
  ["trade", of("trade", "items")],
  ["aggTrade", of("aggTrade", "items", "trade")],
  ["depth", of("depth", "book")],
  ["depth5", of("partialDepth", "value", "depth", 5)],
  ["depth10", of("partialDepth", "value", "depth", 10)],
  ["depth20", of("partialDepth", "value", "depth", 20)],
  ["bookTicker", of("bookTicker", "value", "depth")],
  ["ticker", of("ticker", "value", "trade")],
  ["miniTicker", of("miniTicker", "value", "trade")],
  ["markPrice", of("markPrice", "value")],
  ["index", of("index", "value")],
  ["funding", of("funding", "value")],
  ["forceOrder", of("liquidation", "items")],
  ["ticker_1h", windowOf(60)],
  ["ticker_4h", windowOf(240)],
  ["ticker_1d", { ...of("windowTicker", "value", "trade"), made: { how: "same", from: "ticker" } }],
  ["avgPrice", { ...of("avgPrice", "value", "trade"), made: { how: "average", from: "kline_1s", candles: 299 } }],
  ...INTERVALS.map((interval): [string, StreamKind] => [`kline_${interval}`, candlesOf(interval)]),
  ...INTERVALS.map((interval): [string, StreamKind] => [
    `continuousKline_${interval}`,
    { ...candlesOf(interval), made: { how: "same", from: `kline_${interval}` } },
  ]),
  ...INTERVALS.filter((interval) => partsOf(interval) !== "").map((interval): [string, StreamKind] => [
    `kline_${interval}${UTC8.suffix}`,
    { ...candlesOf(interval), made: { how: "span", from: `kline_${partsOf(interval)}`, offsetMs: UTC8.offsetMs } },
  ]),
]);

/** All-market streams, and the stream that each instrument adds to them. */
const ALL_MARKET: ReadonlyMap<string, string> = new Map([
  ["!ticker@arr", "ticker"],
  ["!miniTicker@arr", "miniTicker"],
  ["!ticker_1h@arr", "ticker_1h"],
  ["!ticker_4h@arr", "ticker_4h"],
  ["!ticker_1d@arr", "ticker_1d"],
  ["!markPrice@arr", "markPrice"],
  ["!bookTicker", "bookTicker"],
  ["!forceOrder@arr", "forceOrder"],
  ["!contractInfo", "instrument"],
]);

/** The member stream of an all-market stream, `instrument` for the instruments themselves; null if there is no such. */
export const memberStream = (stream: string): string | null => ALL_MARKET.get(stream) ?? null;

const TOPICS: ReadonlyMap<string, StreamKind> = new Map<string, StreamKind>([
  ["instrument", of("instrument", "items")],
  ["balance", of("private", "items")],
  ["order", of("private", "items")],
  ["position", of("private", "items")],
]);

const JSON_STREAM = of("json", "value");

/** Kinds that can be made from others: an update of one of them is taken only from a source that says it provides it. */
export const DERIVABLE: ReadonlySet<Kind> = new Set(
  [...STREAMS.values()].filter((entry) => entry.derived !== "").map((entry) => entry.kind),
);

/** What a stream of an instrument is. */
export const streamKind = (stream: string): StreamKind => STREAMS.get(stream) ?? JSON_STREAM;

/** What a bare topic is. */
export const topicKind = (topic: string): StreamKind => TOPICS.get(topic) ?? JSON_STREAM;

/** The family a kind has unless it is configured otherwise (json). */
export function familyOf(kind: Kind): Family {
  for (const table of [STREAMS, TOPICS]) {
    for (const entry of table.values()) if (entry.kind === kind) return entry.family;
  }
  return JSON_STREAM.family;
}
