/**
 * Mapper `kraken_v1`: messages of Kraken's WebSocket API v1 (wss://ws.kraken.com) as JSON text.
 *
 * On the path: source -> MAPPER -> derive.
 *
 *     [id, {"as":[[price,quantity,time],..],"bs":[..]}, "book-1000", "XMR/USD"]           snapshot
 *     [id, {"b":[[price,quantity,time],..],"c":"2583817756"}, "book-1000", "XMR/USD"]     delta and checksum
 *     [id, {"a":[..]}, {"b":[..],"c":".."}, "book-1000", "XMR/USD"]                       both sides in one message
 *     [id, [[price,quantity,time,"b"|"s",orderType,misc],..], "trade", "XMR/USD"]         trades (they have no ids)
 *
 * Events (heartbeat, systemStatus, subscriptionStatus) and channels that our kinds cannot say exactly (ticker, spread,
 * ohlc) give no update. Rules: docs.kraken.com/api/docs/guides/spot-ws-book-v1.
 * Changes of a book have no numbers, but their times never fall (checked on recordings), so one in the wrong place shows.
 * Invariants: one update per message; a price occurs once per side of an update (the last one in the message wins); an
 * instrument is learned only from a message that is sound in all parts.
 */
import type { Depth, Level, Trade } from "../../channel/types.ts";
import { blame, blameEach, blaming, type Form } from "./blame.ts";
import { NOT_JSON, NOT_TEXT } from "./fields.ts";
import { bookChecksum } from "./kraken-checksum.ts";
import { bestFirst, isAmount, lastOfEachPrice } from "./levels.ts";
import type { Learn, Malformed, MappedUpdate, Mapper } from "./mapper.ts";

/** Names of the channels one pair feeds. */
interface Names {
  readonly depth: string;
  readonly trade: string;
}
/** A pair is learned from a sound message only. */
type NamesOf = (pair: string, isSound: boolean) => Names | null;

/** What a book message says, before its pair is looked up. */
interface BookChange {
  readonly type: "snapshot" | "delta";
  readonly data: Depth;
  /** Of its newest level, microseconds. */
  readonly timeUs: number;
  readonly checksum: number | null;
}

/** `as`, `bs`: the whole side; `a`, `b`: changed levels; `c`: checksum. Nothing in it is trusted yet. */
interface BookDict {
  readonly as?: unknown;
  readonly bs?: unknown;
  readonly a?: unknown;
  readonly b?: unknown;
  readonly c?: unknown;
}

const NONE: readonly MappedUpdate[] = [];
const WINDOWS = new Map([10, 25, 100, 500, 1000].map((levels) => [`book-${levels}`, levels]));

export function createKrakenV1(learn: Learn): Mapper {
  const known = new Map<string, Names>();
  const namesOf = (pair: string, isSound: boolean): Names | null => {
    const names = known.get(pair);
    if (names !== undefined) return names;
    if (!isSound) return null;
    const prefix = learn("spot", pair);
    if (prefix === null) return null;
    const learned = { depth: `${prefix}@depth`, trade: `${prefix}@trade` };
    known.set(pair, learned);
    return learned;
  };
  return { name: "kraken_v1", version: 1, map: (value) => map(value, namesOf), checksumOf: bookChecksum };
}

function map(value: unknown, namesOf: NamesOf): readonly MappedUpdate[] | Malformed {
  if (typeof value !== "string") return NOT_TEXT;
  let message: unknown;
  try {
    message = JSON.parse(value);
  } catch {
    return NOT_JSON;
  }
  if (!Array.isArray(message)) return isEvent(message) ? NONE : suspect("neither a list nor an event");

  const pair: unknown = message[message.length - 1];
  const channel: unknown = message[message.length - 2];
  if (message.length < 4 || typeof pair !== "string" || typeof channel !== "string") {
    return suspect("no channel and pair");
  }
  const window = WINDOWS.get(channel);
  if (window !== undefined) return blaming(bookOf(message, window, pair, namesOf), message, bookFault);
  if (channel === "trade") return blaming(tradesOf(message[1], pair, namesOf), message[1], tradeFault);
  if (channel === "ticker" || channel === "spread" || channel.startsWith("ohlc-")) return NONE;
  return suspect("unknown channel");
}

const seconds = (value: unknown): string | null =>
  Number.isNaN(readTimeUs(value)) ? "is not a time in seconds as text" : null;
const checksum = (value: unknown): string | null =>
  Number.isNaN(readChecksum(value)) ? "is not a checksum as text" : null;

const LEVEL: Form = { price: "amount", quantity: "amount", time: seconds };
const TRADE: Form = { ...LEVEL, side: ["b", "s"] };
const SIDES = ["as", "bs", "a", "b"] as const;

const tradeFault = (raw: unknown): string | null => blameEach("trade", raw, TRADE);

function bookFault(message: readonly unknown[]): string | null {
  const parts = message.slice(1, -2) as readonly BookDict[];
  for (const part of parts) {
    const wrong = blame("book", part, part?.c === undefined ? {} : { c: checksum });
    if (wrong !== null) return wrong;
    for (const side of SIDES) {
      const levels = part[side];
      const isSound = levels === undefined || (Array.isArray(levels) && levels.length === 0);
      const found = isSound ? null : blameEach(`book.${side}`, levels, LEVEL);
      if (found !== null) return found;
    }
  }
  const has = (...sides: (keyof BookDict)[]): boolean =>
    parts.some((part) => sides.some((side) => part[side] !== undefined));
  return has("as", "bs") === has("a", "b") ? "book: want either a snapshot (as, bs) or changes (a, b)" : null;
}

