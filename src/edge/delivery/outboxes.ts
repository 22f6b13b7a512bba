/**
 * The node's bytes of outbox: each worker writes its own into shared memory and reads the sum.
 *
 * Beside the path, 20 times a second. Invariants: one writer a place; nobody waits for anybody.
 * At the limit: while the sum is over `outboxBytesNodeMax`, every worker that holds more than an equal share is to go down
 * to that; there is always one, and workers without slow sessions leave their part to the others.
 */

/** The memory counts in these, so that 31 bits last for 2 TiB. */
const UNIT_BYTES = 1024;

export const createOutboxes = (workers: number): SharedArrayBuffer => new SharedArrayBuffer(4 * Math.max(1, workers));

/** A worker that is gone has nothing any more. */
export function clearOutboxes(memory: SharedArrayBuffer, worker: number): void {
  Atomics.store(new Int32Array(memory), worker, 0);
}

export class Outboxes {
  readonly #counts: Int32Array;
  readonly #worker: number;
  readonly #bytesMax: number;

  constructor(memory: SharedArrayBuffer, worker: number, bytesMax: number) {
    this.#counts = new Int32Array(memory);
    this.#worker = worker;
    this.#bytesMax = bytesMax;
  }

  /** What this worker may hold, now that it holds `bytes`. */
  allowance(bytes: number): number {
    Atomics.store(this.#counts, this.#worker, Math.ceil(bytes / UNIT_BYTES));
    let sum = 0;
    for (let worker = 0; worker < this.#counts.length; worker++) sum += Atomics.load(this.#counts, worker);
    if (sum * UNIT_BYTES <= this.#bytesMax) return Number.POSITIVE_INFINITY;
    return this.#bytesMax / this.#counts.length;
  }
}
