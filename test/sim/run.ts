/**
 * `npm run sim`: plays seeds of the simulation.
 *
 * `--seed N [--verbose]`: one, with all that happens in it. `--from N --count M`: many, with a line every few seconds; stops
 * at the tenth that breaks a rule. Exit status 1 if any did.
 */
import { optionsOf } from "../lib/options.ts";
import { planOf } from "./draw.ts";
import { report } from "./report.ts";
import { shownPlan } from "./show.ts";
import { run } from "./world.ts";

const PROGRESS_MS = 5000;
const FAILED_MAX = 10;

const values = optionsOf("npm run sim [-- --seed N [--verbose] | --from 0 --count 1000]", {
  options: {
    seed: { type: "string" },
    verbose: { type: "boolean", default: false },
    from: { type: "string", default: "0" },
    count: { type: "string", default: "1000" },
  },
});

process.exitCode = (values.seed === undefined ? many() : one(whole("seed", values.seed), values.verbose)) ? 0 : 1;

function one(seed: number, verbose: boolean): boolean {
  const plan = planOf(seed);
  console.log(shownPlan(plan));
  const { violations, stats, trace } = run(plan, verbose);
  if (verbose) for (const line of trace) console.log(line);
  console.log(JSON.stringify(stats));
  for (const violation of violations) console.log(`! ${violation}`);
  console.log(`seed ${seed}: ${violations.length === 0 ? "no rule broken" : `${violations.length} violations`}`);
  return violations.length === 0;
}

function many(): boolean {
  const [from, count] = [whole("from", values.from), whole("count", values.count)];
  const failed: number[] = [];
  const sum: Record<string, number> = {};
  const begun = performance.now();
  let saidMs = begun;
  let played = 0;
  for (; played < count && failed.length < FAILED_MAX; played++) {
    const { violations, stats } = run(planOf(from + played));
    for (const [what, times] of Object.entries(stats)) sum[what] = (sum[what] ?? 0) + times;
    if (violations.length > 0) {
      failed.push(from + played);
      console.log(`seed ${from + played}: ${violations[0]}`);
    }
    const nowMs = performance.now();
    if (nowMs - saidMs < PROGRESS_MS) continue;
    saidMs = nowMs;
    console.log(`${played + 1} of ${count} played, ${failed.length} failed, ${rate(begun, played + 1)}`);
  }
  console.log(JSON.stringify(sum));
  if (failed[0] !== undefined) console.log(report(failed[0]));
  console.log(`${played} seeds from ${from}: ${failed.length} failed (${failed.join(", ")}), ${rate(begun, played)}`);
  return failed.length === 0;
}

function rate(begun: number, played: number): string {
  return `${((performance.now() - begun) / played).toFixed(1)} ms each`;
}

function whole(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  console.error(`--${name} must be a whole number from 0, not ${text}`);
  process.exit(2);
}
