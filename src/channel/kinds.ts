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
}

const of = (kind: Kind, family: Family, derived: StreamKind["derived"] = "", levels = 0): StreamKind => ({
  kind,
  family,
  interval: "",
  levels,
  derived,
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
  ...INTERVALS.map((interval): [string, StreamKind] => [
    `kline_${interval}`,
    { ...of("kline", "candles", "trade"), interval },
  ]),
]);

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
