/** The memory bus under the bus contract, once handing objects on and once through the envelope's bytes. */
import { createMemoryHub } from "../../src/bus/memory.ts";
import { nextTurn } from "../../src/lib/fake-clock.ts";
import { busContract } from "./bus.ts";

for (const throughBytes of [false, true]) {
  busContract(throughBytes ? "memory through bytes" : "memory", async () => {
    const hub = createMemoryHub({ throughBytes, requestTimeoutMs: 50 });
    const nodes: ReturnType<typeof hub.attach>[] = [];
    return {
      async node() {
        const bus = hub.attach();
        nodes.push(bus);
        return bus;
      },
      settle: nextTurn,
      async close() {
        for (const bus of nodes) await bus.close();
      },
    };
  });
}
