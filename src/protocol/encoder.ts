/**
 * The contract of an encoder: turns flushed publications of one channel into a dialect's payloads, once per node.
 *
 * On the path: engine rung -> ENCODER -> ring. A payload is a frame without its envelope: the worker puts
 * `envelope(asked name)` around it (dialect.ts), so that one payload serves every spelling and both raw and combined.
 * Invariants: no line feed in a payload; every method is pure but for the position it is given.
 */
import type { Channel } from "../channel/channel.ts";
import type { BookTicker, Candle, Depth, Gap, Item, Value } from "../channel/types.ts";
import type { Form } from "../ring/messages.ts";

/** Where a flush stands in its rung's chain. */
export interface Stamp {
  /** Seq of the flush before it in this rung; null for the first of an epoch. */
  readonly prev: number | null;
  /** First seq folded into this flush. */
  readonly from: number;
  readonly seq: number;
  /** Source time in ms of the newest part. */
  readonly time: number;
  /** Wall clock of encoding, whole microseconds. */
  readonly sentUs: number;
  /** Set where the client must be told the epoch (snapshots, first push of a new epoch). */
  readonly epoch: string | null;
}

/** One channel in one form. A method returns the frames to send, in order; an empty array where the dialect has no word. */
export interface ChannelEncoder {
  /** A merged delta of a book. */
  delta(at: Stamp, depth: Depth): readonly string[];
  /** The whole book for a joiner, or in the chain after a resync: `repair` is then old -> new as a delta. */
  snapshot(at: Stamp, book: Depth, repair: Depth | null): readonly string[];
  /** The latest value. `top` is this node's best bid and ask, for spot tickers (null: no book). */
  value(at: Stamp, value: Value, top: BookTicker | null): readonly string[];
  items(at: Stamp, items: readonly Item[]): readonly string[];
  candles(at: Stamp, candles: readonly Candle[]): readonly string[];
  /** `from..to` are the seqs it covers; to == at.seq. */
  gap(at: Stamp, gap: Gap): readonly string[];
  stale(): readonly string[];
}

export type EncoderFactory = (channel: Channel, form: Form) => ChannelEncoder;
