/**
 * Our canonical JSON: mappers `trade_v1`, `depth_v2`, `kline_v1`, `ticker_v1`, `bbo_v1`, `mark_price_v1`, `balance`,
 * `order` and `json`, for whoever writes to a topic that we read. docs/mapping.md shows a record of each.
 *
 * On the path: source -> MAPPER -> derive. A record is one JSON object as text or UTF-8 bytes. Prices and quantities are
 * best strings; JSON numbers are taken digit by digit as they stand there. Times are milliseconds since 1970.
 * Where the channel comes from: the mapping's `ws_topic` (place.ts); without one the record's `symbol` (and `market`), whose
 * instrument is learned.
 * Invariants: one update per record; what is not sound in all parts is malformed as a whole.
 */
import { isDecimal } from "../../channel/decimal.ts";
import type { BookTicker, Candle, Kind, MarkPrice, Trade } from "../../channel/types.ts";
import { blame, blameEach, type Form as Wants } from "./blame.ts";
import { type Fields, idOf, isFields, parsed, parsedExactly, wholeOf } from "./fields.ts";
import { isAmount, readDepth } from "./levels.ts";
import type { Learn, Malformed, MappedUpdate, Mapper, Skipped } from "./mapper.ts";
import type { Place } from "./place.ts";
import { tickerUpdates } from "./ticker.ts";

export interface CanonicalTools {
  readonly learn: Learn;
  /** Where the mapping's updates go; without one the record says it. */
  readonly place?: Pick<Place, "channelOf">;
}

/** The body of an update, without what every update has. */
export type Part = Partial<MappedUpdate> & Pick<MappedUpdate, "type" | "data">;
type Read = (fields: Fields, time: number) => Part | null;

interface Form {
  readonly kind: Kind;
  /** Stream of the channel if no topic says it. */
  readonly stream: string;
  readonly read: Read;
}

const FORMS = {
  trade_v1: { kind: "trade", stream: "trade", read: tradesOf },
  depth_v2: { kind: "depth", stream: "depth", read: depthOf },
  kline_v1: { kind: "kline", stream: "kline", read: candleOf },
  ticker_v1: { kind: "ticker", stream: "ticker", read: tickerOf },
  bbo_v1: { kind: "bookTicker", stream: "bookTicker", read: bestOf },
  mark_price_v1: { kind: "markPrice", stream: "markPrice", read: markPriceOf },
} as const satisfies Readonly<Record<string, Form>>;

const PASSED = { balance: "private", order: "private", json: "json" } as const satisfies Readonly<Record<string, Kind>>;

export type CanonicalName = keyof typeof FORMS | keyof typeof PASSED;

/** Reads the fields of a canonical record; null: the kind is passed on as it is. */
export function canonicalReader(kind: Kind): Read | null {
  return Object.values<Form>(FORMS).find((form) => form.kind === kind)?.read ?? null;
}

/** What a canonical mapper makes; null if the name is of another mapper. */
export function canonicalKind(name: string): Kind | null {
  if (Object.hasOwn(FORMS, name)) return FORMS[name as keyof typeof FORMS].kind;
  return Object.hasOwn(PASSED, name) ? PASSED[name as keyof typeof PASSED] : null;
}

export function createCanonical(name: CanonicalName, tools: CanonicalTools): Mapper {
  const map =
    name in PASSED ? passing(name as keyof typeof PASSED, tools) : reading(FORMS[name as keyof typeof FORMS], tools);
  return { name, version: 1, placed: tools.place !== undefined, map };
}

const bad = (kind: Kind, record: unknown): Malformed => ({
  malformed: `bad ${kind}`,
  suspect: kind === "depth",
  why: () => canonicalFault(kind, record),
});

function reading({ kind, stream, read }: Form, tools: CanonicalTools): Mapper["map"] {
  const channelOf = channels(tools);
  return (value, symbol = "") => {
    const found = parsedExactly(textOf(value));
    if ("malformed" in found) return found;
    if (!isFields(found.json)) return bad(kind, found.json);
    const time = wholeOf(found.json.time);
    const part = Number.isNaN(time) ? null : read(found.json, time);
    if (part === null) return bad(kind, found.json);
    const own = kind === "kline" ? `kline_${String(found.json.interval)}` : stream;
    const channel = channelOf(found.json, own, symbol);
    if (typeof channel !== "string") return channel;
    return [{ channel, kind, user: "", time, ...part } as MappedUpdate];
  };
}

