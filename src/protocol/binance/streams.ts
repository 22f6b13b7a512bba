/**
 * Binance stream names: which channel and rung `btcusdt@depth@100ms` means.
 *
 * On the path: decode and open() -> STREAMS.
 * Invariants: names are case-sensitive, symbols lower case; a well-formed name we do not have is no error: Binance itself
 * accepts it and stays silent.
 */
import { INTERVALS } from "../../channel/kinds.ts";
import { NAME_LENGTH_MAX } from "../../channel/name.ts";
import type { Rung } from "../../ring/messages.ts";
import type { StreamRequest } from "../dialect.ts";
import { nameOf } from "../names.ts";

/** Canonical stream of a channel and the rung the asked speed means. */
interface Speed {
  readonly stream: string;
  readonly rung: Rung;
}

const USDM_INTERVALS = INTERVALS.filter((interval) => interval !== "1s");
const BOOKS = ["depth", "depth5", "depth10", "depth20"];

const STREAMS: Readonly<Record<string, ReadonlyMap<string, Speed>>> = {
  spot: new Map<string, Speed>([
    ...same(["trade", "aggTrade", "bookTicker"], 0),
    ...same(["ticker", "miniTicker"], 1000),
    ...BOOKS.flatMap((book) => speeds(book, 1000, [100, 1000])),
    ...INTERVALS.flatMap((interval) => same([`kline_${interval}`], interval === "1s" ? 1000 : 2000)),
  ]),
  usdm: new Map<string, Speed>([
    ...same(["trade", "bookTicker", "forceOrder"], 0),
    ...same(["aggTrade"], 100),
    ...same(["ticker", "miniTicker"], 2000),
    ...BOOKS.flatMap((book) => speeds(book, 250, [100, 250, 500])),
    ...same(
      USDM_INTERVALS.map((interval) => `kline_${interval}`),
      250,
    ),
    ...same(["markPrice"], 3000),
    ["markPrice@1s", { stream: "markPrice", rung: 1000 }],
  ]),
};

function same(streams: readonly string[], rung: Rung): [string, Speed][] {
  return streams.map((stream) => [stream, { stream, rung }]);
}

/** A stream with its default speed and every speed one may name. */
function speeds(stream: string, normal: Rung, named: readonly Rung[]): [string, Speed][] {
  return [
    [stream, { stream, rung: normal }],
    ...named.map((rung): [string, Speed] => [`${stream}@${rung}ms`, { stream, rung }]),
  ];
}

/** No white space, control character, quote or backslash: anything else may be a name, known or not. */
const WELL_FORMED = /^[^\s\p{C}"\\]+$/u;

export function isWellFormed(name: unknown): name is string {
  return typeof name === "string" && name.length <= NAME_LENGTH_MAX && WELL_FORMED.test(name);
}

/** What a well-formed name asks for in a market; null if there is no such stream. */
export function findStream(market: string, name: string): StreamRequest | null {
  const at = name.indexOf("@");
  const symbol = name.slice(0, Math.max(at, 0));
  if (symbol === "" || symbol !== symbol.toLowerCase() || symbol.includes(":")) return null;
  const speed = STREAMS[market]?.get(name.slice(at + 1));
  if (speed === undefined) return null;
  return { asked: name, channel: nameOf(market, symbol, speed.stream), rung: speed.rung, since: null };
}

/** The known ones among distinct names, in order. */
export function findStreams(market: string, names: readonly string[]): StreamRequest[] {
  const found: StreamRequest[] = [];
  for (const name of new Set(names)) {
    const stream = isWellFormed(name) ? findStream(market, name) : null;
    if (stream !== null) found.push(stream);
  }
  return found;
}
