/**
 * An L2 order book with decimal strings.
 *
 * On the path: the owner's book keeper applies every delta here, the engine's book does the same behind the bus.
 * Invariants: one level per price; levels are ordered by price compared as numbers, and as decimals where two strings
 * make the same double; a quantity that is zero removes the level. Prices satisfy `isDecimal` (decimal.ts).
 * Each side is two parallel arrays with the best level LAST, because changes are most frequent there and then move
 * little; levels are kept as they came, so a change allocates nothing.
 */
import { compareDigits, isZero } from "./decimal.ts";
import type { Depth, Level } from "./types.ts";

export interface Book {
  /** Replaces everything. */
  replace(depth: Depth): void;
  /** Applies absolute quantities; zero removes. */
  apply(delta: Depth): void;
  /** Best first, at most `n` (default: all). */
  bids(n?: number): Level[];
  asks(n?: number): Level[];
  /** The level `i` behind the best (0), null beyond the last: walks the top without allocating. */
  bidAt(i: number): Level | null;
  askAt(i: number): Level | null;
  readonly bestBid: Level | null;
  readonly bestAsk: Level | null;
  readonly bidCount: number;
  readonly askCount: number;
  /** Keeps the best `n` of each side; returns the removed levels with quantity "0", or null if none was. */
  truncate(n: number): Depth | null;
  /** The delta that turns this book into `target` (vanished levels as "0"). */
  diff(target: Depth): Depth;
  /** Best bid at or above best ask. */
  readonly crossed: boolean;
}

export const createBook = (): Book => new ArrayBook();

const NO_LEVELS: readonly Level[] = [];
/** Up to this many elements a loop moves faster than `splice`. */
const LOOP_MOVES_MAX = 48;

class ArrayBook implements Book {
  readonly #bids = new BookSide(1);
  readonly #asks = new BookSide(-1);

  replace(depth: Depth): void {
    this.#bids.replace(depth.bids);
    this.#asks.replace(depth.asks);
  }

  apply(delta: Depth): void {
    const { bids, asks } = delta;
    for (let i = 0; i < bids.length; i++) this.#bids.set(bids[i] as Level);
    for (let i = 0; i < asks.length; i++) this.#asks.set(asks[i] as Level);
  }

  bids(n?: number): Level[] {
    return this.#bids.top(n);
  }

  asks(n?: number): Level[] {
    return this.#asks.top(n);
  }

  bidAt(i: number): Level | null {
    return this.#bids.at(i);
  }

  askAt(i: number): Level | null {
    return this.#asks.at(i);
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

  truncate(n: number): Depth | null {
    if (this.bidCount <= n && this.askCount <= n) return null;
    return { bids: this.#bids.truncate(n), asks: this.#asks.truncate(n) };
  }

  diff(target: Depth): Depth {
    return { bids: this.#bids.diff(target.bids), asks: this.#asks.diff(target.asks) };
  }

  get crossed(): boolean {
    const bid = this.#bids.at(0);
    const ask = this.#asks.at(0);
    if (bid === null || ask === null) return false;
    const difference = Number(bid[0]) - Number(ask[0]);
    return difference > 0 || (difference === 0 && compareDigits(bid[0], ask[0]) >= 0);
  }
}

/** One side: `keys` ascend with the best last; a key is the price times `sign`, so that both sides are one code. */
class BookSide {
  readonly sign: 1 | -1;
  readonly keys: number[] = [];
  readonly levels: Level[] = [];

  constructor(sign: 1 | -1) {
    this.sign = sign;
  }

  at(i: number): Level | null {
    return this.levels[this.levels.length - 1 - i] ?? null;
  }

  top(n = this.levels.length): Level[] {
    const { levels } = this;
    const count = Math.min(n, levels.length);
    const top = new Array<Level>(count);
    for (let i = 0, from = levels.length - 1; i < count; i++, from--) top[i] = levels[from] as Level;
    return top;
  }

  replace(bestFirst: readonly Level[]): void {
    this.keys.length = 0;
    this.levels.length = 0;
    // From the worst on: in a sorted side each level then goes to the end.
    for (let i = bestFirst.length - 1; i >= 0; i--) this.set(bestFirst[i] as Level);
  }

  set(level: Level): void {
    const price = level[0];
    const key = this.sign * Number(price);
    const at = this.#search(key, price);
    const found = at < this.keys.length && this.keys[at] === key && this.#order(at, price) === 0;
    if (isZero(level[1])) {
      if (found) this.#remove(at);
    } else if (found) {
      this.levels[at] = level;
    } else {
      this.#insert(at, key, level);
    }
  }

  /** Removes the worst levels beyond `n` and returns them with quantity "0", best first. */
  truncate(n: number): readonly Level[] {
    const excess = this.levels.length - n;
    if (excess <= 0) return NO_LEVELS;
    this.keys.splice(0, excess);
    const removed = this.levels.splice(0, excess);
    return removed.reverse().map((level): Level => [level[0], "0"]);
  }

  diff(target: readonly Level[]): Level[] {
    const other = new BookSide(this.sign);
    other.replace(target);
    const changes: Level[] = [];
    let mine = this.levels.length - 1;
    let theirs = other.levels.length - 1;
    while (mine >= 0 || theirs >= 0) {
      const order = mine < 0 ? -1 : theirs < 0 ? 1 : this.#compareAt(mine, other, theirs);
      const level = this.levels[mine] as Level;
      const wanted = other.levels[theirs] as Level;
      if (order > 0) changes.push([level[0], "0"]);
      else if (order < 0 || level[0] !== wanted[0] || level[1] !== wanted[1]) changes.push(wanted);
      if (order >= 0) mine--;
      if (order <= 0) theirs--;
    }
    return changes;
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
    // Equal doubles: decimals decide.
    while (low < keys.length && keys[low] === key && this.#order(low, price) < 0) low++;
    return low;
  }

  /** Order of the level at `at` against a price that makes the same double. */
  #order(at: number, price: string): number {
    const own = (this.levels[at] as Level)[0];
    return own === price ? 0 : this.sign * compareDigits(own, price);
  }

  #compareAt(mine: number, other: BookSide, theirs: number): number {
    const difference = (this.keys[mine] as number) - (other.keys[theirs] as number);
    return difference !== 0 ? difference : this.#order(mine, (other.levels[theirs] as Level)[0]);
  }

  #insert(at: number, key: number, level: Level): void {
    const { keys, levels } = this;
    const last = keys.length;
    if (last - at > LOOP_MOVES_MAX) {
      keys.splice(at, 0, key);
      levels.splice(at, 0, level);
      return;
    }
    for (let i = last; i > at; i--) {
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