/** The record itself is the payload; of it we read no more than whose it is. */
function passing(name: keyof typeof PASSED, tools: CanonicalTools): Mapper["map"] {
  const channelOf = channels(tools);
  const isPrivate = PASSED[name] === "private";
  return (value, symbol = "") => {
    const text = textOf(value);
    const found = parsed(text);
    if ("malformed" in found) return found;
    const fields = isFields(found.json) ? found.json : {};
    const { user, time } = fields;
    if (isPrivate && (typeof user !== "string" || user === "")) return { malformed: "no user" };
    const channel = tools.place === undefined && isPrivate ? name : channelOf(fields, "", symbol);
    if (typeof channel !== "string") return channel;
    const at = time === undefined ? 0 : wholeOf(time);
    // JSON has line feeds only between its tokens.
    const data = { json: String(text).replace(/[\r\n]+/g, " ") };
    const whose = { channel, user: isPrivate ? String(user) : "", time: Number.isNaN(at) ? 0 : at };
    if (isPrivate) return [{ ...whose, kind: "private", type: "items", data: [data] }];
    return [{ ...whose, kind: "json", type: "value", data }];
  };
}

function textOf(value: unknown): unknown {
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : value;
}

const NO_CHANNEL: Malformed = { malformed: "no channel" };

/** Finds the channel of a record: that of the mapping, or by what the record says. */
export function channels({
  place,
  learn,
}: CanonicalTools): (fields: Fields, stream: string, told: string) => string | Malformed | Skipped {
  if (place !== undefined) return (fields, _, told) => place.channelOf(told, fields.symbol, fields.market);
  const known = new Map<string, string>();
  return ({ symbol, market, channel }, stream) => {
    if (typeof symbol !== "string") return stream === "" && typeof channel === "string" ? channel : NO_CHANNEL;
    if (stream === "") return NO_CHANNEL;
    const of = typeof market === "string" ? market : "spot";
    const key = `${of}:${symbol}`;
    const prefix = known.get(key) ?? learn(of, symbol);
    if (prefix === null) return NO_CHANNEL;
    known.set(key, prefix);
    return `${prefix}@${stream}`;
  };
}

const TRADE: Wants = { id: "id?", price: "amount", quantity: "amount", side: ["buy", "sell"] };
const DAY: Wants = { open: "decimal", high: "decimal", low: "decimal", close: "decimal", volume: "decimal" };
const SUMS: Wants = { quoteVolume: "amount?", takerVolume: "amount?", takerQuoteVolume: "amount?" };

/** What the readers below want of each kind, to name the field of a record that they do not take. */
const WANTS: Readonly<Partial<Record<Kind, Wants>>> = {
  trade: { time: "whole", ...TRADE },
  depth: {
    ...{ time: "whole", type: ["snapshot", "delta"], bids: "levels??", asks: "levels??" },
    ...{ seq: "whole?", prev: "whole??", checksum: "absent" },
  },
  kline: {
    ...{ time: "whole", interval: "text", openTime: "whole", closeTime: "whole", closed: "boolean" },
    ...{ open: "amount", high: "amount", low: "amount", close: "amount", volume: "amount", ...SUMS },
    ...{ firstId: "whole?", lastId: "whole?", count: "whole?" },
  },
  ticker: { time: "whole", ...DAY, quoteVolume: "decimal??", lastQuantity: "decimal?", lastId: "whole?" },
  bookTicker: { time: "whole", bid: "amount", bidQuantity: "amount", ask: "amount", askQuantity: "amount" },
  markPrice: {
    ...{ time: "whole", mark: "amount", index: "amount", markAverage: "amount?", settle: "amount?" },
    ...{ fundingRate: "decimal?", nextFundingTime: "whole??" },
  },
};

