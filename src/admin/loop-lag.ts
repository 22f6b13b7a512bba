/**
 * Measures how late timers run on this thread: the lag of its event loop.
 *
 * Invariants: a stall is seen at its end and remembered for 5 to 10 s, so that somebody who asks afterwards learns of it.
 */
import type { Clock, Timer } from "../lib/clock.ts";

const EVERY_MS = 100;
const WINDOW_MS = 5000;

export interface LoopLag {
  /** Worst lag of the last seconds. */
  worstMs(): number;
  stop(): void;
}

export function watchLoopLag(clock: Clock): LoopLag {
  let due = clock.monotonicMs() + EVERY_MS;
  let windowEnds = clock.monotonicMs() + WINDOW_MS;
  let before = 0;
  let now = 0;
  let timer: Timer = clock.after(EVERY_MS, sample);

  function sample(): void {
    const at = clock.monotonicMs();
    if (at >= windowEnds) {
      before = now;
      now = 0;
      windowEnds = at + WINDOW_MS;
    }
    now = Math.max(now, at - due);
    due = at + EVERY_MS;
    timer = clock.after(EVERY_MS, sample);
  }

  return { worstMs: () => Math.max(before, now), stop: () => timer.cancel() };
}
