/**
 * The seeded simulation: whole nodes, a bad bus, owners that come and go; every client has what its source has, or was told.
 *
 * 1,000 seeds, always the same; `TIDEGATE_SIM_SEED=N` plays that one, `TIDEGATE_SIM_SEEDS=M` so many. docs/simulation.md.
 */
import { expect, test } from "bun:test";
import { planOf } from "./draw.ts";
import { report } from "./report.ts";
import { run } from "./world.ts";

const ONE = process.env.TIDEGATE_SIM_SEED;
const SEEDS = Number(process.env.TIDEGATE_SIM_SEEDS ?? 1000);
/** Below that many seeds chance decides what occurs in them. */
const SEEDS_TELLING = 500;

test(
  "simulation - whatever the bus, the owners, the workers and the clients do, everybody has all of it or was told",
  () => {
    const sum: Record<string, number> = {};
    const seeds = ONE === undefined ? Array.from({ length: SEEDS }, (_, seed) => seed) : [Number(ONE)];
    for (const seed of seeds) {
      const { violations, stats } = run(planOf(seed));
      if (violations.length > 0) throw new Error(report(seed));
      for (const [what, count] of Object.entries(stats)) sum[what] = (sum[what] ?? 0) + count;
    }
    if (seeds.length < SEEDS_TELLING) return;
    // All of it did happen.
    expect(sum.judged).toBeGreaterThan(3 * seeds.length);
    for (const [what, count] of Object.entries(sum)) expect([what, count > seeds.length / 100]).toEqual([what, true]);
  },
  120_000 + SEEDS * 500,
);

test("simulation - a seed gives the same world twice, to the byte", () => {
  for (let seed = 0; seed < 12; seed++) {
    const [one, other] = [run(planOf(seed), true), run(planOf(seed), true)];
    expect(one.trace.length).toBeGreaterThan(20);
    expect(other.trace.join("\n")).toBe(one.trace.join("\n"));
    expect(other.records.join("\n")).toBe(one.records.join("\n"));
    expect(other.checkpoints).toEqual(one.checkpoints);
  }
}, 60_000);
