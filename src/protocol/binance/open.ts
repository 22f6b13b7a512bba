/**
 * What a Binance URL says: raw or combined, the streams named in it, the time unit.
 *
 * On the path: listener's upgrade -> OPEN.
 * Invariants: an unknown or malformed stream name in the URL never fails the upgrade (ccxt connects to `/ws/0`).
 * At the limit: more than STREAMS_MAX names is a 400.
 */
import type { Opening } from "../dialect.ts";
import { STREAMS_MAX } from "./decode.ts";
import { findStreams, UNSPLIT } from "./streams.ts";

const TIME_UNITS: Readonly<Record<string, "ms" | "us">> = {
  MILLISECOND: "ms",
  millisecond: "ms",
  MICROSECOND: "us",
  microsecond: "us",
};

const ROUTES = ["public", "market", "private", UNSPLIT];

/** `<prefix>/ws`, `<prefix>/ws/<a>/<b>`, `<prefix>/stream`, `<prefix>/stream?streams=<a>/<b>`. */
export function open(market: string, path: string, query: URLSearchParams): Opening | string {
  const segments = path.split("/");
  const raw = segments.indexOf("ws");
  if (raw < 0 && !segments.includes("stream"))
    return "unknown path: use /ws, /ws/<stream>/.. or /stream?streams=<stream>/..";
  const timeUnit = readTimeUnit(market, query);
  if (timeUnit === null) return "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.";
  const names = raw >= 0 ? segments.slice(raw + 1).map(decodePart) : [];
  // A `+` (kline_1d@+08:00) becomes a space where a query is decoded; no name holds one.
  for (const list of query.getAll("streams")) names.push(...list.replaceAll(" ", "+").split("/"));
  if (names.length > STREAMS_MAX) return `too many streams: ${names.length} in the URL, the most is ${STREAMS_MAX}`;
  const form = { dialect: "binance", timeUnit } as const;
  const route = market === "usdm" ? routeOf(segments) : null;
  const streams = findStreams(market, names, route);
  return { market, form, combined: raw < 0, streams, ...(route === null ? {} : { route }) };
}

/**
 * `/public/..`, `/market/..`, `/private/..`; a USD-M path without one counts as public (Binance, since 2026-04-23).
 * `/usdm/..` is ours: all streams on one connection, for programs from before that.
 */
function routeOf(segments: readonly string[]): string {
  const end = segments.findIndex((segment) => segment === "ws" || segment === "stream");
  return segments.slice(0, end).findLast((segment) => ROUTES.includes(segment)) ?? "public";
}

/** Spot only: USD-M has milliseconds. Null: not a time unit. */
function readTimeUnit(market: string, query: URLSearchParams): "ms" | "us" | null {
  const asked = query.get("timeUnit");
  if (asked === null || market !== "spot") return "ms";
  return Object.hasOwn(TIME_UNITS, asked) ? TIME_UNITS[asked]! : null;
}

/** Percent-decoded, or as it is where that is not possible. */
function decodePart(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a name that nobody has, so it is ignored like any unknown one
  }
}
