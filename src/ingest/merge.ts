/**
 * Two updates of one channel in one record become one, because a record makes at most one publication per channel.
 *
 * A mapper should not do that (mapper.ts), so this is rare; it is counted, and nothing is lost by it.
 */
import { createBook } from "../channel/book.ts";
import type { Candle, Depth, Item } from "../channel/types.ts";
import type { MappedUpdate } from "./mapper/mapper.ts";

const sameChain = (a: MappedUpdate, b: MappedUpdate): boolean => a.channel === b.channel && a.user === b.user;

/** The updates with at most one per chain, in the order of their first; the same array if there is nothing to merge. */
export function oneEach(updates: readonly MappedUpdate[], merged: () => void): readonly MappedUpdate[] {
  if (updates.length < 2 || !hasRepeat(updates)) return updates;
  const each: MappedUpdate[] = [];
  for (const update of updates) {
    const at = each.findIndex((other) => sameChain(other, update));
    if (at < 0) {
      each.push(update);
    } else {
      each[at] = merge(each[at] as MappedUpdate, update);
      merged();
    }
  }
  return each;
}

function hasRepeat(updates: readonly MappedUpdate[]): boolean {
  if (updates.length > 8) return new Set(updates.map((u) => `${u.channel}|${u.user}`)).size < updates.length;
  for (let i = 1; i < updates.length; i++) {
    for (let j = 0; j < i; j++) if (sameChain(updates[i] as MappedUpdate, updates[j] as MappedUpdate)) return true;
  }
  return false;
}

/** What both say, in order; the later one where they exclude each other. */
function merge(a: MappedUpdate, b: MappedUpdate): MappedUpdate {
  if (a.type === "items" && b.type === "items") return { ...b, data: [...a.data, ...b.data] as Item[] };
  if (a.type === "candles" && b.type === "candles") return { ...b, data: [...a.data, ...b.data] as Candle[] };
  if (a.type === "delta" && b.type === "delta") return { ...b, data: concat(a.data, b.data) };
  if (a.type === "snapshot" && b.type === "delta") {
    const book = createBook();
    book.replace(a.data);
    book.apply(b.data);
    return { ...b, type: "snapshot", data: { bids: book.bids(), asks: book.asks() } };
  }
  // A notice that something is wrong outweighs data, except that a snapshot repairs a book.
  if (a.type === "gap" || b.type === "gap") return { ...b, type: "gap", data: { missed: null, reason: "source" } };
  return a.type === "stale" && b.type !== "snapshot" ? a : b;
}

const concat = (a: Depth, b: Depth): Depth => ({ bids: [...a.bids, ...b.bids], asks: [...a.asks, ...b.asks] });
