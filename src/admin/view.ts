/**
 * What the admin side sees of a node: plain snapshots, taken when somebody asks.
 *
 * The composition root implements `NodeView` over the parts; nothing here holds a reference into them.
 * Invariants: counters are totals since the node started and never fall; labels come from bounded sets.
 */
import type { BrokerStatus } from "../ingest/broker.ts";
import type { SourceStatus } from "../ingest/source.ts";
import type { WorkerCounters } from "../ring/messages.ts";

type Counts = Readonly<Record<string, number>>;

/** A shard this node owns. */
export interface ShardView {
  readonly shard: string;
  /** Source.name. */
  readonly source: string;
  /** Of a route: other nodes may serve what it does not, so without it this node still takes traffic. */
  readonly routed: boolean;
  readonly epoch: string;
  readonly status: SourceStatus;
  /** Records that were skipped, by cause. */
  readonly badRecords: Counts;
  /** Books taken out of trust and fetched again, by cause: checksum, sequence, crossed, reconnect. */
  readonly resyncs: Counts;
  readonly books: number;
  /** Books of it that are stale now. */
  readonly staleBooks: number;
  readonly checkpoints: { readonly saved: number; readonly errors: number; readonly error: string | null };
}

/** An input of a route, as this node sees it. */
export interface RouteInputView {
  readonly shard: string;
  readonly owner: string;
  /** `running`, `starting`, `waiting` (failed, to be started again), `lost` to a newer owner, or `elsewhere`. */
  readonly state: string;
  readonly reason: string;
  /** Times it failed and was started again. */
  readonly failures: number;
}

export interface RoutesView {
  readonly brokers: readonly BrokerStatus[];
  readonly inputs: readonly RouteInputView[];
}

/** This node's end of the bus. */
export interface BusLinkView {
  /** `memory`, `nats`, ... */
  readonly kind: string;
  readonly connected: boolean;
  /** Why it is not connected; '' if it is. */
  readonly reason: string;
  /** What it counts, by its own words. */
  readonly counts: Counts;
  /** For other nodes: bytes that wait to leave or are not confirmed, and messages the stream has not acknowledged. */
  readonly heldBytes: number;
  readonly unacknowledged: number;
  /** The longest way from another node to here in the last seconds; null if nothing came. */
  readonly hopMs: number | null;
}

/** Where the dynamic configuration comes from, and what was made of it. */
export interface ConfigView {
  readonly store: string;
  /** Rises with every change that was taken. */
  readonly version: number;
  /** Changes that were refused as a whole. */
  readonly refused: number;
  /** The mistakes of what stands there now, if it was refused; else ''. */
  readonly mistake: string;
  /** What has changed and needs a restart. */
  readonly restart: readonly string[];
}

export interface EngineView {
  /** By kind. */
  readonly publications: Counts;
  /** Publications merged into a later one, by kind. */
  readonly conflated: Counts;
  /** Gaps told to subscribers, by reason. */
  readonly gaps: Counts;
  readonly channels: number;
  readonly topics: number;
  /** Channels that are stale on this node now, with the reason. */
  readonly stale: readonly { readonly channel: string; readonly reason: string }[];
}

/** A shard this node follows, as its HEADs on the bus tell. */
export interface BusShardView {
  readonly shard: string;
  /** Since the last HEAD; null before the first. */
  readonly headAgeMs: number | null;
  /** No HEAD for too long. */
  readonly silent: boolean;
}

export interface WorkerView {
  readonly worker: number;
  readonly up: boolean;
  readonly restarts: number;
  readonly loopLagMs: number;
}

export interface EdgeView {
  readonly workers: readonly WorkerView[];
  /** All workers together, those that died included. */
  readonly totals: Omit<WorkerCounters, "loopLagMs">;
}

export interface DrainView {
  /** Sessions not yet closed. */
  readonly sessions: number;
  /** Until the last one is closed. */
  readonly leftMs: number;
}

export interface CertificateView {
  readonly validTo: Date;
  /** Times the files brought a new one, and times they brought what cannot be served. */
  readonly renewals: number;
  readonly refusals: number;
}

export interface NodeView {
  readonly nodeId: string;
  readonly version: string;
  shards(): readonly ShardView[];
  engine(): EngineView;
  /** Null: this node has no routes. */
  routes(): RoutesView | null;
  bus(): readonly BusShardView[];
  busLink(): BusLinkView;
  /** What the receiving end of the bus has done, by event. */
  follower(): Counts;
  /** Where the owners of other shards stand, as REST asks it: questions, and those without an answer. */
  restHeads(): { readonly asked: number; readonly failed: number };
  /** `memory`, `redis`, ... */
  readonly checkpointStore: string;
  /** Null: without a dynamic configuration. */
  config(): ConfigView | null;
  /** Null: this node has no edge. */
  edge(): EdgeView | null;
  /** Worst lag of the main thread's event loop in the last seconds. */
  loopLagMs(): number;
  /** Null: the node is not draining. */
  drain(): DrainView | null;
  /** Null: the public listener speaks without TLS. */
  certificate(): CertificateView | null;
}
