/**
 * Main's side of the census: its memory, and which column each worker writes in.
 *
 * Invariants: a worker that is gone counts no more; one that follows it in its place writes in another column, so that
 * what a thread that ends late still writes is not taken for the new one's.
 */
import { Census, createCensus } from "./census.ts";

/** Addresses and users at a time, where `sessionsMax` does not say. */
const KEYS = 65_536;

export class CensusColumns {
  readonly memory: SharedArrayBuffer;
  readonly #workers: number;
  readonly #census: Census;

  constructor(workers: number, sessionsMax: number) {
    this.#workers = workers;
    this.memory = createCensus(2 * workers, sessionsMax > 0 ? sessionsMax : KEYS);
    this.#census = new Census(this.memory, 0);
  }

  /** The column of a place's worker of this generation. */
  of(worker: number, generation: number): number {
    return worker + this.#workers * (generation % 2);
  }

  /** The worker is gone, or its thread has ended at last; `now` is the generation that the place has by then. */
  clear(worker: number, generation: number, now = generation): void {
    const later = now - generation;
    if (later === 0 || later % 2 === 1) this.#census.clear(this.of(worker, generation));
  }
}
