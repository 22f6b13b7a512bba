/**
 * The contract of a broker: a data source of the configuration whose topics have one or more inputs, found at run time.
 *
 * On the path: BROKER -> one source per input (a Kafka partition, a NATS subject, a stream key) -> shard.
 * Invariants: an input's source yields BrokerRecords in the broker's order; the sources of a broker share its connections;
 * what is wrong (an address nobody answers on, a topic that does not exist) is told in `status` within seconds and tried
 * again, it never throws.
 */
import type { Clock } from "../lib/clock.ts";
import type { IngestLog } from "./sampled-log.ts";
import type { Source } from "./source.ts";

/** The value of a data record that came from a broker. */
export interface BrokerRecord {
  /** Kafka topic, NATS subject or stream key it came on. */
  readonly topic: string;
  /** Null if the broker has none or this record has none. */
  readonly key: string | null;
  readonly value: Uint8Array;
  /** The broker's own time of it in ms; null if it gives none. */
  readonly time: number | null;
}

/** Whether a data record came from a broker: what is not of ours has no bytes as its value. */
export const isBrokerRecord = (value: unknown): value is BrokerRecord =>
  typeof value === "object" && value !== null && "value" in value && value.value instanceof Uint8Array;

export interface BrokerInput {
  /** Stable and unique within the broker: `trades/3`, `md.trade.*`, `md:trade:btcusdt`. Part of the shard's name. */
  readonly id: string;
  /** Kafka topic, NATS subject (may hold wildcards) or stream key. */
  readonly topic: string;
  /** Makes the source of this input; asked once per owner. */
  open(): Source;
}

export type BrokerState =
  | { readonly name: "connecting"; readonly attempt: number; readonly retryAt: number; readonly error: string }
  | { readonly name: "connected" }
  | { readonly name: "failed"; readonly reason: string };

export interface BrokerStatus {
  readonly name: string;
  readonly type: string;
  readonly state: BrokerState;
  /** Source topics that are watched and do not exist, or may not be read, with the reason. */
  readonly missing: readonly { readonly topic: string; readonly reason: string }[];
  /** What else it counts, by its own words (`stalls`, `commit errors`); each only rises. */
  readonly counts?: Readonly<Record<string, number>>;
}

/** A source topic of a mapping: its `{symbol}`, if it has one, stands for `symbols()` at any time. */
export interface TopicPattern {
  /** `fanout.trade.btcusdt` or `md.trade.{symbol}`. */
  readonly text: string;
  /** The symbol that a concrete topic stands for; '' if the pattern has none; null if it is not of this pattern or unknown. */
  symbolOf(topic: string): string | null;
  /** Concrete topics of all instruments known now; the pattern itself if it holds no `{symbol}`. */
  topics(): readonly string[];
}

export interface Watch {
  close(): void;
}

export interface Broker {
  /** The data source's name in the configuration. */
  readonly name: string;
  /**
   * Tells the inputs that a source topic has: as soon as they are known, and again at each change (a partition more, a topic
   * made anew). Inputs that are gone are left out; one that stays keeps its `id`.
   */
  watch(topic: TopicPattern, changed: (inputs: readonly BrokerInput[]) => void): Watch;
  status(): BrokerStatus;
  /** Ends all watches and connections; sources still running end as if aborted. */
  close(): Promise<void>;
}

/** What every broker's constructor gets. It judges `properties` and throws GatewayError BROKER_PROPERTIES. */
export interface BrokerTools {
  /** The data source's name in the configuration. */
  readonly name: string;
  /** As the configuration has them, in the broker's own spelling and units. */
  readonly properties: Readonly<Record<string, unknown>>;
  readonly clock: Clock;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly log: IngestLog;
  /** Where `host:port` is really dialled. */
  readonly resolveAddress: (hostPort: string) => string;
}

/** A property that a broker understands: for the checks of the configuration, its JSON Schema and docs/sources.md. */
export interface BrokerProperty {
  readonly name: string;
  /** `strings`: a list, or one text with commas. Numbers and booleans may be given as text. */
  readonly type: "string" | "strings" | "number" | "boolean" | "object";
  /** As a person writes it; "" if there is none. */
  readonly default: string;
  /** Also the consequence, where it is a limit. */
  readonly what: string;
  /** Other clients' names for it. */
  readonly aliases?: readonly string[];
}
