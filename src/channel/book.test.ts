import { expect, test } from "bun:test";
import fc from "fast-check";
import { createBook } from "./book.ts";
import { compareDigits, isZero } from "./decimal.ts";
import type { Level } from "./types.ts";

/** The obvious book: levels in a list, searched and sorted by decimals every time. */
class NaiveSide {
  levels: Level[] = [];
  readonly sign: number;

  constructor(sign: number) {
    this.sign = sign;
  }

  set(level: Level): void {
    this.levels = this.levels.filter((other) => compareDigits(other[0], level[0]) !== 0);
    if (!isZero(level[1])) this.levels.push(level);
    this.levels.sort((a, b) => this.sign * compareDigits(a[0], b[0]));
  }

  truncate(n: number): Level[] {
    return this.levels.splice(n).map(([price]): Level => [price, "0"]);
  }
}

/** Few prices, some of which differ only behind the precision of a double, some only in spelling. */
const price = fc.oneof(
  fc.integer({ min: 1, max: 60 }).map((n) => (n / 10).toFixed(2)),
  fc.constantFrom("90071992547409930.1", "90071992547409930.2", "90071992547409930.10", "0.1", "0.10", "-0.5", "-2"),
);
const quantity = fc.constantFrom("0", "0.000", "1", "2.5", "10.00000000");
const levels = fc.array(fc.tuple(price, quantity), { maxLength: 8 });
const depth = fc.record({ bids: levels, asks: levels });
const action = fc.oneof(
  { weight: 6, arbitrary: depth.map((data) => ({ do: "apply" as const, data })) },
  { weight: 1, arbitrary: depth.map((data) => ({ do: "replace" as const, data })) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 12 }).map((n) => ({ do: "truncate" as const, n })) },
);

test("book - equals the obvious book after any changes", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 30 }), (actions) => {
      const book = createBook();
      let bids = new NaiveSide(-1);
      let asks = new NaiveSide(1);
      for (const one of actions) {
        if (one.do === "truncate") {
          const left = { bids: bids.truncate(one.n), asks: asks.truncate(one.n) };
          expect(book.truncate(one.n)).toEqual(left.bids.length + left.asks.length === 0 ? null : left);
        } else {
          if (one.do === "replace") {
            bids = new NaiveSide(-1);
            asks = new NaiveSide(1);
            // Sides of a snapshot come best first; here in any order, so the first of equal prices wins.
            for (const level of one.data.bids.toReversed()) bids.set(level);
            for (const level of one.data.asks.toReversed()) asks.set(level);
          } else {
            for (const level of one.data.bids) bids.set(level);
            for (const level of one.data.asks) asks.set(level);
          }
          book[one.do](one.data);
        }
        expect(book.bids()).toEqual(bids.levels);
        expect(book.asks()).toEqual(asks.levels);
      }
      expect(book.bids(3)).toEqual(bids.levels.slice(0, 3));
      expect(book.bidCount).toBe(bids.levels.length);
      expect(book.askCount).toBe(asks.levels.length);
      expect(book.bestBid).toEqual(bids.levels[0] ?? null);
      expect(book.bestAsk).toEqual(asks.levels[0] ?? null);
      for (let i = 0; i <= asks.levels.length; i++) expect(book.askAt(i)).toEqual(asks.levels[i] ?? null);
      for (let i = 0; i <= bids.levels.length; i++) expect(book.bidAt(i)).toEqual(bids.levels[i] ?? null);
      const [bid, ask] = [bids.levels[0], asks.levels[0]];
      expect(book.crossed).toBe(bid !== undefined && ask !== undefined && compareDigits(bid[0], ask[0]) >= 0);
    }),
  );
});

test("book - a diff turns the book into its target, string by string", () => {
  fc.assert(
    fc.property(depth, depth, (from, to) => {
      const book = createBook();
      book.apply(from);
      const target = createBook();
      target.apply(to);
      const wanted = { bids: target.bids(), asks: target.asks() };
      book.apply(book.diff(wanted));
      expect({ bids: book.bids(), asks: book.asks() }).toEqual(wanted);
      expect(book.diff(wanted)).toEqual({ bids: [], asks: [] });
    }),
  );
});

test("book - a thousand levels and more behave the same far from the best", () => {
  const book = createBook();
  const side = (sign: number) => Array.from({ length: 1500 }, (_, i): Level => [String(10_000 + sign * (i + 1)), "1"]);
  book.replace({ bids: side(-1), asks: side(1) });
  book.apply({ bids: [["9000.5", "7"]], asks: [["11000", "0"]] });
  const [bid, ask]: Level[] = [
    ["9000.5", "7"],
    ["11001", "1"],
  ];
  expect(book.bidAt(999)).toEqual(bid!);
  expect(book.askAt(999)).toEqual(ask!);
  expect(book.askCount).toBe(1499);
  expect(book.truncate(1000)?.bids).toHaveLength(501);
  expect(book.bidAt(1000)).toBeNull();
});
