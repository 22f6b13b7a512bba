/** What every mapper of a book needs: sound amounts, one level per price, best first. Pure; the texts stay as they are. */
import { compare, isDecimal, isZero } from "../../channel/decimal.ts";
import type { Depth, Level } from "../../channel/types.ts";

/** Up to so many levels comparing each with each is cheaper than a set. */
const FEW = 8;
const MINUS = 45;

/** What a price or a quantity may look like: a decimal that is not negative. */
export function isAmount(text: unknown): text is string {
  return isDecimal(text) && text.charCodeAt(0) !== MINUS;
}

/** The same levels without those that a later one of the same price (same text) replaces. */
export function lastOfEachPrice(levels: readonly Level[]): readonly Level[] {
  if (levels.length < 2 || !hasRepeat(levels)) return levels;
  const last = new Map<string, number>();
  levels.forEach(([price], index) => {
    last.set(price, index);
  });
  return levels.filter(([price], index) => last.get(price) === index);
}

function hasRepeat(levels: readonly Level[]): boolean {
  if (levels.length > FEW) return new Set(levels.map(([price]) => price)).size < levels.length;
  for (let i = 1; i < levels.length; i++) {
    for (let j = 0; j < i; j++) if (levels[i]![0] === levels[j]![0]) return true;
  }
  return false;
}

/** A snapshot's side: one level per price, none of zero, best first. Venues send it so: normally this only checks. */
export function bestFirst(levels: readonly Level[], side: "bids" | "asks"): readonly Level[] {
  const sign = side === "asks" ? 1 : -1;
  if (isBestFirst(levels, sign)) return levels;
  return lastOfEachPrice(levels)
    .filter(([, quantity]) => !isZero(quantity))
    .toSorted((a, b) => sign * compare(a[0], b[0]));
}

function isBestFirst(levels: readonly Level[], sign: number): boolean {
  let before = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < levels.length; i++) {
    const [price, quantity] = levels[i]!;
    const rank = sign * Number(price);
    if (!(rank > before) || isZero(quantity)) return false;
    before = rank;
  }
  return true;
}

/** `[[price, quantity, ..], ..]` as levels, whatever stands behind them; null if one is unsound. */
export function readLevels(raw: unknown): readonly Level[] | null {
  if (!Array.isArray(raw)) return null;
  const levels = new Array<Level>(raw.length);
  for (let i = 0; i < raw.length; i++) {
    const level: unknown = raw[i];
    if (!Array.isArray(level)) return null;
    const price: unknown = level[0];
    const quantity: unknown = level[1];
    if (!isAmount(price) || !isAmount(quantity)) return null;
    levels[i] = [price, quantity];
  }
  return levels;
}

/** Both sides of a book message; null if one is unsound. */
export function readDepth(type: "snapshot" | "delta", bids: unknown, asks: unknown): Depth | null {
  const [bid, ask] = [readLevels(bids), readLevels(asks)];
  if (bid === null || ask === null) return null;
  if (type === "snapshot") return { bids: bestFirst(bid, "bids"), asks: bestFirst(ask, "asks") };
  return { bids: lastOfEachPrice(bid), asks: lastOfEachPrice(ask) };
}
