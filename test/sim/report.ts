/** What is said about a seed that broke a rule: how to play it again, what was broken, and the end of what happened. */
import { planOf } from "./draw.ts";
import { shownPlan } from "./show.ts";
import { run } from "./world.ts";

const LAST_LINES = 60;

/** Plays the seed again with a trace, so that an ordinary run need not keep one. */
export function report(seed: number): string {
  const plan = planOf(seed);
  const { violations, trace } = run(plan, true);
  return [
    `seed ${seed}: ${violations.length} violations. Again: TIDEGATE_SIM_SEED=${seed} bun test test/sim`,
    `or, with all that happens: npm run sim -- --seed ${seed} --verbose`,
    shownPlan(plan),
    ...violations.slice(0, 5).map((violation) => `! ${violation}`),
    `the last ${LAST_LINES} lines:`,
    ...trace.slice(-LAST_LINES),
  ].join("\n");
}
