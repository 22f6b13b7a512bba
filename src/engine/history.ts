/**
 * History: the last publications of one channel on this node, oldest first, an unbroken chain.
 *
 * On the path: follower -> channel state -> HISTORY; read for `since`, for lap repair and for nothing else. The owner's
 * history is the true one; this is a cache of it.
 * At the limit (history-limits.ts): the oldest publication goes, and `floor` rises to its seq.
 */
import type { Publication } from "../channel/types.ts";
import type { HistoryLimits, HistoryShares } from "./history-limits.ts";

export class History {
  /** Entries before `#start` are forgotten already; they are cut off in bulk, so that a push stays cheap. */
  #publications: Publication[] = [];
  #start = 0;
  /** Everything after it is here. Null: everything of the epoch is. */
  #floor: number | null = null;
  readonly #limits: HistoryLimits;
  readonly #shares: HistoryShares;

  constructor(limits: HistoryLimits, shares: HistoryShares) {
    this.#limits = limits;
    this.#shares = shares;
    if (limits.countMax > 0) shares.open();
  }

  /** Its channel is closed. */
  close(): void {
    if (this.#limits.countMax > 0) this.#shares.close();
  }

  /** Starts over with what the owner's history holds up to `seq`. */
  load(publications: readonly Publication[], seq: number | null): void {
    this.#publications = [...publications];
    this.#start = 0;
    this.#floor = publications[0] ? publications[0].prev : seq;
    this.#forget();
  }

  push(publication: Publication): void {
    this.#publications.push(publication);
    this.#forget();
  }

  /** Whether everything behind `after` (same epoch) is still here. */
  covers(after: number): boolean {
    return this.#floor === null || after >= this.#floor;
  }

  /** What is here with after < seq <= upTo, oldest first. */
  between(after: number, upTo: number): Publication[] {
    return this.#publications.slice(this.#firstAfter(after), this.#firstAfter(upTo));
  }

  get size(): number {
    return this.#publications.length - this.#start;
  }

  /** Lets go of what is over a bound. */
  #forget(): void {
    const publications = this.#publications;
    const newest = publications.at(-1);
    if (newest === undefined) return;
    const countMax = Math.min(this.#limits.countMax, this.#shares.each);
    const oldestUs = newest.receivedUs - this.#limits.ageMaxMs * 1000;
    const before = this.#start;
    while (this.size > countMax || (this.size > 0 && isOlder(publications[this.#start]!, oldestUs))) this.#start++;
    if (this.#start === before) return;
    this.#floor = publications[this.#start - 1]!.seq;
    if (this.#start < 64 || this.#start * 2 < publications.length) return;
    this.#publications = publications.slice(this.#start);
    this.#start = 0;
  }

  #firstAfter(seq: number): number {
    let low = this.#start;
    let high = this.#publications.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#publications[middle]!.seq <= seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** What an owner's history holds of before its own start has no time of receipt, and no age. */
const isOlder = ({ receivedUs }: Publication, oldestUs: number): boolean => receivedUs > 0 && receivedUs < oldestUs;
