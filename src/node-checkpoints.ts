/** The node's checkpoint store by its configuration. Part of the composition root. */
import { resolverOf } from "./config/addresses.ts";
import type { StaticConfig } from "./config/static.ts";
import { type CheckpointStore, MemoryCheckpoints } from "./ingest/checkpoint.ts";
import { JetstreamCheckpoints } from "./ingest/checkpoints/jetstream.ts";
import { RedisCheckpoints } from "./ingest/checkpoints/redis.ts";
import type { Clock } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";
import { openNats } from "./lib/nats.ts";
import { RedisLink } from "./lib/redis.ts";
import { readRedisSettings } from "./lib/redis-address.ts";

export function makeCheckpoints(config: StaticConfig, clock: Clock, log: Log): CheckpointStore {
  const { checkpoints, cluster, nodeId } = config;
  const common = { name: `tidegate-${nodeId}`, clock, resolveAddress: resolverOf(config.addresses) };
  switch (checkpoints.kind) {
    case "memory":
      return new MemoryCheckpoints();
    case "redis": {
      const link = new RedisLink({ ...common, target: readRedisSettings(checkpoints) }, Math.random);
      return new RedisCheckpoints({ cluster, link, log });
    }
    case "jetstream": {
      const { kind: _, replicas, ...nats } = checkpoints;
      const link = openNats({ ...nats, ...common, random: Math.random, log });
      return new JetstreamCheckpoints({ cluster, link, log, ...(replicas === undefined ? {} : { replicas }) });
    }
  }
}
