/**
 * A local order book kept from the snapshots and deltas of a `depth` channel.
 *
 * On the path: chain -> BOOK.
 * Invariants: one level per price, ordered by price as decimals; no level has quantity zero. A change allocates nothing:
 * levels are kept as they came, each side in two parallel arrays with the best level last, where most changes are.
 */
import { compareDigits, isZero } from "./decimal.ts";
import type { ChannelPush, Depth, Level } from "./frames.ts";

/** A level at which two books differ; null: it has none there. */
export interface LevelDifference {
  readonly side: "bid" | "ask";
  readonly price: string;
  readonly have: string | null;
  readonly want: string | null;
}

export class Book {
  readonly #bids = new Side(1);
  readonly #asks = new Side(-1);

  /** Replaces everything. A level of quantity zero is left out. */
  replace(depth: Depth): void {
    this.#bids.replace(depth.bids);
    this.#asks.replace(depth.asks);
  }

  /** Sets absolute quantities; zero removes. */
  apply({ bids, asks }: Depth): void {
    for (let i = 0; i < bids.length; i++) this.#bids.set(bids[i] as Level);
    for (let i = 0; i < asks.length; i++) this.#asks.set(asks[i] as Level);
  }

  /** A snapshot or a delta that the chain took; anything else changes nothing. */
  push(push: ChannelPush): void {
    if (push.type === "snapshot") this.replace(push.data);
    else if (push.type === "delta") this.apply(push.data);
  }

  clear(): void {
    this.#bids.clear();
    this.#asks.clear();
  }

  get bestBid(): Level | null {
    return this.#bids.at(0);
  }

  get bestAsk(): Level | null {
    return this.#asks.at(0);
  }

  get bidCount(): number {
    return this.#bids.levels.length;
  }

  get askCount(): number {
    return this.#asks.levels.length;
  }

  /** Best first, at most `most` levels. */
  bids(most?: number): Level[] {
    return this.#bids.top(most);
  }

  asks(most?: number): Level[] {
    return this.#asks.top(most);
  }

  /** Quantity at a price; null if there is none. */
  bidQuantity(price: string): string | null {
    return this.#bids.quantity(price);
  }

  askQuantity(price: string): string | null {
    return this.#asks.quantity(price);
  }

  /** Both sides best first. */
  depth(most?: number): { bids: Level[]; asks: Level[] } {
    return { bids: this.#bids.top(most), asks: this.#asks.top(most) };
  }

  /** Best bid at or above best ask: no book of an exchange is like this. */
  get crossed(): boolean {
    const bid = this.#bids.at(0);
    const ask = this.#asks.at(0);
    if (bid === null || ask === null) return false;
    const difference = Number(bid[0]) - Number(ask[0]);
    return difference > 0 || (difference === 0 && compareDigits(bid[0], ask[0]) >= 0);
  }

  /** Levels at which this book is not `depth` (e.g. a snapshot at the same seq); empty: they are equal. */
  differences(depth: Depth): LevelDifference[] {
    const other = new Book();
    other.replace(depth);
    return [...this.#bids.differences(other.#bids, "bid"), ...this.#asks.differences(other.#asks, "ask")];
  }
}

/** `keys` ascend with the best last; a key is the price times `sign`, so that both sides are one code. */
class Side {
  readonly sign: 1 | -1;
  readonly keys: number[] = [];
  readonly levels: Level[] = [];

  constructor(sign: 1 | -1) {
    this.sign = sign;
  }

  /** `i` behind the best. */
  at(i: number): Level | null {
    return this.levels[this.levels.length - 1 - i] ?? null;
  }

  top(most = this.levels.length): Level[] {
    return this.levels.slice(Math.max(0, this.levels.length - most)).reverse();
  }

  clear(): void {
    this.keys.length = 0;
    this.levels.length = 0;
  }

  replace(bestFirst: readonly Level[]): void {
    this.clear();
    // From the worst on: each level of a sorted side then goes to the end.
    for (let i = bestFirst.length - 1; i >= 0; i--) this.set(bestFirst[i] as Level);
  }

  set(level: Level): void {
    const [price, quantity] = level;
    const key = this.sign * Number(price);
    const at = this.#search(key, price);
    const found = this.#isAt(at, key, price);
    if (isZero(quantity)) {
      if (found) this.#remove(at);
    } else if (found) this.levels[at] = level;
    else this.#insert(at, key, level);
  }

  quantity(price: string): string | null {
    const key = this.sign * Number(price);
    const at = this.#search(key, price);
    return this.#isAt(at, key, price) ? (this.levels[at] as Level)[1] : null;
  }

  differences(other: Side, side: "bid" | "ask"): LevelDifference[] {
    const found: LevelDifference[] = [];
    for (const [price, have] of this.top()) {
      const want = other.quantity(price);
      if (want !== have) found.push({ side, price, have, want });
    }
    for (const [price, want] of other.top())
      if (this.quantity(price) === null) found.push({ side, price, have: null, want });
    return found;
  }

  /** First index whose level is not worse than the price. */
  #search(key: number, price: string): number {
    const { keys } = this;
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((keys[middle] as number) < key) low = middle + 1;
      else high = middle;
    }
    // Equal doubles: digits decide.
    while (low < keys.length && keys[low] === key && this.#order(low, price) < 0) low++;
    return low;
  }

  #isAt(at: number, key: number, price: string): boolean {
    return at < this.keys.length && this.keys[at] === key && this.#order(at, price) === 0;
  }

  /** Order of the level at `at` against a price that makes the same double. */
  #order(at: number, price: string): number {
    return this.sign * compareDigits((this.levels[at] as Level)[0], price);
  }

  #insert(at: number, key: number, level: Level): void {
    const { keys, levels } = this;
    if (keys.length - at > LOOP_MOVES_MAX) {
      keys.splice(at, 0, key);
      levels.splice(at, 0, level);
      return;
    }
    for (let i = keys.length; i > at; i--) {
      keys[i] = keys[i - 1] as number;
      levels[i] = levels[i - 1] as Level;
    }
    keys[at] = key;
    levels[at] = level;
  }

  #remove(at: number): void {
    const { keys, levels } = this;
    const last = keys.length - 1;
    if (last - at > LOOP_MOVES_MAX) {
      keys.splice(at, 1);
      levels.splice(at, 1);
      return;
    }
    for (let i = at; i < last; i++) {
      keys[i] = keys[i + 1] as number;
      levels[i] = levels[i + 1] as Level;
    }
    keys.pop();
    levels.pop();
  }
}

/** Up to this many elements a loop moves faster than `splice`, and makes no array of what it removed. */
const LOOP_MOVES_MAX = 48;
