/** What a follower needs from whoever follows a channel: the engine's channel state. */
import type { Publication, StaleReason } from "../channel/types.ts";
import type { ShardHeader, StateReply } from "./bus.ts";

/**
 * Called in stream order, never from inside `follow`. A promise kept between the calls: the position handed over last
 * (by `state` or `publication`) is known, and every `publication` continues it exactly.
 */
export interface ChannelConsumer {
  /**
   * Start here, whatever was before is void: first interest, a new epoch, or healing by publications was impossible
   * ("heal"). The position is `reply.seq` (null: nothing published in this epoch yet, the first comes with prev null).
   * After "epoch" and "heal" a channel without a whole state (`reply.state` null: lossless items) is set to where the
   * owner's history begins, and that history follows as publications: whatever lies between the consumer's old position
   * and `reply.seq` is lost to it and has to be told.
   */
  state(reply: StateReply, cause: StateCause): void;
  /** The next of the chain: `p.prev` is the position. `header` names token and epoch. */
  publication(p: Publication, header: ShardHeader): void;
  /**
   * Nothing more until `state()` or `fresh()`: no HEAD for 2 s ("no-head"), or the chain is broken and cannot be healed
   * at once ("sequence": too much held, or the owner does not answer). Told once.
   */
  stale(reason: StaleReason): void;
  /** No longer stale: the chain is whole again, what follows continues it. */
  fresh(): void;
  /**
   * 1203: no owner knows the channel. 1501: its owner does not answer. Told once; the follower goes on asking with growing
   * pauses, and `state()` or `fresh()` ends it.
   */
  unavailable(code: number, message: string): void;
}

export type StateCause = "first" | "epoch" | "heal";
