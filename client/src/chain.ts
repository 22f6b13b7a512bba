/**
 * One subscription's chain: whether a push continues what we have (docs/protocol.md, "Keeping state").
 *
 * On the path: frames (or head) -> CHAIN -> book, values, items.
 * Invariants: what is taken is in order, once, and either complete or announced as a gap. Nothing is allocated per push.
 */
import type { ChannelPush, Position } from "./frames.ts";

/**
 * `take`: it continues. `restart`: it begins a new numbering, drop the state first. `ignore`: we have it.
 * `broken`: something before it is missing.
 */
export type Verdict = "take" | "restart" | "ignore" | "broken";

/** What a chain looks at: every push of a channel is one, a `Head` too. */
export interface Link {
  readonly type: ChannelPush["type"];
  readonly epoch?: string | undefined;
  readonly prev?: number | null | undefined;
  /** Of all but stale and cadence; a gap has `to`. */
  readonly seq?: number;
  readonly to?: number;
}

export class Chain {
  #epoch: string | null = null;
  /** A gap has announced the epoch, and nothing has come in it since. */
  #announced = false;
  #have: number | null = null;
  /** Where the stream stood at the subscribe reply; undefined before it. Items begin there without a push. */
  #start: number | null | undefined = undefined;

  /** What to go on from after a reconnect; null while there is nothing. */
  get position(): Position | null {
    return this.#epoch === null || this.#have === null ? null : { epoch: this.#epoch, seq: this.#have };
  }

  get epoch(): string | null {
    return this.#epoch;
  }

  /** The seq of the last push taken; null before the first. */
  get have(): number | null {
    return this.#have;
  }

  /** Where the stream stood at the reply, for a channel of which nothing has come; null if that is not known. */
  get start(): Position | null {
    const seq = this.#start;
    return this.#epoch === null || typeof seq !== "number" ? null : { epoch: this.#epoch, seq };
  }

  /** Goes on from a position that was kept. */
  resume({ epoch, seq }: Position): void {
    this.#epoch = epoch;
    this.#have = seq;
    this.#start = undefined;
  }

  /**
   * The subscribe reply. Pushes may have come before it, and those that fill up from `since` may come after it. An empty
   * epoch says nothing: the node has not heard of the channel's owner yet.
   */
  begins(epoch: string, seq: number | null): void {
    if (epoch === "") return;
    const same = this.#epoch === null || this.#epoch === epoch;
    this.#epoch = epoch;
    if (same && this.#have !== null) return;
    this.#have = null;
    this.#start = seq;
  }

  /** The node has no way to go on from here: whatever comes next is the beginning. */
  forget(): void {
    this.#epoch = null;
    this.#have = null;
    this.#start = undefined;
  }

  accept(link: Link): Verdict {
    if (link.type === "stale" || link.type === "cadence") return "take";
    const seq = link.type === "gap" ? link.to : link.seq;
    if (seq === undefined) return "ignore";
    const verdict = this.#judge(link, seq, link.prev);
    if (verdict === "take" || verdict === "restart") {
      this.#epoch = link.epoch ?? this.#epoch;
      this.#have = seq;
      this.#announced = link.type === "gap" && (link.epoch !== undefined || this.#announced);
    }
    return verdict;
  }

  #judge({ type, epoch }: Link, seq: number, prev: number | null | undefined): Verdict {
    if (epoch !== undefined && this.#epoch !== null && epoch !== this.#epoch) return "restart";
    const have = this.#have;
    if (type === "gap") return have !== null && seq < have ? "ignore" : "take";
    if (type === "snapshot") return have !== null && prev === undefined && seq < have ? "ignore" : "take";
    if (have === null && type === "items") return this.#first(seq, prev);
    if (have === null) return type === "value" || prev === null ? "take" : "broken";
    // The first items of an epoch stand behind the gap that announced it. Without one they hold what we have already: the
    // node did not know of the channel's owner when we came.
    if (type === "items" && prev === null && seq >= have && this.#announced) return "take";
    // A value may be said again, whole: after a time of `stale` it is what ends that.
    if (type === "value" && seq >= have) return "take";
    if (seq <= have) return "ignore";
    const continues = type === "items" ? prev === have : typeof prev === "number" && prev <= have;
    return continues ? "take" : "broken";
  }

  #first(seq: number, prev: number | null | undefined): Verdict {
    const start = this.#start;
    if (start === undefined || start === null) return "take";
    if (seq <= start) return "ignore";
    return prev === null || prev === start ? "take" : "broken";
  }
}
