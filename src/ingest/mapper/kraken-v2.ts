/**
 * Mapper `kraken_v2`: messages of Kraken's WebSocket API v2 (wss://ws.kraken.com/v2) as JSON text.
 *
 * On the path: source -> MAPPER -> derive.
 *
 *     {"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":[{"price":45283.5,"qty":0.10000000}],..,"checksum":3310070434}]}
 *     {"channel":"book","type":"update","data":[{..,"timestamp":"2023-10-06T17:35:55.440295Z"}]}
 *     {"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":..,"qty":..,"trade_id":4665906,"timestamp":".."}]}
 *
 * Prices and quantities are JSON numbers with trailing zeros that count for the checksum: they are read as their text.
 * How many levels were subscribed to does not stand in the messages, it is the mapper's `window`. Replies, heartbeat,
 * status and channels that our kinds cannot say exactly (ticker, ohlc, instrument, level3) give no update.
 * Rules: docs.kraken.com/api/docs/guides/spot-ws-book-v2. Invariants: as for kraken_v1.
 */
import type { Level, Trade } from "../../channel/types.ts";
import { blame, blameEach, blaming, type Form } from "./blame.ts";
import { type Fields, idOf, isFields, isoUs, type PrefixOf, parsedExactly, prefixes, wholeOf } from "./fields.ts";
import { bookChecksum } from "./kraken-checksum.ts";
import { bestFirst, isAmount, lastOfEachPrice } from "./levels.ts";
import type { Learn, Malformed, MappedUpdate, Mapper } from "./mapper.ts";

/** Kraken's own default. */
export const KRAKEN_V2_WINDOW = 10;

const NONE: readonly MappedUpdate[] = [];
const BAD_BOOK: Malformed = { malformed: "bad book", suspect: true };
const BAD_TRADE: Malformed = { malformed: "bad trade" };
const REFUSED: Malformed = { malformed: "instrument refused" };

export function createKrakenV2(learn: Learn, window: number = KRAKEN_V2_WINDOW): Mapper {
  const prefixOf = prefixes(learn, "spot");
  return {
    name: "kraken_v2",
    version: 1,
    map(value) {
      const read = parsedExactly(value);
      if ("malformed" in read) return read;
      if (!isFields(read.json)) return { malformed: "no object", suspect: true };
      const { channel, type, data } = read.json;
      if (channel === undefined && type !== undefined) return { malformed: "no channel", suspect: true };
      if (channel !== "book" && channel !== "trade") return NONE;
      if ((type !== "snapshot" && type !== "update") || !Array.isArray(data) || !data.every(isFields)) {
        return blaming(channel === "book" ? BAD_BOOK : BAD_TRADE, read.json, faultOf);
      }
      const mapped = channel === "book" ? booksOf(data, type, window, prefixOf) : tradesOf(data, type, prefixOf);
      return blaming(mapped, read.json, faultOf);
    },
    checksumOf: bookChecksum,
  };
}

const TRADE: Form = {
  ...{ symbol: "text", trade_id: "id", price: "amount", qty: "amount" },
  ...{ side: ["buy", "sell"], timestamp: "iso" },
};
const BOOK: Form = { symbol: "text", checksum: "whole", timestamp: "iso?" };
const LEVEL: Form = { price: "amount", qty: "amount" };

function faultOf(fields: Fields): string | null {
  const { data } = fields;
  const name = String(fields.channel);
  const wrong = blame(name, fields, { type: ["snapshot", "update"] });
  if (wrong !== null || name === "trade") return wrong ?? blameEach(`${name}.data`, data, TRADE);
  const found = blameEach(`${name}.data`, data, BOOK);
  if (found !== null) return found;
  for (const [index, book] of (data as readonly Fields[]).entries()) {
    for (const side of ["bids", "asks"]) {
      const levels = book[side] ?? [];
      const at = `${name}.data[${index}].${side}`;
      const level = Array.isArray(levels) && levels.length === 0 ? null : blameEach(at, levels, LEVEL);
      if (level !== null) return level;
    }
  }
  return null;
}

function booksOf(data: readonly Fields[], type: "snapshot" | "update", window: number, prefixOf: PrefixOf) {
  const updates: MappedUpdate[] = [];
  for (const { symbol, bids, asks, checksum, timestamp } of data) {
    const [bid, ask, sum] = [sideOf(bids), sideOf(asks), wholeOf(checksum)];
    const timeUs = timestamp === undefined ? 0 : isoUs(timestamp);
    if (typeof symbol !== "string" || bid === null || ask === null || Number.isNaN(sum + timeUs)) return BAD_BOOK;
    const prefix = prefixOf(symbol);
    if (prefix === null) return REFUSED;
    const isSnapshot = type === "snapshot";
    updates.push({
      channel: `${prefix}@depth`,
      kind: "depth",
      user: "",
      time: Math.floor(timeUs / 1000),
      type: isSnapshot ? "snapshot" : "delta",
      data: isSnapshot
        ? { bids: bestFirst(bid, "bids"), asks: bestFirst(ask, "asks") }
        : { bids: lastOfEachPrice(bid), asks: lastOfEachPrice(ask) },
      window,
      checksum: sum,
      // Without a time it neither follows nor precedes anything.
      ...(timeUs === 0 ? {} : { sequence: { prev: null, last: timeUs } }),
    });
  }
  return updates;
}

function sideOf(raw: unknown): Level[] | null {
  if (raw === undefined) return [];
  if (!Array.isArray(raw)) return null;
  const levels: Level[] = [];
  for (const level of raw as readonly unknown[]) {
    if (!isFields(level) || !isAmount(level.price) || !isAmount(level.qty)) return null;
    levels.push([level.price, level.qty]);
  }
  return levels;
}

function tradesOf(data: readonly Fields[], type: "snapshot" | "update", prefixOf: PrefixOf) {
  const bySymbol = new Map<string, Trade[]>();
  for (const fields of data) {
    const { symbol, side, price, qty, timestamp } = fields;
    const [id, timeUs] = [idOf(fields.trade_id), isoUs(timestamp)];
    if (typeof symbol !== "string" || id === null || !isAmount(price) || !isAmount(qty)) return BAD_TRADE;
    if ((side !== "buy" && side !== "sell") || Number.isNaN(timeUs)) return BAD_TRADE;
    const trades = bySymbol.get(symbol) ?? [];
    bySymbol.set(symbol, trades);
    trades.push({ ...id, price, quantity: qty, side, time: Math.floor(timeUs / 1000) });
  }
  const updates: MappedUpdate[] = [];
  for (const [symbol, trades] of bySymbol) {
    const prefix = prefixOf(symbol);
    if (prefix === null) return REFUSED;
    trades.sort((a, b) => a.t - b.t);
    const [first, last] = [trades[0] as Trade, trades.at(-1) as Trade];
    // A snapshot holds trades from before the subscription: what lies before it is not missing.
    const sequence = { prev: type === "update" ? first.t - 1 : null, last: last.t };
    updates.push({
      channel: `${prefix}@trade`,
      kind: "trade",
      user: "",
      time: last.time,
      type: "items",
      data: trades,
      ...(first.t < 0 ? {} : { sequence }),
    });
  }
  return updates;
}
