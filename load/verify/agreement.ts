/**
 * Books at the same place must be the same book, whoever has them: sessions of any cadence, and the node's own snapshots.
 *
 * Invariants: only places that a hash of the seq picks are compared, so that sessions which see different seqs compare
 * the same ones.
 * At the limit: the oldest places are forgotten.
 */
import type { Book } from "../../client/src/mod.ts";
import type { Tally } from "../tally.ts";

const placesMax = 8192;
/** One seq in so many. */
const PICK = 8;

export class Agreement {
  readonly #tally: Tally;
  readonly #digests = new Map<string, string>();

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** `levels`: compare only so many of the best; undefined: all. */
  check(channel: string, epoch: string, seq: number, book: Book, levels?: number): void {
    if ((Math.imul(seq % 2 ** 31, 2654435761) >>> 16) & (PICK - 1)) return;
    const place = `${channel} ${epoch} ${seq}`;
    const digest = String(Bun.hash(JSON.stringify(book.depth(levels))));
    const known = this.#digests.get(place);
    if (known === undefined) {
      this.#digests.set(place, digest);
      if (this.#digests.size > placesMax) this.#digests.delete(this.#digests.keys().next().value!);
      return;
    }
    this.#tally.counts.compared += 1;
    if (known !== digest)
      this.#tally.fault("book", () => `${channel}: two sessions have different books at seq ${seq}`);
  }
}
