/** Exponential backoff with jitter: how long to wait before trying again. */

export interface Backoff {
  /** The next wait in ms: doubles from `firstMs` to `mostMs`, each cut at random to between half and all of it. */
  next(): number;
  /** It worked: start from the beginning. */
  reset(): void;
  /** Attempts since the last reset. */
  readonly attempts: number;
}

export function createBackoff(firstMs: number, mostMs: number, random: () => number): Backoff {
  let attempts = 0;
  return {
    next() {
      const full = Math.min(mostMs, firstMs * 2 ** Math.min(attempts, 30));
      attempts += 1;
      return full * (0.5 + random() / 2);
    },
    reset() {
      attempts = 0;
    },
    get attempts() {
      return attempts;
    },
  };
}
