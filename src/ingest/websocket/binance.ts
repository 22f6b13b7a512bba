/**
 * Venues `binance` (spot) and `binance-usdm`: market streams, combined, and books by REST snapshot and deltas.
 *
 * USD-M speaks on two routes, `/public` (books, best prices, trades) and `/market` (the rest), so it takes two connections.
 * Streams stand in the URL: one connection has at most 1,024, which is 40 symbols of ours.
 * Rules: developers.binance.com, web socket streams; "how to manage a local order book correctly".
 */
import { INTERVALS } from "../../channel/kinds.ts";
import { SNAPSHOT_STREAM } from "../mapper/mod.ts";
import type { BookDelta, BooksByRest, Link, Venue } from "./venue.ts";

const SYMBOLS_MAX = 40;
/** Snapshots of 1,000 levels cost a fifth of the largest ones; what lies below is known as far as it changes. */
const LEVELS = 1000;
const SPOT_CANDLES = INTERVALS.map((interval) => `kline_${interval}`);
const USDM_CANDLES = SPOT_CANDLES.filter((stream) => stream !== "kline_1s");
const SPOT = ["depth@100ms", "trade", "aggTrade", "bookTicker", "ticker", "miniTicker", ...SPOT_CANDLES];
const PUBLIC = ["depth@100ms", "trade", "bookTicker"];
const MARKET = ["aggTrade", "markPrice@1s", "forceOrder", "ticker", "miniTicker", ...USDM_CANDLES];

const KINDS = ["trade", "depth", "aggTrade", "bookTicker", "ticker", "miniTicker", "kline"] as const;

export const binance: Venue = {
  name: "binance",
  market: "spot",
  mapper: "binance_spot",
  provides: KINDS,
  base: "wss://stream.binance.com:9443",
  rest: "https://api.binance.com",
  example: "BTCUSDT",
  spell,
  links: (symbols) =>
    grouped(symbols).map((group, at) =>
      link(at === 0 ? "" : String(at + 1), "/stream", SPOT, group, byRest("/api/v3/depth", group)),
    ),
};

export const binanceUsdm: Venue = {
  name: "binance-usdm",
  market: "usdm",
  mapper: "binance_usdm",
  provides: [...KINDS, "markPrice", "liquidation"],
  base: "wss://fstream.binance.com",
  rest: "https://fapi.binance.com",
  example: "BTCUSDT",
  spell,
  links: (symbols) =>
    grouped(symbols).flatMap((group, at) => {
      const suffix = at === 0 ? "" : `-${at + 1}`;
      return [
        link(`public${suffix}`, "/public/stream", PUBLIC, group, byRest("/fapi/v1/depth", group)),
        link(`market${suffix}`, "/market/stream", MARKET, group, { by: "none" }),
      ];
    }),
};

/** `btc/usdt` -> `BTCUSDT`; delivery contracts keep their date: `BTCUSDT_250926`. */
function spell(typed: string): string | null {
  const symbol = typed.toUpperCase().replaceAll(/[/-]/g, "");
  return /^[\p{L}\p{Nd}]{2,30}(_\d{6})?$/u.test(symbol) ? symbol : null;
}

function grouped(symbols: readonly string[]): string[][] {
  const groups: string[][] = [];
  for (let i = 0; i < symbols.length; i += SYMBOLS_MAX) groups.push(symbols.slice(i, i + SYMBOLS_MAX));
  return groups;
}

function link(
  name: string,
  path: string,
  streams: readonly string[],
  symbols: readonly string[],
  books: Link["books"],
): Link {
  const all = symbols.flatMap((symbol) => streams.map((stream) => `${symbol.toLowerCase()}@${stream}`));
  return {
    name,
    path: `${path}?streams=${all.join("/")}`,
    hello: [],
    silenceMs: 30_000,
    ping: '{"method":"LIST_SUBSCRIPTIONS","id":1}',
    books,
    refusal: /^\{"error":/,
  };
}

function byRest(path: string, symbols: readonly string[]): BooksByRest {
  return {
    by: "rest",
    symbols,
    path: (symbol) => `${path}?symbol=${encodeURIComponent(symbol)}&limit=${LEVELS}`,
    record(symbol, reply) {
      const body = json(reply);
      const last = body?.lastUpdateId;
      if (body === null || typeof last !== "number" || !Array.isArray(body.bids)) return null;
      return { text: JSON.stringify({ stream: `${symbol.toLowerCase()}@${SNAPSHOT_STREAM}`, data: body }), last };
    },
    bookOf,
    delta,
    isReadable: (frame) => json(frame) !== null && (delta(frame) !== null || !frame.includes('"e":"depthUpdate"')),
  };
}

const COMBINED = '{"stream":"';

function bookOf(frame: string): string | null {
  const at = frame.indexOf("@", COMBINED.length);
  if (!frame.startsWith(COMBINED) || !frame.startsWith("depth@", at + 1)) return null;
  return frame.slice(COMBINED.length, at).toUpperCase();
}

function delta(frame: string): BookDelta | null {
  if (!frame.includes('"e":"depthUpdate"')) return null;
  const message = json(frame);
  const event = (message?.data ?? message) as Record<string, unknown> | null | undefined;
  const { s, U, u, pu } = event ?? {};
  if (typeof s !== "string" || typeof U !== "number" || typeof u !== "number") return null;
  return { symbol: s, prev: typeof pu === "number" ? pu : U - 1, last: u };
}

function json(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null; // A reply or frame that is no JSON is no book; the mapper counts the frame.
  }
}
