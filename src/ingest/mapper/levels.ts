/** What every mapper of a book needs: sound decimals, one level per price, best first. Pure; the texts stay as they are. */
import type { Level } from "../../channel/types.ts";

const DECIMAL_CHARS_MAX = 40;
/** Up to so many levels comparing each with each is cheaper than a set. */
const FEW = 8;
const POINT = 46;
const ZERO = 48;
const NINE = 57;

/** Digits with at most one point between them: what a price or a quantity may look like. */
export function isDecimal(text: unknown): text is string {
  if (typeof text !== "string" || text.length === 0 || text.length > DECIMAL_CHARS_MAX) return false;
  let points = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === POINT) points++;
    else if (char < ZERO || char > NINE) return false;
  }
  if (points === 0) return true;
  return points === 1 && text.charCodeAt(0) !== POINT && text.charCodeAt(text.length - 1) !== POINT;
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
    .toSorted((a, b) => sign * (Number(a[0]) - Number(b[0])));
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

function isZero(decimal: string): boolean {
  for (let i = 0; i < decimal.length; i++) {
    const char = decimal.charCodeAt(i);
    if (char !== ZERO && char !== POINT) return false;
  }
  return true;
}
