/** The node's checkpoint store by its configuration; its client is loaded where it is used. Part of the composition root. */
import { resolverOf } from "./config/addresses.ts";
import type { StaticConfig } from "./config/static.ts";
import { type CheckpointStore, MemoryCheckpoints } from "./ingest/checkpoint.ts";
import { ToldCheckpoints } from "./ingest/checkpoints/told.ts";
import type { Clock } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";

/** That a store with a server is away is told in the log for all shards together. */
export async function makeCheckpoints(config: StaticConfig, clock: Clock, log: Log): Promise<CheckpointStore> {
  const { checkpoints, cluster, nodeId } = config;
  const common = { name: `tidegate-${nodeId}`, clock, resolveAddress: resolverOf(config.addresses) };
  switch (checkpoints.kind) {
    case "memory":
      return new MemoryCheckpoints();
    case "redis": {
      const { RedisCheckpoints } = await import("./ingest/checkpoints/redis.ts");
      const { RedisLink } = await import("./lib/redis.ts");
      const { readRedisSettings } = await import("./lib/redis-address.ts");
      const link = new RedisLink({ ...common, target: readRedisSettings(checkpoints) }, Math.random);
      return new ToldCheckpoints(new RedisCheckpoints({ cluster, link, log }), clock, log);
    }
    case "jetstream": {
      const { JetstreamCheckpoints } = await import("./ingest/checkpoints/jetstream.ts");
      const { openNats } = await import("./lib/nats.ts");
      const { kind: _, replicas, ...nats } = checkpoints;
      const link = openNats({ ...nats, ...common, random: Math.random, log });
      const more = replicas === undefined ? {} : { replicas };
      return new ToldCheckpoints(new JetstreamCheckpoints({ cluster, link, log, ...more }), clock, log);
    }
  }
}
