/**
 * The brokers of this build, each loaded only where a data source is of its type: loading Kafka's client alone takes most of
 * a second.
 *
 * Part of the composition root.
 */
import type { BrokerType } from "./config/dynamic/types.ts";
import type { BrokerFactories, BrokerFactory } from "./routes/mod.ts";

const LOADERS: Readonly<Record<BrokerType, () => Promise<BrokerFactory>>> = {
  kafka: async () => (await import("./ingest/kafka/mod.ts")).createKafkaBroker,
  nats: async () => (await import("./ingest/nats/mod.ts")).createNatsBroker,
  jetstream: async () => (await import("./ingest/jetstream/mod.ts")).createJetstreamBroker,
  "redis-stream": async () => (await import("./ingest/redis-stream/mod.ts")).createRedisStreamBroker,
};

/** `given`: in the place of those of their type. */
export async function loadBrokers(
  sources: readonly { readonly type: BrokerType }[],
  given: BrokerFactories = {},
): Promise<BrokerFactories> {
  const types = [...new Set(sources.map(({ type }) => type))];
  const loaded = await Promise.all(types.map(async (type) => [type, given[type] ?? (await LOADERS[type]())] as const));
  return Object.fromEntries(loaded);
}
