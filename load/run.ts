/**
 * A load run from beginning to end: starts its parts, opens the window when every connection was tried, ends it, reports.
 *
 * Invariants: the parts' tallies are only added up here; whatever ends the run, the parts are stopped and counted.
 */
import { readFileSync } from "node:fs";
import type { LoadOptions } from "./options.ts";
import { partsOf } from "./plan.ts";
import { type PartHandle, partElsewhere, partHere } from "./processes.ts";
import { Progress, type ProgressOutput } from "./progress.ts";
import { type Report, reportOf } from "./report.ts";
import { merged, type Tally, type TallyWire } from "./tally.ts";

export interface LoadWorld {
  readonly progress: ProgressOutput;
  /** Runs `tidegate load --part`. */
  readonly partCommand: readonly string[];
  /** Calls once when the user wants the end. */
  onEnd(call: () => void): void;
}

const progressMs = 1000;
const checkMs = 100;

export async function runLoad(options: LoadOptions, world: LoadWorld): Promise<Report> {
  const descriptors = descriptorsMax();
  const plans = partsOf(options, descriptors, process.platform === "linux");
  const progress = new Progress(world.progress, options.connections, options.durationMs);
  if (plans.length > 1 && options.processes === null) {
    progress.note(
      `${options.connections} connections are more than one process holds here (${descriptors} descriptors): ` +
        `${plans.length} processes are started`,
    );
  }
  let ended = false;
  world.onEnd(() => {
    ended = true;
  });
  const parts = plans.map((plan) => (plans.length === 1 ? partHere(plan) : partElsewhere(plan, world.partCommand)));
  const now = (): Tally => merged(parts.map((part) => part.tally()));
  const timer = setInterval(() => progress.show(now(), performance.now()), progressMs);
  let failure: unknown = null;
  try {
    await connected(parts, () => ended);
    // Nobody to measure: the report says why.
    if (now().counts.opened === 0) ended = true;
    const over = (): boolean => ended || isEnough(options, now) || parts.some((part) => part.isGone());
    await sleepUnless(options.warmupMs, over);
    for (const part of parts) part.measure();
    await sleepUnless(options.durationMs, over);
  } catch (error) {
    failure = error;
  }
  clearInterval(timer);
  progress.end();
  // A part that broke says so here; the others are stopped all the same.
  const stopped = await Promise.allSettled(parts.map((part) => part.stop()));
  failure ??= stopped.find((result) => result.status === "rejected")?.reason ?? null;
  if (failure !== null) throw failure;
  return reportOf(options, plans.length, merged(stopped.flatMap(fulfilled)));
}

const fulfilled = (result: PromiseSettledResult<TallyWire>): TallyWire[] =>
  result.status === "fulfilled" ? [result.value] : [];

async function connected(parts: readonly PartHandle[], ended: () => boolean): Promise<void> {
  let done = false;
  const tried = Promise.all(parts.map((part) => part.tried)).then(() => {
    done = true;
  });
  await Promise.race([tried, sleepUnless(null, () => done || ended())]);
}

function isEnough({ messages, failFast }: LoadOptions, now: () => Tally): boolean {
  if (messages === null && !failFast) return false;
  const tally = now();
  if (failFast && tally.allFaults > 0) return true;
  return messages !== null && tally.counts.measuredMessages >= messages;
}

/** null: only `over` ends it. */
async function sleepUnless(ms: number | null, over: () => boolean): Promise<void> {
  const end = ms === null ? Number.POSITIVE_INFINITY : performance.now() + ms;
  for (let left = end - performance.now(); left > 0 && !over(); left = end - performance.now())
    await Bun.sleep(Math.min(left, checkMs));
}

const DESCRIPTORS_ELSEWHERE = 4096;

/** How many descriptors a process may have; where the system does not say so, a careful guess. */
function descriptorsMax(): number {
  if (process.platform !== "linux") return DESCRIPTORS_ELSEWHERE;
  const limits = readFileSync("/proc/self/limits", "utf8");
  const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1];
  return hard === undefined ? Number.POSITIVE_INFINITY : Number(hard);
}
