/**
 * The clock of one node's main thread: the world's, but while the thread has no turns (a long pause, SIGSTOP) its timers
 * wait, and run late when it goes on.
 *
 * Invariant: what was due during the freeze runs at its end, in the order in which it was due.
 */
import type { Clock, Timer } from "../../src/lib/clock.ts";

export class NodeClock implements Clock {
  readonly #clock: Clock;
  #frozenUntilMs = 0;
  #waiting: { call: () => void }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wallUs(): number {
    return this.#clock.wallUs();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  after(ms: number, call: () => void): Timer {
    const late = { call };
    const timer = this.#clock.after(ms, () => {
      if (this.frozen) this.#waiting.push(late);
      else late.call();
    });
    return {
      cancel: () => {
        timer.cancel();
        late.call = () => undefined;
      },
    };
  }

  get frozen(): boolean {
    return this.#clock.monotonicMs() < this.#frozenUntilMs;
  }

  /** How long it still has no turns. */
  get frozenMs(): number {
    return Math.max(0, this.#frozenUntilMs - this.#clock.monotonicMs());
  }

  freeze(ms: number): void {
    const until = this.#clock.monotonicMs() + ms;
    if (until <= this.#frozenUntilMs) return;
    this.#frozenUntilMs = until;
    this.#clock.after(ms, () => this.#thaw());
  }

  /** Calls now, or when it has turns again. */
  awake(call: () => void): void {
    if (this.frozen) this.#waiting.push({ call });
    else call();
  }

  #thaw(): void {
    if (this.frozen) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { call } of waiting) call();
  }
}
