/**
 * What the dynamic configuration is judged by: mappers and brokers of this build, and what the node was told at start.
 *
 * Part of the composition root: the configuration itself knows no broker.
 */
import type { DynamicContext } from "./config/dynamic/types.ts";
import { DEFAULT_LIMITS } from "./edge/config.ts";
import { JETSTREAM_PROPERTIES } from "./ingest/jetstream/mod.ts";
// Not through its face, which brings the client: that takes most of a second to load.
import { KAFKA_PROPERTIES } from "./ingest/kafka/property-table.ts";
import { mapperKinds } from "./ingest/mapper/mod.ts";
import { NATS_PROPERTIES } from "./ingest/nats/mod.ts";
import { REDIS_STREAM_PROPERTIES } from "./ingest/redis-stream/mod.ts";

export function dynamicContext(node: Partial<Pick<DynamicContext, "defaultMarket" | "limits">> = {}): DynamicContext {
  return {
    defaultMarket: node.defaultMarket ?? "spot",
    limits: node.limits ?? DEFAULT_LIMITS,
    mappers: mapperKinds,
    properties: {
      kafka: KAFKA_PROPERTIES,
      nats: NATS_PROPERTIES,
      jetstream: JETSTREAM_PROPERTIES,
      "redis-stream": REDIS_STREAM_PROPERTIES,
    },
  };
}
