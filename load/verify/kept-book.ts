/**
 * The book of one native subscription, kept push by push and compared with whatever says what it should be.
 *
 * On the path: native -> KEPT BOOK -> agreement.
 * Invariants: only pushes that the chain took come here; without a beginning (a snapshot, or the channel's first delta)
 * nothing is applied and nothing is judged.
 */
import { Book, type Depth } from "../../client/src/mod.ts";
import type { Checks } from "./checks.ts";

export class KeptBook {
  readonly #name: string;
  readonly #checks: Checks;
  readonly #book = new Book();
  #isWhole = false;

  constructor(name: string, checks: Checks) {
    this.#name = name;
    this.#checks = checks;
  }

  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** What it holds cannot be trusted any more. */
  forget(): void {
    this.#isWhole = false;
    this.#book.clear();
  }

  /** `isSame`: we stand at its seq, so it must be the book we have. */
  snapshot(depth: Depth, isSame: boolean, epoch: string, seq: number): void {
    if (isSame && this.#isWhole) {
      const { tally } = this.#checks;
      tally.counts.compared += 1;
      const [first] = this.#book.differences(depth);
      if (first !== undefined)
        tally.fault("book", () => `${this.#name}: not the node's snapshot at seq ${seq}: ${JSON.stringify(first)}`);
    }
    this.#book.replace(depth);
    this.#isWhole = true;
    this.#judge(epoch, seq);
  }

  /** `begins`: it is the first publication of the channel or of an epoch, which holds everything. */
  delta(depth: Depth, begins: boolean, epoch: string, seq: number): void {
    if (begins) {
      this.#book.clear();
      this.#isWhole = true;
    }
    if (!this.#isWhole) return;
    this.#book.apply(depth);
    this.#judge(epoch, seq);
  }

  #judge(epoch: string, seq: number): void {
    const { tally, books } = this.#checks;
    const book = this.#book;
    tally.counts.books += 1;
    if (book.crossed)
      tally.fault("book", () => `${this.#name}: crossed at ${seq}: bid ${book.bestBid?.[0]}, ask ${book.bestAsk?.[0]}`);
    books.check(this.#name, epoch, seq, book);
  }
}
