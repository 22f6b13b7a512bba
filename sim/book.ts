/**
 * The exchange's own order book of one symbol: orders in price-time priority, in ticks and lots.
 *
 * Invariants: a level holds at least one order and its quantity is the sum of what its orders have left; orders of a level
 * are in order of arrival; the matcher never leaves the book crossed.
 * It remembers which levels changed since `takeChanges`, so that a step publishes only these.
 */
import type { Side } from "../src/channel/types.ts";
import { type Order, remainingOf } from "./orders.ts";

export interface PriceLevel {
  readonly price: number;
  lots: number;
  first: Order | null;
  last: Order | null;
}

/** `[price, lots]`, lots 0 = the level is gone. */
export type LevelChange = readonly [price: number, lots: number];

const UNCHANGED: readonly LevelChange[] = [];

export class BookSide {
  /** Worst first, so that the best is the last and leaves without moving the others. */
  readonly #levels: PriceLevel[] = [];
  readonly #byPrice = new Map<number, PriceLevel>();
  /** Lots of each touched level before it was touched. */
  readonly #touched = new Map<number, number>();
  /** +1 for bids, -1 for asks: `sign * price` rises towards the best. */
  readonly #sign: number;

  constructor(side: Side) {
    this.#sign = side === "buy" ? 1 : -1;
  }

  get best(): PriceLevel | null {
    return this.#levels.at(-1) ?? null;
  }

  get size(): number {
    return this.#levels.length;
  }

  /** The n-th best level, from 0. */
  at(n: number): PriceLevel | null {
    return this.#levels[this.#levels.length - 1 - n] ?? null;
  }

  add(order: Order): void {
    let level = this.#byPrice.get(order.price);
    if (level === undefined) {
      level = { price: order.price, lots: 0, first: null, last: null };
      this.#byPrice.set(order.price, level);
      this.#levels.splice(this.#placeOf(order.price), 0, level);
    }
    this.#touch(level);
    level.lots += remainingOf(order);
    order.level = level;
    order.before = level.last;
    if (level.last) level.last.after = order;
    else level.first = order;
    level.last = order;
  }

  /** Takes a resting order out. */
  remove(order: Order): void {
    const level = order.level;
    if (level === null) return;
    this.#touch(level);
    level.lots -= remainingOf(order);
    if (order.before) order.before.after = order.after;
    else level.first = order.after;
    if (order.after) order.after.before = order.before;
    else level.last = order.before;
    order.level = null;
    order.before = null;
    order.after = null;
    if (level.first !== null) return;
    this.#byPrice.delete(level.price);
    if (this.#levels.at(-1) === level) this.#levels.pop();
    else this.#levels.splice(this.#placeOf(level.price), 1);
  }

  /** A resting order is about to lose `lots` by a fill. */
  reduce(level: PriceLevel, lots: number): void {
    this.#touch(level);
    level.lots -= lots;
  }

  /** The levels whose quantity differs from what it was at the last call. */
  takeChanges(): readonly LevelChange[] {
    if (this.#touched.size === 0) return UNCHANGED;
    const changes: LevelChange[] = [];
    for (const [price, before] of this.#touched) {
      const lots = this.#byPrice.get(price)?.lots ?? 0;
      if (lots !== before) changes.push([price, lots]);
    }
    this.#touched.clear();
    return changes;
  }

  get changed(): boolean {
    return this.#touched.size > 0;
  }

  #touch(level: PriceLevel): void {
    if (!this.#touched.has(level.price)) this.#touched.set(level.price, level.lots);
  }

  /** Index of the first level at `price` or better. */
  #placeOf(price: number): number {
    const wanted = this.#sign * price;
    let low = 0;
    let high = this.#levels.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sign * this.#levels[middle]!.price < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export class OrderBook {
  readonly bids = new BookSide("buy");
  readonly asks = new BookSide("sell");

  sideOf(side: Side): BookSide {
    return side === "buy" ? this.bids : this.asks;
  }

  /** The side an order of `side` trades against. */
  against(side: Side): BookSide {
    return side === "buy" ? this.asks : this.bids;
  }

  /** Ticks, fractional; null while a side is empty. */
  get mid(): number | null {
    const bid = this.bids.best;
    const ask = this.asks.best;
    return bid && ask ? (bid.price + ask.price) / 2 : null;
  }
}
