import { expect, test } from "bun:test";
import fc from "fast-check";
import { Book } from "./book.ts";
import { compareDecimals } from "./decimal.ts";
import type { Depth, Level } from "./frames.ts";

const depth = (bids: Level[], asks: Level[]): Depth => ({ bids, asks });

test("client book - a snapshot replaces, a delta sets, zero removes", () => {
  const book = new Book();
  book.replace(depth([["100.1", "1"], ["99", "2"]], [["100.2", "3"], ["101", "4"]])); // biome-ignore format: one book
  book.apply(depth([["100.10", "5"], ["99", "0.000"], ["98", "7"]], [["100.15", "9"], ["200", "0"]])); // biome-ignore format: one delta
  expect(book.depth()).toEqual({
    bids: [["100.10", "5"], ["98", "7"]], // biome-ignore format: best first
    asks: [["100.15", "9"], ["100.2", "3"], ["101", "4"]], // biome-ignore format: best first
  });
  expect([book.bestBid, book.bestAsk, book.bidCount, book.askCount]).toEqual([["100.10", "5"], ["100.15", "9"], 2, 3]);
  expect(book.asks(1)).toEqual([["100.15", "9"]]);
  expect([book.bidQuantity("98.0"), book.askQuantity("98")]).toEqual(["7", null]);
  book.replace(depth([["1", "1"]], [["2", "0"]]));
  expect(book.depth()).toEqual({ bids: [["1", "1"]], asks: [] });
  book.clear();
  expect([book.bestBid, book.bestAsk, book.crossed]).toEqual([null, null, false]);
});

test("client book - only snapshots and deltas change it", () => {
  const book = new Book();
  const at = { channel: "c", seq: 1, time: 1, sentUs: 1 };
  book.push({ ...at, type: "snapshot", data: depth([["1", "1"]], []) });
  book.push({ ...at, type: "delta", prev: 1, data: depth([["2", "1"]], []) });
  book.push({ channel: "c", type: "stale" });
  expect(book.bids()).toEqual([["2", "1"], ["1", "1"]]); // biome-ignore format: best first
});

test("client book - crossed is seen, also where doubles cannot tell", () => {
  const crossed = (bid: string, ask: string): boolean => {
    const book = new Book();
    book.replace(depth([[bid, "1"]], [[ask, "1"]]));
    return book.crossed;
  };
  expect([crossed("1", "2"), crossed("2", "2.0"), crossed("3", "2")]).toEqual([false, true, true]);
  expect(crossed("0.12345678901234567890", "0.12345678901234567891")).toBe(false);
  expect(crossed("0.12345678901234567891", "0.12345678901234567890")).toBe(true);
});

test("client book - differences name each level", () => {
  const book = new Book();
  book.replace(depth([["2", "1"], ["1", "1"]], [["3", "1"]])); // biome-ignore format: one book
  expect(book.differences(book.depth())).toEqual([]);
  expect(
    book.differences(
      depth(
        [["2.0", "5"]],
        [
          ["3", "1"],
          ["4", "2"],
        ],
      ),
    ),
  ).toEqual([
    // biome-ignore format: one book
    { side: "bid", price: "2", have: "1", want: "5" },
    { side: "bid", price: "1", have: "1", want: null },
    { side: "ask", price: "4", have: null, want: "2" },
  ]);
});

test("client book - equals a map of prices, whatever comes", () => {
  const level = fc.tuple(fc.nat({ max: 300 }), fc.nat({ max: 3 }));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), level), { maxLength: 400 }), (changes) => {
      const book = new Book();
      const bids = new Map<number, string>();
      const asks = new Map<number, string>();
      for (const [isBid, [cents, quantity]] of changes) {
        const change: Level = [(cents / 100).toFixed(2), String(quantity)];
        book.apply(isBid ? depth([change], []) : depth([], [change]));
        const side = isBid ? bids : asks;
        if (quantity === 0) side.delete(cents);
        else side.set(cents, String(quantity));
      }
      const sorted = (side: Map<number, string>, sign: number): Level[] =>
        [...side].sort(([a], [b]) => sign * (a - b)).map(([cents, quantity]) => [(cents / 100).toFixed(2), quantity]);
      expect(book.depth()).toEqual({ bids: sorted(bids, -1), asks: sorted(asks, 1) });
    }),
  );
});

test("client decimals - ordered as numbers of any length, zeros in front and behind do not count", () => {
  const decimal = fc.tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 10n ** 30n }), fc.nat({ max: 20 }));
  const text = ([negative, units, scale]: [boolean, bigint, number]): string => {
    const digits = String(units).padStart(scale + 1, "0");
    const whole = digits.slice(0, digits.length - scale);
    return `${negative ? "-" : ""}${whole}${scale === 0 ? "" : `.${digits.slice(-scale)}`}`;
  };
  const exact = ([negative, units, scale]: [boolean, bigint, number]): bigint =>
    (negative ? -units : units) * 10n ** BigInt(20 - scale);
  fc.assert(
    fc.property(decimal, decimal, (a, b) => {
      const want = exact(a) < exact(b) ? -1 : exact(a) > exact(b) ? 1 : 0;
      expect(Math.sign(compareDecimals(text(a), text(b)))).toBe(want);
    }),
  );
  expect(compareDecimals("-0.0", "0")).toBe(0);
  expect(compareDecimals("007.50", "7.5")).toBe(0);
  expect(compareDecimals("0.10000000000000000001", "0.1")).toBeGreaterThan(0);
});
