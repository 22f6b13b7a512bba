/** The main thread's REST, put together: books no older than any node's streams, and what owners keep. Part of the composition root. */
import type { Bus, Head } from "./bus/bus.ts";
import type { Follower } from "./bus/follower.ts";
import { FreshHeads } from "./bus/fresh-heads.ts";
import type { InstrumentRegistry } from "./channel/registry.ts";
import type { Engine } from "./engine/engine.ts";
import type { Clock } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";
import { type BinanceRest, createBinanceRest } from "./protocol/binance/mod.ts";
import { RestDepth, type RestDepthPorts } from "./rest-depth.ts";
import { RestKept } from "./rest-kept.ts";

/** An owner that takes longer does not answer a REST request in time. */
const HEAD_MS_MAX = 300;

export interface RestParts {
  readonly bus: Bus;
  readonly engine: Engine;
  readonly follower: Follower;
  readonly registry: InstrumentRegistry;
  readonly isOwn: RestDepthPorts["isOwn"];
  readonly clock: Clock;
  readonly log: Log;
}

export function makeRest(parts: RestParts): { readonly rest: BinanceRest; readonly heads: FreshHeads } {
  const { bus, engine, follower, registry, isOwn, clock, log } = parts;
  const heads = new FreshHeads(bus, clock, HEAD_MS_MAX);
  const shardOf = (channel: string) => follower.shardOf(channel);
  const heard = (head: Head) => follower.heard(head);
  const depths = new RestDepth({ engine, shardOf, isOwn, heads, heard, clock });
  const kept = new RestKept({ bus, shards: () => follower.shards() });
  const rest = createBinanceRest({
    instruments: registry,
    clock,
    failed: (error) => log.error("a REST request failed", { error }),
    kept: (channel) => kept.of(channel),
    depth: async (channel, limit) => (await depths.of(channel, limit)) ?? { unavailable: true },
  });
  return { rest, heads };
}
