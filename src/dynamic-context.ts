/**
 * What the dynamic configuration is judged by: mappers and brokers of this build, and what the node was told at start.
 *
 * Part of the composition root: the configuration itself knows no broker.
 */
import type { DynamicContext } from "./config/dynamic/types.ts";
import { DEFAULT_LIMITS } from "./edge/config.ts";
import { mapperKinds } from "./ingest/mapper/mod.ts";

export function dynamicContext(node: Partial<Pick<DynamicContext, "defaultMarket" | "limits">> = {}): DynamicContext {
  return {
    defaultMarket: "spot",
    limits: DEFAULT_LIMITS,
    ...node,
    mappers: mapperKinds,
    properties: { kafka: [], nats: [], jetstream: [], "redis-stream": [] },
  };
}
