/**
 * Acknowledgements of a durable consumer: operators see how far we are, and a stream that keeps records only for its
 * consumers may let go of them.
 *
 * Invariants: only what is in a stored checkpoint is acknowledged; an acknowledgement that gets lost does no harm (the next
 * one covers it, or the record comes again and is acknowledged then).
 * At the limit: with `all` few replies are kept, however long nothing is committed; with `each` the server stops at EACH_MAX
 * records that are not acknowledged, and reading goes on when checkpoints are stored again.
 */

export type AckKind = "none" | "all" | "each";

interface Unacked {
  readonly seq: number;
  readonly reply: string;
}

const KEPT_MAX = 2048;
export const EACH_MAX = 100_000;

export class Acks {
  readonly #kind: AckKind;
  #unacked: Unacked[] = [];
  #committed: number;
  /** Replies to be sent. */
  #due: string[] = [];
  #sent = 0;

  /** `committed`: everything up to this number is stored. */
  constructor(kind: AckKind, committed: number) {
    this.#kind = kind;
    this.#committed = committed;
  }

  get sent(): number {
    return this.#sent;
  }

  get due(): number {
    return this.#due.length;
  }

  /** The server gives nothing more until something is acknowledged. */
  get full(): boolean {
    return this.#kind === "each" && this.#unacked.length >= EACH_MAX;
  }

  /** A record was handed on. */
  handed(seq: number, reply: string): void {
    if (this.#kind === "none") return;
    this.#unacked.push({ seq, reply });
    // One acknowledgement covers all before it: every other one is enough.
    if (this.#kind === "all" && this.#unacked.length > KEPT_MAX) {
      const newest = this.#unacked.length - 1;
      this.#unacked = this.#unacked.filter((_, at) => at % 2 === newest % 2);
    }
  }

  /** A record came that was read before, on another consumer or on this one. */
  again(seq: number, reply: string): void {
    if (seq > this.#committed) this.handed(seq, reply);
    else if (this.#kind === "each") this.#due.push(reply);
    else if (this.#kind === "all") this.#due = [reply];
  }

  /** Everything up to `seq` is stored. */
  commit(seq: number): void {
    this.#committed = Math.max(this.#committed, seq);
    let count = 0;
    while (count < this.#unacked.length && (this.#unacked[count] as Unacked).seq <= seq) count++;
    if (count === 0) return;
    const covered = this.#unacked.splice(0, count);
    if (this.#kind === "all") this.#due = [(covered.at(-1) as Unacked).reply];
    else this.#due.push(...covered.map(({ reply }) => reply));
  }

  /** Takes up to `most` replies to be sent now. */
  take(most: number): readonly string[] {
    if (this.#due.length === 0) return this.#due;
    const now = this.#due.splice(0, most);
    this.#sent += now.length;
    return now;
  }
}
