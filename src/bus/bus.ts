/**
 * The contract of the bus: publications from a shard's owner to every node with interest.
 *
 * On the path: pipeline -> BUS -> follower -> engine. The bus may lose, repeat and reorder; the follower (follower.ts)
 * finds that out by `prev` and HEADs and heals it from the owner.
 * Invariants: a receiver never sees a publication it has no interest in; owners answer requests for their shards only.
 */
import type { Body, Kind, Position, Publication } from "../channel/types.ts";

export const BUS_VERSION = 1;

/** Who speaks: rises with each change of owner (`token`), names the numbering (`epoch`). */
export interface ShardHeader {
  readonly version: number;
  readonly shard: string;
  readonly token: number;
  readonly epoch: string;
}

export interface BusMessage extends ShardHeader {
  /** All of one fanout topic. */
  readonly publications: readonly Publication[];
}

/** The owner's periodic word: sent at least every 500 ms for as long as it holds the shard. */
export interface Head extends ShardHeader {
  /** Offset of the last record processed; null if none yet. */
  readonly offset: number | null;
  /** `connected`, `connecting`, `ended`, `failed`: SourceState.name. */
  readonly source: string;
  /** Kinds that come from the source itself, so that no engine derives them. */
  readonly provides: readonly Kind[];
  /** Last seq of each channel that changed since the previous HEAD; of all channels every 5 s (`full`). */
  readonly full: boolean;
  readonly last: readonly (readonly [channel: string, user: string, seq: number])[];
  /** Number of the newest change of an instrument of this shard, counted under its token; absent: it has none to tell. */
  readonly instruments?: number;
}

/**
 * Where an owner answers for its shard's instruments: `request({ channel: instrumentsOf(shard), user: "", since })`, as no
 * channel can be called. `since.epoch` is the token as text, `since.seq` the number up to which the asker has them. The
 * reply's `state` holds items, each the JSON of an instrument that changed behind that, oldest change first, and its `seq`
 * the number of the last one; they may be fewer than there are: ask again.
 */
export const instrumentsOf = (shard: string): string => `instruments of ${shard}`;

/** Asks the owner for a channel: everything after `since`, or its whole state where that cannot be had. */
export interface StateRequest {
  readonly channel: string;
  readonly user: string;
  readonly since: Position | null;
}

/**
 * The owner's answer: either the publications behind `since` (an unbroken chain), or the state at `seq`, which replaces
 * whatever the asker has.
 */
export interface StateReply extends ShardHeader {
  readonly channel: string;
  readonly user: string;
  /** Last seq of the channel; null if nothing was ever published on it. */
  readonly seq: number | null;
  readonly provides: readonly Kind[];
  /** The publications with seq > since.seq, oldest first, if the owner's history reaches back that far; else null. */
  readonly after: readonly Publication[] | null;
  /** Whole state at `seq` when `after` is null: a book snapshot, a value, the current candles. Null if there is none. */
  readonly state: Body | null;
  /** Source time of that state in ms. */
  readonly time: number;
  /** Recent publications up to `seq`, oldest first, an unbroken chain (items and candles: what history holds). */
  readonly history: readonly Publication[];
  /** Not to be trusted until the next snapshot. */
  readonly stale: boolean;
}

/** Answers for one shard; registered by its owner. Null: no such channel here. */
export type StateHandler = (request: StateRequest) => StateReply | null;

/** The owner's HEAD as of now; the regular ones go on beside it. */
export type HeadHandler = () => Head;

export interface Subscription {
  close(): void;
}

export type BusState =
  | { readonly name: "connected" }
  /** Owners go on; what is published meanwhile is held within bounds, then lost and healed. */
  | { readonly name: "connecting"; readonly attempt: number; readonly error: string };

export interface Bus {
  /** Owner: hands one publication on under a fanout topic. Order per topic is the call order. */
  publish(header: ShardHeader, topic: string, publication: Publication): void;
  /** Owner: whether any node wants this topic just now. A bus that cannot know says true. */
  wanted(topic: string): boolean;
  /** Owner. */
  head(head: Head): void;
  /** Owner: answers requests for `shard` until closed; `head` makes its HEAD of this moment (without it `headOf` is not answered). */
  serve(shard: string, answer: StateHandler, head?: HeadHandler): Subscription;
  /** Receiver: publications of one fanout topic. */
  subscribe(topic: string, receive: (message: BusMessage) => void): Subscription;
  /** Receiver: every HEAD. */
  heads(receive: (head: Head) => void): Subscription;
  /** Receiver: the owner's answer; null if no owner knows the channel. Rejects with GatewayError when none answers in time. */
  request(request: StateRequest): Promise<StateReply | null>;
  /** Receiver: a HEAD that the owner of `shard` made after this call. Rejects with BUS_NO_ANSWER when none comes in time. */
  headOf(shard: string, timeoutMs: number): Promise<Head>;
  /** Owner: settles when all that was published so far has left this node; acknowledged, where the bus is persistent. */
  flushed(): Promise<void>;
  state(): BusState;
  close(): Promise<void>;
}
