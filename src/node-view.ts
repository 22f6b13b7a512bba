/** What the admin side sees of a node: snapshots over its parts, taken when somebody asks. */
import type { LoopLag, NodeView } from "./admin/mod.ts";
import type { Follower } from "./bus/follower.ts";
import type { StaticConfig } from "./config/static.ts";
import type { Edge, Renewal } from "./edge/mod.ts";
import type { Engine } from "./engine/engine.ts";
import type { Shard } from "./ingest/shard.ts";
import type { NodeDrain } from "./node-drain.ts";

export interface ViewedParts {
  readonly config: StaticConfig;
  readonly version: string;
  readonly shards: () => readonly Shard[];
  readonly engine: Engine;
  readonly follower: Follower;
  readonly edge: Edge | null;
  readonly lag: LoopLag;
  readonly drain: Pick<NodeDrain, "state">;
  /** Null: without TLS. */
  readonly renewal: Renewal | null;
}

export function nodeView(parts: ViewedParts): NodeView {
  const { config, version, shards, engine, follower, edge, lag, drain, renewal } = parts;
  return {
    nodeId: config.nodeId,
    version,
    drain: () => drain.state,
    certificate: () => renewal && { ...renewal.counts, validTo: renewal.certificate.validTo },
    loopLagMs: () => lag.worstMs(),
    shards: () =>
      shards().map((shard) => {
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
