import type { Update } from "../../src/channel/types.ts";
import { createSynthetic } from "../../src/ingest/synthetic.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { sourceContract } from "./source.ts";

const updates = (value: unknown): readonly Update[] => value as readonly Update[];

sourceContract("synthetic, common ticks", {
  open: () => createSynthetic({ channels: 3, rate: 5000, size: 250, spread: false, clock: systemClock() }),
  endsAfter: null,
  updates,
});

sourceContract("synthetic, evenly spread", {
  open: () => createSynthetic({ channels: 10, rate: 600, size: 250, spread: true, clock: systemClock() }),
  endsAfter: null,
  updates,
});
