/** What a follower counts and shows: metrics, /readyz. */
import type { Kind } from "../channel/types.ts";

/** Totals since the follower was made. */
export interface FollowerCounters {
  /** Publications that were handed over before: dropped. */
  duplicates: number;
  /** Publications whose `prev` was not the position: held, missing ones asked for. */
  gaps: number;
  /** HEADs that named a higher seq than ours: a last message was lost. */
  headGaps: number;
  /** Chains made whole by publications from the owner's history. */
  heals: number;
  /** Whole states handed over. */
  states: number;
  /** Those among them that began a new epoch. */
  epochs: number;
  /** Messages, HEADs and replies with a token below the highest seen for the shard: refused. */
  refusedTokens: number;
  /** Messages, HEADs and replies of an epoch that has ended: dropped. */
  oldEpochs: number;
  /** Publications of a channel from a shard that does not own it: refused. */
  foreign: number;
  /** Times a chain held more than its bound: all held ones dropped, the consumer told, healed by asking. */
  overflows: number;
  /** Replies whose publications do not continue the chain. */
  badReplies: number;
  requests: number;
  /** Requests without an answer in time, or answered by nobody who knows the channel. */
  requestFailures: number;
  /** Answers that came after their question was given up. */
  lateAnswers: number;
  /** Times a consumer was told stale. */
  staled: number;
}

export const newCounters = (): FollowerCounters => ({
  duplicates: 0,
  gaps: 0,
  headGaps: 0,
  heals: 0,
  states: 0,
  epochs: 0,
  refusedTokens: 0,
  oldEpochs: 0,
  foreign: 0,
  overflows: 0,
  badReplies: 0,
  requests: 0,
  requestFailures: 0,
  lateAnswers: 0,
  staled: 0,
});

export interface ShardHealth {
  readonly shard: string;
  readonly token: number;
  readonly epoch: string;
  /** The source's state as the last HEAD named it; '' before the first HEAD. */
  readonly source: string;
  /** Offset of the last record processed, as of the last HEAD. */
  readonly offset: number | null;
  readonly provides: readonly Kind[];
  /** Since the last HEAD; null before the first. `tidegate_bus_lag_seconds`. */
  readonly headAgeMs: number | null;
  /** No HEAD for `headTimeoutMs`: its channels are stale. */
  readonly silent: boolean;
  /** Channels of it that this node follows. */
  readonly chains: number;
}

export interface FollowerStatus {
  readonly chains: number;
  /** Chains whose consumer was told stale. */
  readonly staleChains: number;
  /** Topics subscribed on the bus, lingering ones included. */
  readonly topics: number;
  /** Publications held in all chains now. */
  readonly held: number;
  readonly requestsInFlight: number;
  readonly requestsQueued: number;
  readonly counters: Readonly<FollowerCounters>;
  readonly shards: readonly ShardHealth[];
}
