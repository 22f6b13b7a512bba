/** Time as a parameter: the wall clock, a monotonic clock and timers, so that a simulation can replay all three. */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock, whole microseconds since 1970. */
  wallUs(): number;
  /** Monotonic milliseconds, fractional. */
  monotonicMs(): number;
  /** Calls once after `ms`. */
  after(ms: number, call: () => void): Timer;
}

export const wallMs = (clock: Clock): number => Math.floor(clock.wallUs() / 1000);

/** The real clock: the monotonic clock laid on the wall clock, following the wall when somebody steps it. */
export function systemClock(): Clock {
  let originMs = performance.timeOrigin;
  let nextCheck = performance.now() + 1000;
  return {
    wallUs() {
      const now = performance.now();
      if (now >= nextCheck) {
        nextCheck = now + 1000;
        // Date.now() is cut to whole milliseconds: follow steps of the clock, not that rounding.
        const off = Date.now() + 0.5 - (originMs + now);
        if (Math.abs(off) > 2) originMs += off;
      }
      return Math.floor((originMs + now) * 1000);
    },
    monotonicMs: () => performance.now(),
    after(ms, call) {
      const timer = setTimeout(call, ms);
      return { cancel: () => clearTimeout(timer) };
    },
  };
}
