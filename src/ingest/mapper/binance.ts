/**
 * Mappers `binance_spot` and `binance_usdm`: messages of Binance's market streams as JSON text, raw or combined.
 *
 * On the path: source -> MAPPER -> derive.
 *
 *     {"e":"depthUpdate","E":..,"s":"ETHUSDT","U":157,"u":160,["pu":149,]"b":[[price,quantity],..],"a":[..]}        raw
 *     {"stream":"ethusdt@depth@100ms","data":{..}}                                                             combined
 *     {"stream":"ethusdt@depthSnapshot","data":{"lastUpdateId":160,"bids":[..],"asks":[..]}}     REST reply, by our source
 *
 * A delta continues the book up to `U - 1` (spot) or `pu` (USD-M): developers.binance.com, "How to manage a local order
 * book correctly". Only the combined form tells a partial book (`@depth5`) from a delta (USD-M) or whose it is (spot).
 * Spot's trade and aggTrade ids and USD-M's aggTrade ids are dense, USD-M's trade ids only rise. Arrays (`!ticker@arr`) are
 * their elements. Replies and events our kinds cannot say (avgPrice, rolling windows, composite indices) give no update.
 */
import type { AggTrade, BookTicker, Candle, Liquidation, MarkPrice, MiniTicker, Ticker } from "../../channel/types.ts";
import { binanceFault } from "./binance-faults.ts";
import { type Fields, idOf, isFields, type PrefixOf, parsed, prefixes, wholeOf } from "./fields.ts";
import { isAmount, readDepth } from "./levels.ts";
import type { Learn, Malformed, MappedUpdate, Mapper } from "./mapper.ts";
import { DAY_MS } from "./ticker.ts";

type Mapped = readonly MappedUpdate[] | Malformed;

/** What an event's reader gets: its fields, and how its channels are called. */
interface Event {
  readonly fields: Fields;
  readonly prefix: string;
  readonly time: number;
  /** Of the combined form, without the symbol: `depth5@100ms`; '' in the raw form. */
  readonly stream: string;
  readonly isUsdm: boolean;
}
type Read = (event: Event) => readonly MappedUpdate[] | null;

const NONE: readonly MappedUpdate[] = [];
const REFUSED: Malformed = { malformed: "instrument refused" };

const EVENTS: ReadonlyMap<unknown, Read> = new Map<unknown, Read>([
  ["depthUpdate", deltaOf],
  ["trade", tradeOf],
  ["aggTrade", aggTradeOf],
  ["kline", candleOf],
  ["24hrTicker", tickerOf],
  ["24hrMiniTicker", miniTickerOf],
  ["bookTicker", bookTickerOf],
  ["markPriceUpdate", markPriceOf],
  ["forceOrder", liquidationOf],
]);

export const createBinanceSpot = (learn: Learn): Mapper => create("binance_spot", "spot", learn);
export const createBinanceUsdm = (learn: Learn): Mapper => create("binance_usdm", "usdm", learn);

function create(name: string, market: "spot" | "usdm", learn: Learn): Mapper {
  const prefixOf = prefixes(learn, market);
  return {
    name,
    version: 1,
    map(value) {
      const read = parsed(value);
      if ("malformed" in read) return read;
      const { json } = read;
      if (isFields(json) && typeof json.stream === "string") return payload(json.data, json.stream, market, prefixOf);
      return payload(json, "", market, prefixOf);
    },
  };
}

function payload(data: unknown, stream: string, market: string, prefixOf: PrefixOf): Mapped {
  if (!Array.isArray(data)) return one(data, stream, market, prefixOf);
  const updates: MappedUpdate[] = [];
  for (const element of data as readonly unknown[]) {
    const mapped = one(element, "", market, prefixOf);
    if ("malformed" in mapped) return mapped;
    updates.push(...mapped);
  }
  return updates;
}

function one(fields: unknown, stream: string, market: string, prefixOf: PrefixOf): Mapped {
  if (!isFields(fields)) return { malformed: "no object", suspect: true };
  const read = readerOf(fields);
  if (read === null) return NONE;
  const at = stream.indexOf("@");
  const inner = isFields(fields.o) ? fields.o.s : undefined;
  const symbol = fields.s ?? inner ?? (at > 0 ? stream.slice(0, at).toUpperCase() : undefined);
  const isUsdm = market === "usdm";
  if (typeof symbol !== "string") return read === deltaOf ? bad(fields, read, isUsdm) : NONE;
  const time = fields.E === undefined ? 0 : wholeOf(fields.E);
  if (Number.isNaN(time)) return bad(fields, read, isUsdm);
  const prefix = prefixOf(symbol);
  if (prefix === null) return REFUSED;
  return read({ fields, prefix, time, stream: stream.slice(at + 1), isUsdm }) ?? bad(fields, read, isUsdm, prefix);
}

