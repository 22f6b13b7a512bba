/**
 * One subscription's chain: whether a push continues what we have (docs/protocol.md, "Keeping state").
 *
 * Invariants: what is taken is in order, once, and either complete or announced as a gap.
 */
import type { Position } from "../../channel/types.ts";
import type { ChannelPush, DataPush, ItemsPush } from "./push.ts";

/**
 * `take`: it continues. `restart`: it begins a new numbering, drop the state first. `ignore`: we have it.
 * `broken`: something before it is missing.
 */
export type Verdict = "take" | "restart" | "ignore" | "broken";

export class Chain {
  #epoch: string | null = null;
  #have: number | null = null;
  /** Where the stream stood at the subscribe reply; undefined before it. Items begin there without a push. */
  #start: number | null | undefined = undefined;

  /** What to go on from after a reconnect; null while there is nothing. */
  get position(): Position | null {
    return this.#epoch === null || this.#have === null ? null : { epoch: this.#epoch, seq: this.#have };
  }

  /** The subscribe reply. Pushes may have come before it, and those that fill up from `since` may come after it. */
  begins(epoch: string, seq: number | null): void {
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

  accept(push: ChannelPush): Verdict {
    if (push.type === "stale" || push.type === "cadence") return "take";
    const verdict = this.#judge(push);
    if (verdict === "take" || verdict === "restart") {
      this.#epoch = push.epoch ?? this.#epoch;
      this.#have = push.type === "gap" ? push.to : push.seq;
    }
    return verdict;
  }

  #judge(push: DataPush | Extract<ChannelPush, { type: "gap" }>): Verdict {
    if (push.epoch !== undefined && this.#epoch !== null && push.epoch !== this.#epoch) return "restart";
    if (push.type === "gap") return "take";
    const have = this.#have;
    if (push.type === "snapshot")
      return have !== null && push.prev === undefined && push.seq < have ? "ignore" : "take";
    if (have === null && push.type === "items") return this.#first(push);
    if (have === null) return push.type === "value" || push.prev === null ? "take" : "broken";
    // The first items of an epoch stand behind the gap that announced it.
    if (push.type === "items" && push.prev === null && push.seq >= have) return "take";
    if (push.seq <= have) return "ignore";
    if (push.type === "value") return "take";
    const continues = push.type === "items" ? push.prev === have : push.prev !== null && push.prev <= have;
    return continues ? "take" : "broken";
  }

  #first({ prev, seq }: ItemsPush): Verdict {
    const start = this.#start;
    if (start === undefined || start === null) return "take";
    if (seq <= start) return "ignore";
    return prev === null || prev === start ? "take" : "broken";
  }
}
