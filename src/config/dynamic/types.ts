/**
 * The dynamic configuration (DESIGN 11): what a cluster reads, how it understands it and under which names it serves it.
 *
 * Plain data; every field is judged and filled in by parse.ts, so whoever holds a DynamicConfig need not check it again.
 */
import type { InstrumentSpec } from "../../channel/registry.ts";
import type { TopicSpec } from "../../channel/topic-settings.ts";
import type { Kind } from "../../channel/types.ts";
import type { EdgeLimits } from "../../edge/config.ts";
import type { BrokerProperty } from "../../ingest/broker.ts";
import type { DeclarativeSpec } from "../../ingest/mapper/declarative/mod.ts";

/** The newest form of an entry that this build reads. */
export const ENTRY_VERSION = 1;

export const BROKER_TYPES = ["kafka", "nats", "jetstream", "redis-stream"] as const;
export type BrokerType = (typeof BROKER_TYPES)[number];

export const BUS_KINDS = ["memory", "nats", "jetstream"] as const;
export type BusKind = (typeof BUS_KINDS)[number];

export interface DataSourceSpec {
  readonly version: number;
  readonly type: BrokerType;
  readonly name: string;
  /** In the broker's own spelling and units. */
  readonly properties: Readonly<Record<string, unknown>>;
}

export interface MappingSpec {
  /** A built-in mapper or one of `mappers`. */
  readonly mapper: string;
  /** Kafka topic, NATS subject, stream key; may hold `{symbol}`. Where it was not given it is the `fanout_topic`. */
  readonly source_topic: string;
  /** The topic on the bus; may hold `{symbol}`. */
  readonly fanout_topic: string;
  /** The channel, or a template of channels with `{symbol}`. */
  readonly ws_topic: string;
  /** Absent: the node's. */
  readonly bus?: BusKind | undefined;
}

export interface RouteSpec {
  readonly id: string;
  readonly version: number;
  /** sha256 of the owner's node name in hex. */
  readonly peer_id?: string | undefined;
  /** Name of a data source. */
  readonly data_source: string;
  readonly mappings: readonly MappingSpec[];
}

export type MapperSpec = DeclarativeSpec;

export interface DynamicConfig {
  readonly datasource: readonly DataSourceSpec[];
  readonly topics: readonly TopicSpec[];
  readonly routes: readonly RouteSpec[];
  readonly mappers: readonly MapperSpec[];
  /** With everything filled in; `inferred` where tick and lot were left out. */
  readonly instruments: readonly InstrumentSpec[];
  /** Whole: those of the node (DynamicContext.limits) with what the document says in their place. */
  readonly limits: EdgeLimits;
}

/** What parsing needs to know of the program and the node. Plain data, so that it can go to a worker. */
export interface DynamicContext {
  readonly defaultMarket: string;
  /** Built-in mappers; `kind` null: several, each update names its own. */
  readonly mappers: readonly { readonly name: string; readonly kind: Kind | null }[];
  readonly properties: Readonly<Record<BrokerType, readonly BrokerProperty[]>>;
  /** What holds where the document says nothing. */
  readonly limits: EdgeLimits;
}

export interface Mistake {
  /** `routes[0].mappings[2].mapper`; '' for the document as a whole. */
  readonly path: string;
  /** What is wrong and what is wanted, without the path. */
  readonly message: string;
  /** In the document's text, both from 1. */
  readonly line: number;
  readonly column: number;
}

export type Parsed =
  | { readonly config: DynamicConfig; readonly warnings: readonly Mistake[] }
  | { readonly mistakes: readonly Mistake[]; readonly warnings: readonly Mistake[] };