function bad(fields: Fields, read: Read, isUsdm: boolean, prefix?: string): Malformed {
  const name = String(fields.e ?? (read === bookTickerOf ? "bookTicker" : "book"));
  const items = ITEMS.get(read);
  return {
    malformed: `bad ${String(fields.e ?? "book")}`,
    suspect: read === deltaOf || read === snapshotOf,
    why: () => binanceFault(name, fields, isUsdm),
    ...(items === undefined || prefix === undefined ? {} : { misses: `${prefix}@${items}` }),
  };
}

/** Streams of items, none of which may be missed. */
const ITEMS: ReadonlyMap<Read, string> = new Map<Read, string>([
  [tradeOf, "trade"],
  [aggTradeOf, "aggTrade"],
  [liquidationOf, "forceOrder"],
]);

/** Spot's bookTicker and books have no `e`. */
function readerOf(fields: Fields): Read | null {
  if (fields.e !== undefined) return EVENTS.get(fields.e) ?? null;
  if (fields.lastUpdateId !== undefined) return snapshotOf;
  return fields.b !== undefined && fields.a !== undefined ? bookTickerOf : null;
}

const PARTIAL = /^depth(5|10|20)(@|$)/;

function deltaOf({ fields, prefix, time, stream, isUsdm }: Event): MappedUpdate[] | null {
  const levels = PARTIAL.exec(stream)?.[1];
  if (levels !== undefined) return partialOf(prefix, levels, fields.b, fields.a, time);
  const data = readDepth("delta", fields.b, fields.a);
  const [prev, last] = [isUsdm ? wholeOf(fields.pu) : wholeOf(fields.U) - 1, wholeOf(fields.u)];
  if (data === null || Number.isNaN(prev + last)) return null;
  return [{ channel: `${prefix}@depth`, kind: "depth", user: "", time, type: "delta", data, sequence: { prev, last } }];
}

function snapshotOf({ fields, prefix, time, stream }: Event): readonly MappedUpdate[] | null {
  const levels = PARTIAL.exec(stream)?.[1];
  if (levels !== undefined) return partialOf(prefix, levels, fields.bids, fields.asks, time);
  if (stream !== SNAPSHOT_STREAM) return NONE;
  const data = readDepth("snapshot", fields.bids, fields.asks);
  const last = wholeOf(fields.lastUpdateId);
  if (data === null || Number.isNaN(last)) return null;
  const sequence = { prev: null, last };
  return [{ channel: `${prefix}@depth`, kind: "depth", user: "", time, type: "snapshot", data, sequence }];
}

/** How our source calls a REST snapshot that it hands on: `<symbol>@depthSnapshot`. */
export const SNAPSHOT_STREAM = "depthSnapshot";

function partialOf(prefix: string, levels: string, bids: unknown, asks: unknown, time: number): MappedUpdate[] | null {
  const data = readDepth("snapshot", bids, asks);
  if (data === null) return null;
  return [{ channel: `${prefix}@depth${levels}`, kind: "partialDepth", user: "", time, type: "value", data }];
}

function tradeOf({ fields: { t, p, q, T, m }, prefix, isUsdm }: Event): MappedUpdate[] | null {
  const [id, time] = [idOf(t), wholeOf(T)];
  if (id === null || id.t < 0 || !isAmount(p) || !isAmount(q) || Number.isNaN(time)) return null;
  const data = [{ ...id, price: p, quantity: q, side: m === true ? "sell" : "buy", time } as const];
  const sequence = { prev: isUsdm ? null : id.t - 1, last: id.t };
  return [{ channel: `${prefix}@trade`, kind: "trade", user: "", time, type: "items", data, sequence }];
}

function aggTradeOf({ fields: { a, p, q, f, l, T, m }, prefix }: Event): MappedUpdate[] | null {
  const [number, firstId, lastId, time] = [wholeOf(a), wholeOf(f), wholeOf(l), wholeOf(T)];
  if (!isAmount(p) || !isAmount(q) || Number.isNaN(number + firstId + lastId + time)) return null;
  const trade: AggTrade = {
    a: number,
    price: p,
    quantity: q,
    firstId,
    lastId,
    side: m === true ? "sell" : "buy",
    time,
  };
  const sequence = { prev: number - 1, last: number };
  return [{ channel: `${prefix}@aggTrade`, kind: "aggTrade", user: "", time, type: "items", data: [trade], sequence }];
}

const INTERVALS = /^(1s|1m|3m|5m|15m|30m|1h|2h|4h|6h|8h|12h|1d|3d|1w|1M)$/;

