/** Nodes on one real NATS server for the bus contract, each test in a cluster of its own. */
import { createNatsBus, type NatsBus, type NatsBusOptions } from "../../src/bus/nats/mod.ts";
import { nextTurn } from "../../src/lib/fake-clock.ts";
import { silentLog } from "../../src/lib/log.ts";
import type { BusFixture } from "./bus.ts";
import { patiently } from "./bus-pair.ts";

export interface NatsBusFixture extends BusFixture {
  node(options?: Partial<NatsBusOptions>): Promise<NatsBus>;
  readonly nodes: readonly NatsBus[];
  readonly cluster: string;
}

let clusters = 0;

/** However long a busy machine takes to acknowledge. */
async function allSent(bus: NatsBus): Promise<void> {
  const isSent = (): Promise<boolean> =>
    bus.flushed().then(
      () => true,
      () => bus.link.connection === null,
    );
  while (!(await isSent())) await nextTurn();
}

/** One publication a message by default: the follower tests lose and delay single ones. */
export function natsBusFixture(url: () => string, defaults: Partial<NatsBusOptions> = {}): NatsBusFixture {
  const cluster = `test-${process.pid}-${clusters++}`;
  const nodes: NatsBus[] = [];
  const open = (): NatsBus[] => nodes.filter((bus) => bus.link.connection !== null);
  const traffic = (): string =>
    nodes.map((bus) => Object.values(bus.status().counters).join()).join() +
    nodes.map((b) => b.status().heldBytes).join();
  return {
    cluster,
    nodes,
    async node(options = {}) {
      const bus = createNatsBus({
        nats: { servers: [url()] },
        cluster,
        name: `node-${nodes.length}`,
        log: silentLog,
        batch: 1,
        requestTimeoutMs: 150,
        joinMs: 0,
        ...defaults,
        ...options,
      });
      nodes.push(bus);
      await bus.link.connected();
      // Until the stream is there publications wait, and would reach those who subscribe later.
      if (defaults.kind === "jetstream") await patiently(() => bus.status().storing, "the stream");
      await this.settle();
      return bus;
    },
    /** Until a whole round, in which everybody sent what he had and read what the server had for him, moved nothing. */
    async settle() {
      for (let before = ""; before !== traffic(); ) {
        before = traffic();
        await Promise.all(open().map(allSent));
        // First whoever sent knows that the server has dealt with it (a stream may acknowledge before that), then whoever
        // receives has read what the server dealt out.
        for (const _ of ["senders", "receivers"]) {
          await Promise.all(open().map((bus) => bus.link.connection?.flush()));
        }
        await nextTurn();
      }
    },
    async close() {
      await Promise.all(nodes.map((bus) => bus.close()));
    },
  };
}
