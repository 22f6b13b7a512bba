/**
 * A clock that moves only when it is told to, for tests and the seeded simulation.
 *
 * Invariants: timers run in the order of their due times, equal ones in the order they were set; during a timer's call
 * the clock shows exactly its due time. A timer that throws stops `advance` there.
 */
import type { Clock, Timer } from "./clock.ts";

export interface FakeClock extends Clock {
  /**
   * Moves on by `ms` and runs every timer that falls due on the way, those set meanwhile included. `settle` is called before
   * the first, after every timer and at the end: whoever can run promises without a turn of the loop does it there.
   */
  advance(ms: number, settle?: () => void): void;
  /** The same, but waits for `settle` before the first, after every timer and at the end, so that promises move on too. */
  run(ms: number, settle?: () => Promise<void>): Promise<void>;
  /** Timers set and not yet due. */
  readonly pending: number;
}

interface Entry {
  readonly due: number;
  readonly call: () => void;
}

/** Lets everything that waits only for promises run. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export function createFakeClock(startUs = 1_767_225_600_000_000): FakeClock {
  let nowMs = 0;
  const timers: Entry[] = [];

  const after = (ms: number, call: () => void): Timer => {
    const entry: Entry = { due: nowMs + Math.max(0, ms), call };
    let at = timers.length;
    while (at > 0 && timers[at - 1]!.due > entry.due) at--;
    timers.splice(at, 0, entry);
    return {
      cancel() {
        const index = timers.indexOf(entry);
        if (index >= 0) timers.splice(index, 1);
      },
    };
  };

  /** Runs the first timer due by `end`; false if there is none. */
  const runOne = (end: number): boolean => {
    const first = timers[0];
    if (first === undefined || first.due > end) return false;
    timers.shift();
    nowMs = Math.max(nowMs, first.due);
    first.call();
    return true;
  };

  return {
    wallUs: () => startUs + Math.floor(nowMs * 1000),
    monotonicMs: () => nowMs,
    after,
    advance(ms, settle) {
      const end = nowMs + ms;
      settle?.();
      while (runOne(end)) settle?.();
      nowMs = Math.max(nowMs, end);
    },
    async run(ms, settle = nextTurn) {
      const end = nowMs + ms;
      await settle();
      while (runOne(end)) await settle();
      nowMs = Math.max(nowMs, end);
    },
    get pending() {
      return timers.length;
    },
  };
}
