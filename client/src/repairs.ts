/**
 * How often a chain that breaks is mended.
 *
 * At the limit: the first time at once, then ever more slowly; after REPAIRS_MAX in a row that brought nothing there is
 * nothing to be had.
 */
import { Backoff } from "./backoff.ts";

const REPAIRS_MAX = 3;
/** Repairs further apart than this have nothing to do with each other. */
const APART_MS = 30_000;

export class Repairs {
  readonly #backoff: Backoff;
  #inVain = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(random: () => number) {
    this.#backoff = new Backoff(100, 10_000, random);
  }

  /** One more is needed: how long to wait before it. */
  nextMs(nowMs: number): number {
    const isApart = nowMs - this.#lastMs > APART_MS;
    this.#lastMs = nowMs;
    this.#inVain += 1;
    if (!isApart) return this.#backoff.nextMs();
    this.#backoff.reset();
    return 0;
  }

  /** Data came. */
  worked(): void {
    this.#inVain = 0;
  }

  get areInVain(): boolean {
    return this.#inVain >= REPAIRS_MAX;
  }
}
