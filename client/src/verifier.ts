/**
 * Whether a book kept from deltas is what a snapshot of the same channel says, and when to ask for one.
 *
 * On the path: stream (every delta, and a snapshot that was asked for) -> VERIFIER.
 * Invariants: a snapshot may stand ahead of the slower stream it comes into: then the old book goes on beside the new one
 * until both stand at the same seq; a stream that goes on otherwise proves nothing.
 * At the limit: a snapshot is asked for at most every VERIFY_APART_MS.
 */
import { Book, type LevelDifference } from "./book.ts";
import type { Clock } from "./clock.ts";
import type { DeltaPush, SnapshotPush } from "./frames.ts";

const VERIFY_APART_MS = 5000;

export interface VerifierHost {
  readonly clock: Clock;
  readonly random: () => number;
  /** How often; null: only when there is a reason. */
  readonly verifyMs: number | null;
}

export class Verifier {
  readonly #host: VerifierHost;
  /** Asks for a snapshot, if it makes sense now. */
  readonly #ask: () => boolean;
  readonly #different: (differences: readonly LevelDifference[], push: DeltaPush | SnapshotPush) => void;
  /** The book as it was before the snapshot, and the seq it has got to. */
  #old: { readonly book: Book; seq: number; readonly target: number } | null = null;
  #askedMs = Number.NEGATIVE_INFINITY;
  #cancel: () => void = () => undefined;

  constructor(
    host: VerifierHost,
    ask: () => boolean,
    different: (differences: readonly LevelDifference[], push: DeltaPush | SnapshotPush) => void,
  ) {
    this.#host = host;
    this.#ask = ask;
    this.#different = different;
  }

  /** Before the snapshot replaces `book`, which stands at `have`. */
  snapshot(book: Book, have: number, push: SnapshotPush): void {
    this.#old = null;
    if (push.seq === have) {
      this.#compare(book, push.data, push);
      return;
    }
    const old = new Book();
    old.replace(book.depth());
    this.#old = { book: old, seq: have, target: push.seq };
  }

  /** Every delta, also one that the new book has; `now`: it with the delta in it. */
  delta(push: DeltaPush, now: Book): void {
    // An exchange's book crosses only in an auction; whether it is the exchange's, a snapshot says.
    if (now.crossed) this.#verify();
    const old = this.#old;
    if (old === null) return;
    this.#old = null;
    if (push.prev !== old.seq || push.epoch !== undefined) return;
    old.book.apply(push.data);
    if (push.seq >= old.target) this.#compare(old.book, now.depth(), push);
    else this.#old = { ...old, seq: push.seq };
  }

  /** The books before and after have nothing to do with each other. */
  forget(): void {
    this.#old = null;
  }

  /** Asks now and then from here on. */
  start(): void {
    const { verifyMs, clock, random } = this.#host;
    this.#cancel();
    if (verifyMs === null) return;
    this.#cancel = clock.after(verifyMs * (0.5 + random()), () => {
      this.#verify();
      this.start();
    });
  }

  stop(): void {
    this.#cancel();
    this.#old = null;
  }

  #verify(): void {
    const now = this.#host.clock.nowMs();
    if (now - this.#askedMs >= VERIFY_APART_MS && this.#ask()) this.#askedMs = now;
  }

  #compare(old: Book, now: Parameters<Book["differences"]>[0], push: DeltaPush | SnapshotPush): void {
    const differences = old.differences(now);
    if (differences.length > 0) this.#different(differences, push);
  }
}
