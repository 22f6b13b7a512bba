/**
 * History: the last publications of one chain, oldest first, unbroken; it answers `since` and moves with the checkpoint.
 *
 * At the limit: beyond `countMax` publications, or `ageMaxMs` behind the newest, the oldest goes.
 */
import type { Publication } from "../channel/types.ts";

export interface HistoryLimits {
  readonly countMax: number;
  /** By receipt, against the newest publication. */
  readonly ageMaxMs: number;
}

/** What is configured of a channel's bounds; the others are those of its family. */
export type HistoryOf = (channel: string) => Partial<HistoryLimits>;

export class History {
  readonly #limits: HistoryLimits;
  /** Entries before `#start` are forgotten already; they are cut off in bulk, so that a push stays cheap. */
  #entries: Publication[] = [];
  #start = 0;

  constructor(limits: HistoryLimits) {
    this.#limits = limits;
  }

  push(publication: Publication): void {
    this.#entries.push(publication);
    const { countMax, ageMaxMs } = this.#limits;
    const oldestUs = publication.receivedUs - ageMaxMs * 1000;
    while (this.size > countMax || (this.size > 0 && this.#oldest.receivedUs < oldestUs)) this.#start++;
    if (this.#start > 512 && this.#start * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
  }

  get size(): number {
    return this.#entries.length - this.#start;
  }

  get #oldest(): Publication {
    return this.#entries[this.#start] as Publication;
  }

  all(): readonly Publication[] {
    return this.#entries.slice(this.#start);
  }

  /** Everything with seq > `since`, or null if that is no longer all here. */
  after(since: number): readonly Publication[] | null {
    const oldest = this.#entries[this.#start];
    if (oldest === undefined || (oldest.prev !== null && oldest.prev > since)) return null;
    let low = this.#start;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle] as Publication).seq <= since) low = middle + 1;
      else high = middle;
    }
    return this.#entries.slice(low);
  }

  restore(publications: readonly Publication[]): void {
    this.#entries = publications.slice();
    this.#start = 0;
  }
}
