/** The node's bus by its static configuration: in memory for one node, over NATS for a cluster. Part of the composition root. */
import type { Bus } from "./bus/bus.ts";
import { createMemoryBus } from "./bus/memory.ts";
import { createNatsBus, type NatsBus } from "./bus/nats/mod.ts";
import { resolverOf } from "./config/addresses.ts";
import type { StaticConfig } from "./config/static.ts";
import type { Clock } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";

export function makeBus(config: StaticConfig, clock: Clock, log: Log): Bus {
  const { kind, servers, user, password, token, credentials, tls, lingerMs, batch } = config.bus;
  if (kind === "memory") return createMemoryBus({ clock });
  return createNatsBus({
    nats: { servers, user, password, token, credentials, tls },
    cluster: config.cluster,
    name: config.nodeId,
    log,
    clock,
    lingerMs,
    batch,
    resolveAddress: resolverOf(config.addresses),
  });
}

/** The bus's own numbers, where it has any. */
export const natsBusOf = (bus: Bus): NatsBus | null => ("status" in bus ? (bus as NatsBus) : null);
