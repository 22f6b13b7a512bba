/** What the admin side sees of a node: snapshots over its parts, taken when somebody asks. */
import type { LoopLag, NodeView } from "./admin/mod.ts";
import type { Follower } from "./bus/follower.ts";
import type { StaticConfig } from "./config/static.ts";
import type { Edge } from "./edge/mod.ts";
import type { Engine } from "./engine/engine.ts";
import type { Shard } from "./ingest/shard.ts";

export interface ViewedParts {
  readonly config: StaticConfig;
  readonly version: string;
  readonly shards: readonly Shard[];
  readonly engine: Engine;
  readonly follower: Follower;
  readonly edge: Edge | null;
  readonly lag: LoopLag;
}

export function nodeView({ config, version, shards, engine, follower, edge, lag }: ViewedParts): NodeView {
  return {
    nodeId: config.nodeId,
    version,
    draining: () => false,
    loopLagMs: () => lag.worstMs(),
    shards: () =>
      shards.map((shard) => {
        const status = shard.status();
        return {
          shard: shard.id,
          source: status.source.name,
          epoch: status.epoch,
          status: { ...status.source, lagMs: status.lagMs },
          badRecords: { ...status.malformed, ...status.refused },
          resyncs: status.resyncs,
          books: status.books,
          staleBooks: status.staleBooks.length,
        };
      }),
    engine: () => ({ ...engine.counters, ...engine.status() }),
    bus: () => follower.shards(),
    edge: () => {
      if (edge === null) return null;
      const { restarts: _, loopLagMs: __, ...totals } = edge.counters();
      return { workers: edge.workers(), totals };
    },
  };
}