/** Which field of a canonical record is not sound; null if all seem to be. */
export function canonicalFault(kind: Kind, record: unknown): string | null {
  if (kind === "trade" && isFields(record) && record.trades !== undefined && record.trades !== null) {
    const each = { ...TRADE, time: "whole??" } as const;
    return blame(kind, record, { time: "whole" }) ?? blameEach(`${kind}.trades`, record.trades, each);
  }
  return blame(kind, record, WANTS[kind] ?? {});
}

function tradesOf(fields: Fields): Part | null {
  const raw: unknown = fields.trades ?? [fields];
  if (!Array.isArray(raw) || raw.length === 0) return null;
  const trades: Trade[] = [];
  for (const trade of raw as readonly unknown[]) {
    if (!isFields(trade)) return null;
    const { id, price, quantity, side } = trade;
    const time = wholeOf(trade.time ?? fields.time);
    const number = id === undefined ? { id: "", t: -1 } : idOf(id);
    if (number === null || !isAmount(price) || !isAmount(quantity) || Number.isNaN(time)) return null;
    if (side !== "buy" && side !== "sell") return null;
    trades.push({ ...number, price, quantity, side, time });
  }
  return { type: "items", data: trades };
}

function depthOf({ type, bids, asks, prev, seq, checksum }: Fields): Part | null {
  if ((type !== "snapshot" && type !== "delta") || checksum !== undefined) return null;
  const data = readDepth(type, bids ?? [], asks ?? []);
  if (data === null) return null;
  if (seq === undefined) return { type, data };
  const sequence = { prev: prev === undefined || prev === null ? null : wholeOf(prev), last: wholeOf(seq) };
  return Number.isNaN((sequence.prev ?? 0) + sequence.last) ? null : { type, data, sequence };
}

function candleOf(fields: Fields): Part | null {
  const { interval, open, high, low, close, volume, closed } = fields;
  const { quoteVolume = "0", takerVolume = "0", takerQuoteVolume = "0" } = fields;
  const amounts = [open, high, low, close, volume, quoteVolume, takerVolume, takerQuoteVolume];
  const { firstId = -1, lastId = -1, count = 0 } = fields;
  const numbers = [fields.openTime, fields.closeTime, firstId, lastId, count].map(wholeOf);
  if (typeof interval !== "string" || typeof closed !== "boolean") return null;
  if (!amounts.every(isAmount) || numbers.some(Number.isNaN)) return null;
  const [openTime = 0, closeTime = 0, first = -1, last = -1, trades = 0] = numbers;
  const texts = { open, high, low, close, volume, quoteVolume, takerVolume, takerQuoteVolume } as Pick<
    Candle,
    "open" | "high" | "low" | "close" | "volume" | "quoteVolume" | "takerVolume" | "takerQuoteVolume"
  >;
  const ids = { firstId: first, lastId: last, count: trades };
  const candle: Candle = { interval, openTime, closeTime, ...texts, ...ids, closed, partial: false };
  return { type: "candles", data: [candle] };
}

function tickerOf(fields: Fields, time: number): Part | null {
  const { open, high, low, close, volume, quoteVolume = null, lastQuantity = "0", lastId = -1 } = fields;
  const day = { open, high, low, close, volume, quoteVolume, lastQuantity, lastId: wholeOf(lastId), time };
  const [update] = Number.isNaN(day.lastId) ? [] : (tickerUpdates("", day) ?? []);
  return update?.type === "value" ? { type: "value", data: update.data } : null;
}

function bestOf({ bid, bidQuantity, ask, askQuantity }: Fields): Part | null {
  if (!isAmount(bid) || !isAmount(bidQuantity) || !isAmount(ask) || !isAmount(askQuantity)) return null;
  const data: BookTicker = { bid, bidQuantity, ask, askQuantity };
  return { type: "value", data };
}

function markPriceOf(fields: Fields): Part | null {
  const { mark, index } = fields;
  const { markAverage = mark, settle = mark, fundingRate = "0" } = fields;
  const nextFundingTime = wholeOf(fields.nextFundingTime ?? 0);
  if (!isAmount(mark) || !isAmount(index) || !isAmount(markAverage) || !isAmount(settle)) return null;
  if (!isDecimal(fundingRate) || Number.isNaN(nextFundingTime)) return null;
  const data: MarkPrice = { mark, markAverage, index, settle, fundingRate, nextFundingTime };
  return { type: "value", data };
}
