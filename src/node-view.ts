/** What the admin side sees of a node: snapshots over its parts, taken when somebody asks. */
import type { BusLinkView, LoopLag, NodeView } from "./admin/mod.ts";
import type { Bus } from "./bus/bus.ts";
import type { Follower } from "./bus/follower.ts";
import type { FreshHeads } from "./bus/fresh-heads.ts";
import type { StaticConfig } from "./config/static.ts";
import type { Edge, Renewal } from "./edge/mod.ts";
import type { Engine } from "./engine/engine.ts";
import type { Shard } from "./ingest/shard.ts";
import { natsBusOf } from "./node-bus.ts";
import type { NodeDrain } from "./node-drain.ts";
import type { Dynamic } from "./node-routes.ts";
import type { Routes } from "./routes/mod.ts";

export interface ViewedParts {
  readonly config: StaticConfig;
  readonly routes: () => Routes | null;
  readonly bus: Bus;
  readonly heads: Pick<FreshHeads, "counters">;
  readonly dynamic: Dynamic | null;
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
    busLink: () => busLink(config, parts.bus),
    follower: () => ({ ...follower.status().counters }),
    restHeads: () => parts.heads.counters,
    checkpointStore: config.checkpoints.kind,
    routes: () => parts.routes()?.status() ?? null,
    config: () => parts.dynamic?.view() ?? null,
    shards: () =>
      shards().map((shard) => {
        const status = shard.status();
        return {
          shard: shard.id,
          source: status.source.name,
          routed: parts.routes()?.shard(shard.id) === shard,
          epoch: status.epoch,
          // Who knows the end of its input knows better how late we are than the records do: a quiet one is not late.
          status: {
            ...status.source,
            lagMs: (status.source.lagRecords ?? null) === null ? status.lagMs : status.source.lagMs,
          },
          badRecords: { ...status.malformed, ...status.refused },
          resyncs: status.resyncs,
          books: status.books,
          staleBooks: status.staleBooks.length,
          checkpoints: {
            saved: status.checkpointsSaved,
            errors: status.checkpointErrors,
            error: status.checkpointError,
          },
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

function busLink({ bus: { kind } }: StaticConfig, bus: Bus): BusLinkView {
  const state = bus.state();
  const status = natsBusOf(bus)?.status();
  const { heldBytes = 0, unacknowledged = 0, hopMs = null, reconnects = 0, slowConsumer = 0 } = status ?? {};
  const counts = status === undefined ? {} : { ...status.counters, reconnects, slowConsumer };
  const rest = { counts, heldBytes, unacknowledged, hopMs };
  if (state.name === "connected") return { kind, connected: true, reason: "", ...rest };
  return { kind, connected: false, reason: `attempt ${state.attempt}: ${state.error}`, ...rest };
}
