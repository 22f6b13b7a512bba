/**
 * The merged delta of a book from any position up to now: put together once for all who ask at one position of the book.
 *
 * Invariants: each price stands in a delta once, with its newest quantity, in the order in which prices changed last (so
 * of two spellings of one price the later counts); it goes back only as far as somebody asked.
 * At the limit: it holds as many levels as changed in the range asked for, and is thrown away when the book moves on.
 */
import type { Depth, Level, Publication } from "../../channel/types.ts";

/** Changes of one side, the newest first. */
class Side {
  readonly #prices = new Set<string>();
  readonly #levels: Level[] = [];
  /** Seq of each, falling. */
  readonly #seqs: number[] = [];

  /** Older than all before. */
  add(levels: readonly Level[], seq: number): void {
    for (let i = levels.length - 1; i >= 0; i--) {
      const level = levels[i]!;
      if (this.#prices.has(level[0])) continue;
      this.#prices.add(level[0]);
      this.#levels.push(level);
      this.#seqs.push(seq);
    }
  }

  /** Those after `seq`, the oldest first. */
  since(seq: number): Level[] {
    let low = 0;
    let high = this.#seqs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#seqs[middle]! > seq) low = middle + 1;
      else high = middle;
    }
    return this.#levels.slice(0, low).reverse();
  }
}

export class RecentChanges {
  /** The book's seq that this goes up to. */
  readonly upTo: number;
  readonly #bids = new Side();
  readonly #asks = new Side();
  /** Publications taken in so far, from the newest on. */
  #taken = 0;

  constructor(upTo: number) {
    this.upTo = upTo;
  }

  /** `publications`: everything after `after`, up to `upTo`, oldest first. */
  since(after: number, publications: readonly Publication[]): Depth {
    for (let i = publications.length - 1 - this.#taken; i >= 0; i--) {
      const p = publications[i]!;
      this.#taken++;
      if (p.type !== "delta") continue;
      this.#bids.add(p.data.bids, p.seq);
      this.#asks.add(p.data.asks, p.seq);
    }
    return { bids: this.#bids.since(after), asks: this.#asks.since(after) };
  }
}
