/**
 * The properties of a Kafka data source in Kafka's own spelling and units, and what they become.
 *
 * Beside the path: configuration -> PROPERTIES -> broker. Invariants: what is wrong is refused with the property's name; a
 * property of Kafka's that we do not know is told once and left alone, because operators paste whole client configurations.
 */
import type { SASLOptions } from "@platformatic/kafka";
import type { BrokerTools } from "../broker.ts";
import { BrokerProperties } from "../broker-properties.ts";
import { ALIASES, fallbackOf, KAFKA_PROPERTIES, wordOf } from "./property-table.ts";
import { saslOf } from "./sasl.ts";
import { type TlsSettings, tlsOf } from "./tls.ts";

export type OffsetReset = "earliest" | "latest" | "none";

export interface KafkaSettings {
  /** `host:port` each. */
  readonly servers: readonly string[];
  /** Null: no offsets are committed. */
  readonly groupId: string | null;
  readonly clientId: string;
  readonly reset: OffsetReset;
  readonly committedOnly: boolean;
  readonly fetchMinBytes: number;
  readonly fetchMaxWaitMs: number;
  readonly fetchMaxBytes: number;
  readonly partitionMaxBytes: number;
  readonly requestTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly metadataMaxAgeMs: number;
  readonly tls: TlsSettings | null;
  readonly sasl: SASLOptions | null;
  readonly deadLetterTopic: string | null;
}

const PROTOCOLS = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] as const;
const TOPIC_NAME = /^[A-Za-z0-9._-]{1,249}$/;

const RESETS = ["earliest", "latest", "none"] as const;
const ISOLATIONS = ["read_uncommitted", "read_committed"] as const;

export function settingsOf(tools: Pick<BrokerTools, "name" | "properties" | "log">): KafkaSettings {
  const given = new BrokerProperties({ ...tools, properties: renamed(tools.properties) }, KAFKA_PROPERTIES);
  const whole = (name: string, least: number, most: number): number => {
    const value = given.number(name, least, most) ?? Number(fallbackOf(name));
    if (!Number.isInteger(value)) throw given.wrong(name, "must be a whole number");
    return value;
  };
  const protocol = wordOf(given, "security.protocol", PROTOCOLS, (text) => text.toUpperCase());
  const fetchMaxWaitMs = whole("fetch.max.wait.ms", 0, 60_000);
  const deadLetterTopic = given.text("dead.letter.topic") || null;
  if (deadLetterTopic !== null && !TOPIC_NAME.test(deadLetterTopic)) {
    throw given.wrong("dead.letter.topic", `cannot be "${deadLetterTopic}": that is no name of a topic`);
  }
  return {
    servers: serversOf(given),
    groupId: given.text("group.id") || null,
    clientId: given.text("client.id") || fallbackOf("client.id"),
    reset: wordOf(given, "auto.offset.reset", RESETS),
    committedOnly: wordOf(given, "isolation.level", ISOLATIONS) === "read_committed",
    fetchMinBytes: whole("fetch.min.bytes", 0, 1 << 28),
    fetchMaxWaitMs,
    fetchMaxBytes: whole("fetch.max.bytes", 1024, 1 << 30),
    partitionMaxBytes: whole("max.partition.fetch.bytes", 1024, 1 << 26),
    requestTimeoutMs: Math.max(whole("request.timeout.ms", 100, 600_000), fetchMaxWaitMs + 1000),
    connectTimeoutMs: whole("socket.connection.setup.timeout.ms", 100, 600_000),
    metadataMaxAgeMs: whole("metadata.max.age.ms", 100, 86_400_000),
    tls: protocol.endsWith("SSL") ? tlsOf(given) : null,
    sasl: protocol.startsWith("SASL") ? saslOf(given) : null,
    deadLetterTopic,
  };
}

function renamed(properties: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const result: Record<string, unknown> = {};
  for (const [written, value] of Object.entries(properties)) {
    const name = ALIASES[written] ?? written;
    if (name === written || !(name in properties)) result[name] = value;
  }
  return result;
}

function serversOf(given: BrokerProperties): string[] {
  const servers = given.texts("bootstrap.servers") ?? [];
  if (servers.length === 0) {
    throw given.wrong(
      "bootstrap.servers",
      'is missing: give the addresses of the brokers, like "kafka-1:9092,kafka-2:9092"',
    );
  }
  return servers.map((written) => addressOf(given, written.trim()));
}

/** `host:port` of what was written: `kafka`, `kafka:9092`, `PLAINTEXT://kafka:9092`, `[::1]:9092`. */
function addressOf(given: BrokerProperties, written: string): string {
  const bare = written.replace(/^[A-Za-z_]+:\/\//, "");
  const parts = /^(\[[0-9A-Fa-f:.]+\]|[^\s:/[\]]+)(?::(\d{1,5}))?$/.exec(bare);
  const port = Number(parts?.[2] ?? 9092);
  if (parts === null || port < 1 || port > 65_535) {
    throw given.wrong("bootstrap.servers", `holds "${written}", which is no address: write it like kafka:9092`);
  }
  return `${parts[1]}:${port}`;
}
