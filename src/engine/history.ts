/**
 * History: the last publications of one channel on this node, oldest first, an unbroken chain.
 *
 * On the path: follower -> channel state -> HISTORY; read for `since`, for lap repair and for nothing else. The owner's
 * history is the true one; this is a cache of it.
 * At the limit: the oldest publication goes, and `floor` rises to its seq.
 */
import type { Publication } from "../channel/types.ts";

export class History {
  #publications: Publication[] = [];
  /** Seq before the oldest publication kept: everything after it is here. Null: everything of the epoch is. */
  #floor: number | null = null;
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  /** Starts over with what the owner's history holds up to `seq`. */
  load(publications: readonly Publication[], seq: number | null): void {
    this.#publications = [...publications];
    this.#floor = publications[0] ? publications[0].prev : seq;
    this.#trim(this.#max);
  }

  push(publication: Publication): void {
    this.#publications.push(publication);
    // Trimmed in bulk, so that a push stays O(1).
    if (this.#publications.length >= this.#max * 2) this.#trim(this.#max);
  }

  /** Whether everything behind `after` (same epoch) is still here. */
  covers(after: number): boolean {
    return this.#floor === null || after >= this.#floor;
  }

  /** What is here with after < seq <= upTo, oldest first. */
  between(after: number, upTo: number): Publication[] {
    const start = this.#firstAfter(after);
    const end = this.#firstAfter(upTo);
    return this.#publications.slice(start, end);
  }

  get size(): number {
    return this.#publications.length;
  }

  #trim(keep: number): void {
    const excess = this.#publications.length - keep;
    if (excess <= 0) return;
    this.#publications.splice(0, excess);
    this.#floor = this.#publications[0]?.prev ?? this.#floor;
  }

  #firstAfter(seq: number): number {
    let low = 0;
    let high = this.#publications.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#publications[middle]!.seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
