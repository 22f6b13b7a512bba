/**
 * The receiving end of the bus, put together: chains for the engine, instruments for the registry, and the word to a shard of
 * this node that somebody newer has it. Part of the composition root.
 */
import type { Bus } from "./bus/bus.ts";
import { createFollower, type Follower } from "./bus/follower.ts";
import { InstrumentFollower } from "./bus/instrument-follower.ts";
import type { InstrumentRegistry } from "./channel/registry.ts";
import { takeInstrument } from "./cluster/instruments.ts";
import type { Shard } from "./ingest/shard.ts";
import type { Clock } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";

/** An owner sends a HEAD every 500 ms. */
const HEARD_MS = 700;

export interface FollowingParts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly topicOf: (channel: string, user: string) => string;
  readonly registry: InstrumentRegistry;
  /** Shards of this node, those of now. */
  readonly shards: () => readonly Shard[];
  readonly shardOf: (name: string) => Shard | null;
  /** The configuration says all there is to say of the instrument. */
  readonly isConfigured: (market: string, symbol: string) => boolean;
  readonly log: Log;
}

export interface Following {
  readonly follower: Follower;
  /** Every shard of other nodes has had the time to be heard, and what they have learned is known. */
  readonly settled: () => boolean;
  close(): void;
}

export function follow(parts: FollowingParts): Following {
  const { bus, clock, topicOf, registry, shards, shardOf, isConfigured, log } = parts;
  const follower = createFollower({
    bus,
    clock,
    topicOf,
    log: { warn: (fields, message) => log.warn(message, { ...fields }) },
    raised: (shard, token) => shardOf(shard)?.heard(token),
  });
  const instruments = new InstrumentFollower({
    bus,
    isOwn: (shard) => shardOf(shard) !== null,
    take(instrument) {
      const { market, symbol } = instrument;
      const isFed = shards().some((shard) => shard.feeds(market, symbol));
      takeInstrument(registry, instrument, isFed || isConfigured(market, symbol));
    },
    refused: (shard, error) => log.warn("instruments of another node are not known yet", { shard, error }),
  });
  let connectedMs: number | null = null;
  return {
    follower,
    settled() {
      if (bus.state().name !== "connected") return false;
      connectedMs ??= clock.monotonicMs();
      return clock.monotonicMs() - connectedMs > HEARD_MS && instruments.complete;
    },
    close() {
      instruments.close();
      follower.close();
    },
  };
}
