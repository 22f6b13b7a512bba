import type { Update } from "../../src/channel/types.ts";
import { createSim } from "../../src/ingest/sim.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { sourceContract } from "./source.ts";

for (const market of ["spot", "usdm"] as const) {
  sourceContract(`sim ${market}`, {
    open: () => createSim({ market, seed: 7, rate: 5000, historyHours: 0, clock: systemClock() }),
    endsAfter: null,
    updates: (value) => value as readonly Update[],
  });
}
