/** A clock that stands still until a test moves it. */
import type { Clock, Timer } from "../../src/lib/clock.ts";

interface Pending extends Timer {
  readonly at: number;
  readonly call: () => void;
}

export class ManualClock implements Clock {
  readonly #startUs: number;
  #nowMs = 0;
  #timers: Pending[] = [];

  constructor(startUs = 1_800_000_000_000_000) {
    this.#startUs = startUs;
  }

  wallUs(): number {
    return this.#startUs + Math.round(this.#nowMs * 1000);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(ms: number, call: () => void): Timer {
    const timer: Pending = {
      at: this.#nowMs + ms,
      call,
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
    this.#timers.push(timer);
    return timer;
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Moves to the next timer and lets it go; false if there is none. */
  step(): boolean {
    const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
    if (next === undefined) return false;
    this.advance(Math.max(0, next.at - this.#nowMs));
    return true;
  }

  /** Moves on by `ms` and lets every timer go that is due then. */
  advance(ms: number): void {
    this.#nowMs += ms;
    for (const timer of this.#timers.filter(({ at }) => at <= this.#nowMs).toSorted((a, b) => a.at - b.at)) {
      timer.cancel();
      timer.call();
    }
  }
}