function candleOf({ fields: { k }, prefix, time, stream }: Event): readonly MappedUpdate[] | null {
  // Candles of another time zone are others.
  if (stream.includes("@")) return NONE;
  if (!isFields(k) || typeof k.i !== "string" || !INTERVALS.test(k.i)) return null;
  const texts = amounts([k.o, k.h, k.l, k.c, k.v, k.q, k.V, k.Q]);
  const numbers = [k.t, k.T, k.f, k.L, k.n].map(wholeOf);
  if (texts === null || numbers.some(Number.isNaN) || typeof k.x !== "boolean") return null;
  const [open = "", high = "", low = "", close = "", volume = "", quoteVolume = "", taker = "", takerQuote = ""] =
    texts;
  const [openTime = 0, closeTime = 0, firstId = -1, lastId = -1, count = 0] = numbers;
  const candle: Candle = {
    interval: k.i,
    openTime,
    closeTime,
    open,
    high,
    low,
    close,
    volume,
    quoteVolume,
    takerVolume: taker,
    takerQuoteVolume: takerQuote,
    firstId,
    lastId,
    count,
    closed: k.x,
    partial: false,
  };
  return [{ channel: `${prefix}@kline_${k.i}`, kind: "kline", user: "", time, type: "candles", data: [candle] }];
}

function miniOf(fields: Fields, openTime: number, closeTime: number): MiniTicker | null {
  const texts = amounts([fields.o, fields.h, fields.l, fields.c, fields.v, fields.q]);
  if (texts === null || Number.isNaN(openTime + closeTime)) return null;
  const [open = "", high = "", low = "", close = "", volume = "", quoteVolume = ""] = texts;
  return { open, high, low, close, volume, quoteVolume, openTime, closeTime, partial: false };
}

function miniTickerOf({ fields, prefix, time }: Event): MappedUpdate[] | null {
  const data = miniOf(fields, time - DAY_MS, time);
  if (data === null) return null;
  return [{ channel: `${prefix}@miniTicker`, kind: "miniTicker", user: "", time, type: "value", data }];
}

function tickerOf({ fields, prefix, time }: Event): MappedUpdate[] | null {
  const mini = miniOf(fields, wholeOf(fields.O), wholeOf(fields.C));
  const { p: change, P: changePercent, w, Q } = fields;
  const [firstId, lastId, count] = [wholeOf(fields.F), wholeOf(fields.L), wholeOf(fields.n)];
  if (mini === null || typeof change !== "string" || typeof changePercent !== "string") return null;
  if (!isAmount(w) || !isAmount(Q) || Number.isNaN(firstId + lastId + count)) return null;
  // USD-M does not say what was before the window.
  const previousClose = isAmount(fields.x) ? fields.x : mini.open;
  const rest = { weightedAverage: w, previousClose, lastQuantity: Q, firstId, lastId, count };
  const data: Ticker = { ...mini, change, changePercent, ...rest };
  return [{ channel: `${prefix}@ticker`, kind: "ticker", user: "", time, type: "value", data }];
}

function bookTickerOf({ fields: { b, B, a, A }, prefix, time }: Event): MappedUpdate[] | null {
  if (!isAmount(b) || !isAmount(B) || !isAmount(a) || !isAmount(A)) return null;
  const data: BookTicker = { bid: b, bidQuantity: B, ask: a, askQuantity: A };
  return [{ channel: `${prefix}@bookTicker`, kind: "bookTicker", user: "", time, type: "value", data }];
}

function markPriceOf({ fields: { p, ap, i, P, r, T }, prefix, time }: Event): MappedUpdate[] | null {
  const next = wholeOf(T);
  // `ap` is younger than some recordings; a contract without funding has an empty `r`.
  const texts = amounts([p, ap ?? p, i, P]);
  if (texts === null || typeof r !== "string" || Number.isNaN(next)) return null;
  const [mark = "", markAverage = "", index = "", settle = ""] = texts;
  const fundingRate = r === "" ? "0" : r;
  const data: MarkPrice = { mark, markAverage, index, settle, fundingRate, nextFundingTime: next };
  return [{ channel: `${prefix}@markPrice`, kind: "markPrice", user: "", time, type: "value", data }];
}

function liquidationOf({ fields: { o }, prefix, time }: Event): MappedUpdate[] | null {
  if (!isFields(o) || (o.S !== "BUY" && o.S !== "SELL")) return null;
  const texts = amounts([o.p, o.ap, o.q, o.z]);
  const at = wholeOf(o.T);
  if (texts === null || Number.isNaN(at)) return null;
  const [price = "", averagePrice = "", quantity = "", filled = ""] = texts;
  const data: Liquidation = { side: o.S === "BUY" ? "buy" : "sell", price, averagePrice, quantity, filled, time: at };
  return [{ channel: `${prefix}@forceOrder`, kind: "liquidation", user: "", time, type: "items", data: [data] }];
}

function amounts(values: readonly unknown[]): readonly string[] | null {
  return values.every(isAmount) ? (values as readonly string[]) : null;
}
