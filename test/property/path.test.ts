/**
 * Properties of the whole path: random worlds (../sim/world.ts) in which every client ends with what its venue has, or was told.
 *
 * `TIDEGATE_PROPERTY_RUNS` sets how many worlds (default 200; more find more), `TIDEGATE_PROPERTY_SEED` where they begin
 * (default: always the same; `random`: anywhere). A failure prints seed and path: `TIDEGATE_PROPERTY_SEED=<seed>
 * TIDEGATE_PROPERTY_PATH=<path>` plays that world again; with `TIDEGATE_PROPERTY_SHRINK=1` a failing world is made smaller first.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Plan } from "../sim/plan.ts";
import { run, type Stats } from "../sim/world.ts";
import { calmPlan, roughPlan, slowPlan, wildPlan } from "./plan.ts";

const RUNS = Number(process.env.TIDEGATE_PROPERTY_RUNS ?? 200);
const SEED = process.env.TIDEGATE_PROPERTY_SEED ?? "20260101";
const PATH = process.env.TIDEGATE_PROPERTY_PATH;
/** Below that many worlds chance decides what occurs in them. */
const RUNS_TELLING = 100;
/** Per world on a busy machine, and as much again for shrinking. */
const TEST_MS_MAX = 120_000 + RUNS * 500;

/** Runs worlds of these plans; returns what they brought about, all together. */
async function check(plans: fc.Arbitrary<Plan>, runs: number, also: (stats: Stats) => void): Promise<Stats> {
  const sum: Record<string, number> = {};
  const property = fc.asyncProperty(plans, async (plan) => {
    const { violations, stats } = run(plan);
    for (const [what, count] of Object.entries(stats)) sum[what] = (sum[what] ?? 0) + count;
    expect(violations).toEqual([]);
    also(stats);
  });
  await fc.assert(property, {
    numRuns: runs,
    ...(SEED === "random" ? {} : { seed: Number(SEED) }),
    ...(PATH === undefined ? {} : { path: PATH }),
    // Shrinking a world takes minutes: it is asked for.
    endOnFailure: process.env.TIDEGATE_PROPERTY_SHRINK === undefined,
  });
  return sum as unknown as Stats;
}

test(
  "path - where all is well everybody has everything, and nobody is told or closed",
  async () => {
    const runs = Math.ceil(RUNS / 4);
    const sum = await check(calmPlan, runs, ({ gaps, stales, closed, epochs }) => {
      expect({ gaps, stales, closed, epochs }).toEqual({ gaps: 0, stales: 0, closed: 0, epochs: 0 });
    });
    if (runs < RUNS_TELLING / 4) return;
    expect(sum.judged).toBeGreaterThan(runs);
    expect(sum.moves).toBeGreaterThan(0);
  },
  TEST_MS_MAX,
);

test(
  "path - what only the bus loses, repeats and mixes up is healed: nothing is missing, nobody is closed",
  async () => {
    const runs = Math.ceil(RUNS / 4);
    const sum = await check(roughPlan, runs, ({ gaps, closed, epochs }) => {
      expect({ gaps, closed, epochs }).toEqual({ gaps: 0, closed: 0, epochs: 0 });
    });
    if (runs < RUNS_TELLING / 4) return;
    expect(sum.judged).toBeGreaterThan(runs);
    expect(sum.heals).toBeGreaterThan(0);
  },
  TEST_MS_MAX,
);

test(
  "path - who reads too slowly is slowed, left out and told, or closed: nothing is missing without a word",
  async () => {
    const runs = Math.ceil(RUNS / 4);
    const sum = await check(slowPlan, runs, ({ stales, epochs, heals }) => {
      expect({ stales, epochs, heals }).toEqual({ stales: 0, epochs: 0, heals: 0 });
    });
    if (runs < RUNS_TELLING / 4) return;
    const { judged, slowed, raised, leftOut, broughtBack, closed } = sum;
    expect(judged).toBeGreaterThan(runs);
    for (const [what, count] of Object.entries({ slowed, raised, leftOut, broughtBack, closed })) {
      expect([what, count > runs / 10]).toEqual([what, true]);
    }
  },
  TEST_MS_MAX,
);

test(
  "path - whatever fails, every client's book, trades, values and candles are the source's, or it was told",
  async () => {
    const sum = await check(wildPlan, RUNS, () => undefined);
    if (RUNS < RUNS_TELLING) return;
    // All of it did happen, but for what takes several owners.
    expect(sum.judged).toBeGreaterThan(3 * RUNS);
    const { owners: _, refusedTokens: __, ...others } = sum;
    for (const [what, count] of Object.entries(others)) expect([what, count > RUNS / 20]).toEqual([what, true]);
  },
  TEST_MS_MAX,
);
