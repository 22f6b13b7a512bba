/**
 * The three ways a source waits: for time, for the event loop, for its sink. Each ends at once when the run is aborted.
 *
 * On the path: used inside a source's one loop. Invariant: no timer and no listener outlives the wait.
 */
import type { Clock } from "../lib/clock.ts";
import type { RecordSink } from "./source.ts";

/** Longest single timer: far below what a 32-bit timer holds, and a stepped clock is noticed within a minute. */
const SLEEP_MS_MAX = 60_000;

/** Resolves after `ms` (whole ones, at least 1), or earlier when aborted. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.after(Math.min(Math.max(1, Math.ceil(ms)), SLEEP_MS_MAX), done);
    signal.addEventListener("abort", done, { once: true });
  });
}

/** Lets the event loop do everything else once (timers, sockets, messages). */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when the sink takes more, or when aborted. */
export async function untilReady(sink: RecordSink, signal: AbortSignal): Promise<void> {
  for (;;) {
    const busy = sink.busy();
    if (busy === null || signal.aborted) return;
    await orAborted(busy, signal);
  }
}

function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => resolve();
    signal.addEventListener("abort", aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}
