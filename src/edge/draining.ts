/**
 * A drain as main sees it: which workers still have sessions.
 *
 * Invariants: a worker that dies has none left; the one that follows it has none to begin with. At the limit: whoever
 * waits for `done` bounds its time; a worker that stalls is the watchdog's.
 */
export class Draining {
  /** Settles when no worker has sessions any more. */
  readonly done: Promise<void>;
  readonly #left: Set<number>;
  readonly #settle: () => void;
  readonly #endMs: number;

  /** `endMs`: when the last session is to be closed, on the clock that `leftMs` is asked with. */
  constructor(workers: Iterable<number>, endMs: number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    this.#settle = resolve;
    this.#left = new Set(workers);
    this.#endMs = endMs;
    this.#check();
  }

  leftMs(nowMs: number): number {
    return Math.max(0, this.#endMs - nowMs);
  }

  /** This worker has closed its last session, or is gone. */
  empty(worker: number): void {
    if (this.#left.delete(worker)) this.#check();
  }

  #check(): void {
    if (this.#left.size === 0) this.#settle();
  }
}
