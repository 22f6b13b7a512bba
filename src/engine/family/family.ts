/**
 * The contract of a family: how one kind of channel keeps its state, merges unsent publications, and brings a joiner or a
 * lapped worker up to date.
 *
 * Invariants: a FamilyState changes only by publications in chain order; accumulators hold references, never copies.
 */
import type { StateReply } from "../../bus/bus.ts";
import type { Publication } from "../../channel/types.ts";
import type { ChannelEncoder, Stamp } from "../../protocol/encoder.ts";

/** A part of a flush that becomes frames with one place in the rung's chain. */
export interface Segment {
  /** First and last seq folded into it. */
  readonly from: number;
  readonly seq: number;
  /** Source time, ms, and receipt, us, of the newest part. */
  readonly time: number;
  readonly receivedUs: number;
  /** Publications merged away. */
  readonly conflated: number;
  /** Lossless kinds: how many items it holds. */
  readonly items?: number;
  /** Frames in one dialect; an empty array where it has no word. */
  readonly encode: (encoder: ChannelEncoder, at: Stamp) => readonly string[];
  /** Something was lost that a dialect without a word for it must be told by closing. */
  readonly breaks: boolean;
  /** A book's snapshot: it always names the epoch. */
  readonly whole?: true;
}

/** The unsent publications of one rung. */
export interface Accumulator {
  readonly empty: boolean;
  add(publication: Publication): void;
  /** Everything added since the last call, in order. */
  take(): Segment[];
}

/** What a joiner or a lapped worker gets. */
export interface CatchUp {
  /** In order; to be encoded with prev = the position before each. */
  readonly segments: readonly Segment[];
  /** The segments bring exactly what follows the asker's position; false if they start over. */
  readonly exact: boolean;
}

export interface FamilyState {
  /** Takes the next publication (delta, value, items, candles) into the state. */
  apply(publication: Publication): void;
  /** Whether history has to keep it, so that who comes back later gets what they must have of it. */
  remembers(publication: Publication): boolean;
  /** The part of the owner's history that can be merged or sent as it is: a chain up to its last publication. */
  usable(history: readonly Publication[]): readonly Publication[];
  /**
   * Replaces the state by the owner's; `have` is the seq the rungs stand at (null: they start). Returns what every rung
   * must say to get from there to here.
   */
  load(reply: StateReply, have: number | null): Segment[];
  /** Forgets everything: a new epoch. */
  clear(): void;
  accumulator(): Accumulator;
  /** For a joiner without position. `flushed` is the rung's seq; lossless kinds give nothing and start there. */
  whole(): Segment[];
  /** For one who has everything up to `after`: what brings them to `upTo` (a rung's seq) or beyond, where that is harmless. */
  since(after: number, upTo: number): CatchUp;
  /** True if a joiner starts at the rung's flushed seq, not at the state's (lossless kinds). */
  readonly startsAtFlush: boolean;
}
