/**
 * Whether a book kept from deltas is what a snapshot of the same channel says.
 *
 * On the path: stream (snapshot that was asked for) -> VERIFIER.
 * Invariants: a snapshot may stand ahead of the slower stream it comes into: then the old book goes on beside the new one
 * until both stand at the same seq; a stream that goes on otherwise proves nothing.
 */
import { Book, type LevelDifference } from "./book.ts";
import type { DeltaPush, SnapshotPush } from "./frames.ts";

export class Verifier {
  /** The book as it was before the snapshot, and the seq it has got to. */
  #old: { readonly book: Book; seq: number; readonly target: number } | null = null;

  /** Before the snapshot replaces `book`, which stands at `have`. Null: it is not known yet, or nothing was wrong. */
  snapshot(book: Book, have: number, { seq, data }: SnapshotPush): readonly LevelDifference[] | null {
    this.#old = null;
    if (seq === have) return some(book.differences(data));
    const old = new Book();
    old.replace(book.depth());
    this.#old = { book: old, seq: have, target: seq };
    return null;
  }

  /** Every delta, also one that the new book has; `now`: it with the delta in it. */
  delta(push: DeltaPush, now: Book): readonly LevelDifference[] | null {
    const old = this.#old;
    if (old === null) return null;
    this.#old = null;
    if (push.prev !== old.seq || push.epoch !== undefined) return null;
    old.book.apply(push.data);
    if (push.seq >= old.target) return some(old.book.differences(now.depth()));
    this.#old = { ...old, seq: push.seq };
    return null;
  }

  forget(): void {
    this.#old = null;
  }
}

const some = (differences: readonly LevelDifference[]): readonly LevelDifference[] | null =>
  differences.length === 0 ? null : differences;
