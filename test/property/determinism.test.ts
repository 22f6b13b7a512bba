/** The same input, clock and epochs give the same bytes: on the bus, in the ring, in the checkpoints. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Plan, Step } from "../sim/plan.ts";
import { run } from "../sim/world.ts";
import { wildPlan } from "./plan.ts";

/** Some worlds with everything in them; fixed, for each is a whole comparison. */
const worlds = (count: number): Plan[] => fc.sample(wildPlan, { numRuns: count, seed: 3 });

test("determinism - two runs of a world give byte-identical publications, ring records and checkpoints", async () => {
  let records = 0;
  for (const plan of worlds(10)) {
    const [first, second] = [run(plan, true), run(plan, true)];
    expect(first.publications.length).toBeGreaterThan(0);
    records += first.records.length;
    expect(differenceOf(first.publications, second.publications)).toBeNull();
    expect(differenceOf(first.records, second.records)).toBeNull();
    expect(second.checkpoints).toEqual(first.checkpoints);
  }
  expect(records).toBeGreaterThan(1000);
}, 60_000);

test("determinism - numbers and state of a shard do not depend on who listens", async () => {
  const client = { do: "open", seed: 5, listing: 0 } as const;
  for (const plan of worlds(5)) {
    const steps: Step[] = plan.steps.filter(({ do: what }) => ["feed", "lost", "open", "act"].includes(what));
    const heard: Plan = { ...plan, steps: [{ ...client, binance: false }, { ...client, binance: true }, ...steps] };
    // The same at the same times, but nobody comes.
    const alone = heard.steps.map((step): Step => (step.do === "open" || step.do === "act" ? PAUSE : step));
    const [loud, silent] = [run(heard, true), run({ ...heard, steps: alone }, true)];
    expect(loud.records.length).toBeGreaterThan(0);
    expect(silent.records).toEqual([]);
    expect(loud.checkpoints).toEqual(silent.checkpoints);
  }
}, 60_000);

const PAUSE: Step = { do: "wait", ms: 0 };

/** Where two lists of lines part; null if nowhere. */
function differenceOf(a: readonly string[], b: readonly string[]): string | null {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    if (a[at] !== b[at]) return `line ${at}: ${a[at]} and ${b[at]}`;
  }
  return null;
}
