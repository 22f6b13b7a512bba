/** What the NATS bus is told, and what it tells. */
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import type { NatsLink, NatsLinkOptions, NatsLinkState, NatsSettings } from "../../lib/nats.ts";
import type { Bus, BusState } from "../bus.ts";
import type { NatsBusCounters } from "./counters.ts";
import type { StreamSettings } from "./stream.ts";
import type { Way } from "./topics.ts";

export interface NatsBusOptions {
  readonly nats: NatsSettings & Pick<NatsLinkOptions, "pingMs" | "retryMaxMs">;
  /** Of topics that do not name their own. Default "nats". */
  readonly kind?: Way;
  /** What a fanout topic names; null: nothing. Asked once per topic. */
  readonly busOf?: (topic: string) => Way | null;
  /** The fanout topic of a channel: with it a receiver heals from the stream. */
  readonly topicOf?: (channel: string, user: string) => string;
  readonly stream?: StreamSettings;
  /** Nodes of one cluster hear each other. */
  readonly cluster: string;
  /** This node's name, for the server's monitoring. */
  readonly name: string;
  readonly log: Pick<Log, "info" | "warn">;
  readonly clock?: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /** Where `host:port` is really dialled. */
  readonly resolveAddress?: (hostPort: string) => string;
  /** How long a publication may wait for others of its topic. Default 1. */
  readonly lingerMs?: number;
  /** Publications in one message at most. Default 100. */
  readonly batch?: number;
  /** How long a HEAD may wait for HEADs of other shards. Default 20. */
  readonly headLingerMs?: number;
  /** How long a request waits for an owner. Default 1000. */
  readonly requestTimeoutMs?: number;
  /** After a connection was made, before "nobody knows the channel" is believed. Default 300. */
  readonly joinMs?: number;
  /** What may wait to be acknowledged by the stream (64 MiB). */
  readonly storedBytesMax?: number;
  /** What may wait to leave (16 MiB, 5 s), and what may be with the server unconfirmed (4 MiB). */
  readonly heldBytesMax?: number;
  readonly heldMsMax?: number;
  readonly windowBytes?: number;
  /** A receiver or owner threw. Default: thrown again on its own, as an uncaught error of the process. */
  readonly onError?: (error: unknown) => void;
  /** The version of the envelope; it is read and the one before it. Default BUS_VERSION. */
  readonly version?: number;
  /** The version that is written: the one before while a cluster is upgraded. Default `version`. */
  readonly writes?: number;
}

export interface NatsBusStatus {
  readonly state: BusState;
  readonly link: NatsLinkState;
  readonly counters: Readonly<NatsBusCounters>;
  readonly reconnects: number;
  /** Times the server cut this node off because it read too slowly. */
  readonly slowConsumer: number;
  /** Subjects subscribed on the server. */
  readonly subjects: number;
  /** Bytes that wait to leave or are not confirmed; and messages the stream has not acknowledged. */
  readonly heldBytes: number;
  readonly unacknowledged: number;
  /** The stream is there and takes publications. */
  readonly storing: boolean;
  readonly requestsOpen: number;
  /** Other nodes that serve shards. */
  readonly nodes: number;
  /** The longest way from another node's flush to here in the last seconds, in ms by both clocks; null if nothing came. */
  readonly hopMs: number | null;
}

export interface NatsBus extends Bus {
  status(): NatsBusStatus;
  readonly link: NatsLink;
  /** Null while the stream keeps up; else a promise that settles when it does. For sources that can wait. */
  busy(): Promise<void> | null;
}
