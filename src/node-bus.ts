/**
 * The node's bus by its configuration: in memory for one node, over NATS for a cluster. Part of the composition root.
 *
 * One connection serves all: which topics go through the stream, or nowhere, is asked per topic.
 */
import type { Bus } from "./bus/bus.ts";
import { createMemoryBus } from "./bus/memory.ts";
import type { NatsBus } from "./bus/nats/mod.ts";
import { resolverOf } from "./config/addresses.ts";
import type { StaticConfig } from "./config/static.ts";
import type { Clock } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";
import type { Fanout } from "./routes/mod.ts";

export async function makeBus(config: StaticConfig, fanout: Fanout, clock: Clock, log: Log): Promise<Bus> {
  const { kind, servers, user, password, token, credentials, tls, lingerMs, batch, stream } = config.bus;
  const reaches = kind !== "memory" || fanout.kinds.has("nats") || fanout.kinds.has("jetstream");
  if (!reaches) return createMemoryBus({ clock });
  const { createNatsBus } = await import("./bus/nats/mod.ts");
  return createNatsBus({
    nats: { servers, user, password, token, credentials, tls },
    kind,
    busOf: (topic) => fanout.busOf(topic),
    topicOf: (channel, of) => fanout.topicOf(channel, of),
    stream,
    cluster: config.cluster,
    name: config.nodeId,
    log,
    clock,
    lingerMs,
    batch,
    resolveAddress: resolverOf(config.addresses),
  });
}

/** The bus with its own numbers, where it has any. */
export const natsBusOf = (bus: Bus): NatsBus | null => ("status" in bus ? (bus as NatsBus) : null);
