/**
 * Binance stream names: which channel and rung `btcusdt@depth@100ms` means.
 *
 * On the path: decode and open() -> STREAMS.
 * Invariants: names are case-sensitive, symbols lower case; a well-formed name we do not have is no error: Binance itself
 * accepts it and stays silent. So it does with a stream of another USD-M route than the connection's.
 */
import { INTERVALS, type Interval, streamKind, UTC8 } from "../../channel/kinds.ts";
import { allMarketName, NAME_LENGTH_MAX } from "../../channel/name.ts";
import type { Rung } from "../../ring/messages.ts";
import type { StreamRequest } from "../dialect.ts";
import { DEFAULT_MARKET, nameOf } from "../names.ts";

/** USD-M splits its streams over paths; spot has one for all. */
export type StreamRoute = "public" | "market";

/** Of a connection that is from before the split: every USD-M stream. */
export const UNSPLIT = "usdm";

/** Canonical stream of a channel, the rung the asked speed means, and the routes it is served on. */
interface Speed {
  readonly stream: string;
  readonly rung: Rung;
  readonly routes?: readonly StreamRoute[];
}

type Entries = readonly [name: string, speed: Speed][];

const USDM_INTERVALS = INTERVALS.filter((interval) => interval !== "1s");
const BOOKS = ["depth", "depth5", "depth10", "depth20"];
const WINDOWS = ["ticker_1h", "ticker_4h", "ticker_1d"];

/** What stands behind `<symbol>@`. */
const STREAMS: Readonly<Record<string, ReadonlyMap<string, Speed>>> = {
  spot: new Map([
    ...same(["trade", "aggTrade", "bookTicker"], 0),
    ...same(["ticker", "miniTicker", "avgPrice", ...WINDOWS], 1000),
    ...BOOKS.flatMap((book) => speeds(book, 1000, [100, 1000])),
    ...INTERVALS.flatMap((interval) => spotCandles(interval)),
  ]),
  usdm: new Map([
    // Binance does not say where; ccxt asks for it on the one, unicorn-binance-websocket-api on the other.
    ...on(["public", "market"], same(["trade"], 0)),
    ...on("public", same(["bookTicker"], 0)),
    ...on(
      "public",
      BOOKS.flatMap((book) => speeds(book, 250, [100, 250, 500])),
    ),
    ...on("market", same(["aggTrade"], 100)),
    ...on("market", same(["ticker", "miniTicker"], 2000)),
    ...on(
      "market",
      same(
        USDM_INTERVALS.map((interval) => `kline_${interval}`),
        250,
      ),
    ),
    ...on("market", markPrices("markPrice", "markPrice")),
    // Of the liquidations of a second Binance sends the largest only.
    ...on("market", same(["forceOrder"], 1000)),
  ]),
};

/** Names without a symbol: all instruments of the market. */
const ALL_MARKET: Readonly<Record<string, ReadonlyMap<string, Speed>>> = {
  spot: new Map([
    // Python clients name its speed.
    ...speeds("!miniTicker@arr", 1000, [1000, 3000]),
    ...same(["!ticker@arr", ...WINDOWS.map((window) => `!${window}@arr`)], 1000),
  ]),
  usdm: new Map([
    ...on("public", same(["!bookTicker"], 0)),
    ...on("market", same(["!ticker@arr", "!miniTicker@arr"], 2000)),
    ...on("market", markPrices("!markPrice@arr", "!markPrice@arr")),
    ...on("market", same(["!forceOrder@arr"], 1000)),
    ...on("market", same(["!contractInfo"], 0)),
  ]),
};

/** `<pair>_perpetual@continuousKline_<i>`: the pair's perpetual contract is the symbol of that name. */
const PERPETUAL = "_perpetual";
const CONTINUOUS: ReadonlyMap<string, Speed> = new Map(
  on(
    "market",
    same(
      USDM_INTERVALS.map((interval) => `continuousKline_${interval}`),
      250,
    ),
  ),
);

function same(streams: readonly string[], rung: Rung): Entries {
  return streams.map((stream) => [stream, { stream, rung }]);
}

/** A stream with its default speed and every speed one may name. */
function speeds(stream: string, normal: Rung, named: readonly Rung[]): Entries {
  return [
    [stream, { stream, rung: normal }],
    ...named.map((rung): [string, Speed] => [`${stream}@${rung}ms`, { stream, rung }]),
  ];
}

function markPrices(name: string, stream: string): Entries {
  return [
    [name, { stream, rung: 3000 }],
    [`${name}@1s`, { stream, rung: 1000 }],
  ];
}

/** Candles of UTC, and of UTC+8 where those are others. */
function spotCandles(interval: Interval): Entries {
  const rung = interval === "1s" ? 1000 : 2000;
  const stream = `kline_${interval}`;
  const inUtc8 = streamKind(stream + UTC8.suffix).kind === "kline" ? stream + UTC8.suffix : stream;
  return [
    [stream, { stream, rung }],
    [`${stream}@+08:00`, { stream: inUtc8, rung }],
  ];
}

function on(route: StreamRoute | readonly StreamRoute[], entries: Entries): Entries {
  const routes = typeof route === "string" ? [route] : route;
  return entries.map(([name, speed]) => [name, { ...speed, routes }]);
}

/** No white space, control character, quote or backslash: anything else may be a name, known or not. */
const WELL_FORMED = /^[^\s\p{C}"\\]+$/u;

export function isWellFormed(name: unknown): name is string {
  return typeof name === "string" && name.length <= NAME_LENGTH_MAX && WELL_FORMED.test(name);
}

/** What a well-formed name asks for in a market; null if there is no such stream, or none on the connection's route. */
export function findStream(market: string, name: string, route: string | null = null): StreamRequest | null {
  const found = name.startsWith("!") ? findAllMarket(market, name) : findSymbol(market, name);
  if (found === null || !isServed(found.speed, route)) return null;
  return { asked: name, channel: found.channel, rung: found.speed.rung, since: null };
}

const isServed = ({ routes }: Speed, route: string | null): boolean =>
  route === null || route === UNSPLIT || routes?.includes(route as StreamRoute) === true;

interface Found {
  readonly channel: string;
  readonly speed: Speed;
}

function findAllMarket(market: string, name: string): Found | null {
  const speed = ALL_MARKET[market]?.get(name);
  return speed === undefined ? null : { channel: allMarketName(market, speed.stream, DEFAULT_MARKET), speed };
}

function findSymbol(market: string, name: string): Found | null {
  const at = name.indexOf("@");
  const subject = name.slice(0, Math.max(at, 0));
  if (subject === "" || subject !== subject.toLowerCase() || subject.includes(":")) return null;
  const isPerpetual = market === "usdm" && subject.endsWith(PERPETUAL);
  const symbol = isPerpetual ? subject.slice(0, -PERPETUAL.length) : subject;
  const speed = (isPerpetual ? CONTINUOUS : STREAMS[market])?.get(name.slice(at + 1));
  return speed === undefined ? null : { channel: nameOf(market, symbol, speed.stream), speed };
}

/** The known ones among distinct names, in order. */
export function findStreams(market: string, names: readonly string[], route: string | null = null): StreamRequest[] {
  const found: StreamRequest[] = [];
  for (const name of new Set(names)) {
    const stream = isWellFormed(name) ? findStream(market, name, route) : null;
    if (stream !== null) found.push(stream);
  }
  return found;
}
