/**
 * Shares each turn of the event loop between the sources of a broker, so that decoding never holds up the engine, which
 * runs on the same thread.
 *
 * Invariants: in one turn all sources together work about `BUDGET_MS`; who waits is served in the order of asking.
 */
export const BUDGET_MS = 4;

export class Pace {
  readonly #nowMs: () => number;
  #spentMs = 0;
  #waiting: (() => void)[] = [];
  #renewing = false;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Null if this turn has time left; else settles in one that has. */
  turn(): Promise<void> | null {
    if (this.#spentMs < BUDGET_MS && this.#waiting.length === 0) return null;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#renew();
    });
  }

  /** When work that begins now has to end. */
  deadline(): number {
    return this.#nowMs() + BUDGET_MS - this.#spentMs;
  }

  spent(sinceMs: number): void {
    this.#spentMs += Math.max(0, this.#nowMs() - sinceMs);
    this.#renew();
  }

  #renew(): void {
    if (this.#renewing) return;
    this.#renewing = true;
    setImmediate(() => {
      this.#renewing = false;
      this.#spentMs = 0;
      this.#waiting.shift()?.();
      if (this.#waiting.length > 0) this.#renew();
    });
  }
}