function bookOf(message: unknown[], window: number, pair: string, namesOf: NamesOf): MappedUpdate[] | Malformed {
  const change = readBook(message);
  if (change === null) return suspect("bad book");
  const names = namesOf(pair, true);
  if (names === null) return malformed("instrument refused");
  const { type, data, timeUs, checksum } = change;
  const time = Math.floor(timeUs / 1000);
  const update = { channel: names.depth, kind: "depth", user: "", time, type, data, window } as const;
  // A snapshot's newest level may be older than a level that was removed: where it stands among changes, its times do not say.
  if (type === "snapshot") return [update];
  const sequence = { prev: null, last: timeUs };
  return [checksum === null ? { ...update, sequence } : { ...update, sequence, checksum }];
}

/** Merges the message's dicts (all between the id and the channel); null if any part is unsound. */
function readBook(message: readonly unknown[]): BookChange | null {
  const bids: Level[] = [];
  const asks: Level[] = [];
  let snapshot = false;
  let delta = false;
  let timeUs = 0;
  let checksum: number | null = null;
  for (let i = 1; i < message.length - 2; i++) {
    const part = message[i] as BookDict | null;
    if (typeof part !== "object" || part === null) return null;
    snapshot ||= part.as !== undefined || part.bs !== undefined;
    delta ||= part.a !== undefined || part.b !== undefined;
    timeUs = Math.max(
      timeUs,
      readLevels(part.a ?? part.as, asks), // NaN, if a level is unsound, stays NaN
      readLevels(part.b ?? part.bs, bids),
    );
    if (part.c !== undefined) checksum = readChecksum(part.c);
  }
  if (snapshot === delta || Number.isNaN(timeUs) || Number.isNaN(checksum)) return null;
  if (delta) {
    return { type: "delta", data: { bids: lastOfEachPrice(bids), asks: lastOfEachPrice(asks) }, timeUs, checksum };
  }
  return { type: "snapshot", data: { bids: bestFirst(bids, "bids"), asks: bestFirst(asks, "asks") }, timeUs, checksum };
}

/** Appends the levels to `side`; returns the newest level's time in microseconds (0 without levels), NaN if one is unsound. */
function readLevels(raw: unknown, side: Level[]): number {
  if (raw === undefined) return 0;
  if (!Array.isArray(raw)) return Number.NaN;
  let newest = 0;
  for (let i = 0; i < raw.length; i++) {
    const level: unknown = raw[i];
    if (!Array.isArray(level)) return Number.NaN;
    const price: unknown = level[0];
    const quantity: unknown = level[1];
    if (!isAmount(price) || !isAmount(quantity)) return Number.NaN;
    side.push([price, quantity]);
    newest = Math.max(newest, readTimeUs(level[2]));
  }
  return newest;
}

function tradesOf(raw: unknown, pair: string, namesOf: NamesOf): readonly MappedUpdate[] | Malformed {
  if (!Array.isArray(raw) || raw.length === 0) return badTrade(pair, namesOf);
  const trades: Trade[] = [];
  let newest = 0;
  for (const fields of raw as readonly unknown[]) {
    const trade = readTrade(fields);
    if (trade === null) return badTrade(pair, namesOf);
    trades.push(trade);
    newest = Math.max(newest, trade.time);
  }
  const names = namesOf(pair, true);
  if (names === null) return malformed("instrument refused");
  return [{ channel: names.trade, kind: "trade", user: "", time: newest, type: "items", data: trades }];
}

function badTrade(pair: string, namesOf: NamesOf): Malformed {
  const names = namesOf(pair, false);
  return names === null ? malformed("bad trade") : { malformed: "bad trade", misses: names.trade };
}

function readTrade(fields: unknown): Trade | null {
  if (!Array.isArray(fields)) return null;
  const [price, quantity, at, side] = fields as readonly unknown[];
  const time = Math.floor(readTimeUs(at) / 1000);
  if (!isAmount(price) || !isAmount(quantity) || Number.isNaN(time) || (side !== "b" && side !== "s")) return null;
  return { ...NO_ID, price, quantity, side: side === "b" ? "buy" : "sell", time };
}

/** v1 trades have no id: the shard numbers them. */
const NO_ID = { id: "", t: -1 } as const;

/** `"1618678133.365913"` -> 1618678133365913. NaN if it is no such text. */
function readTimeUs(text: unknown): number {
  if (typeof text !== "string") return Number.NaN;
  const seconds = Number(text);
  return seconds > 0 && seconds < 9e9 ? Math.round(seconds * 1e6) : Number.NaN;
}

function readChecksum(text: unknown): number {
  if (typeof text !== "string" || text === "") return Number.NaN;
  const checksum = Number(text);
  return Number.isInteger(checksum) && checksum >= 0 && checksum <= 0xffffffff ? checksum : Number.NaN;
}

const isEvent = (message: unknown): boolean =>
  typeof message === "object" && message !== null && "event" in message && typeof message.event === "string";

const malformed = (reason: string): Malformed => ({ malformed: reason });
/** Nobody knows what it was. */
const suspect = (reason: string): Malformed => ({ malformed: reason, suspect: true });
