/**
 * How much a fetch asks for: all that the configuration allows, and less over a connection that is too slow for it.
 *
 * Beside the path: leader loop -> PORTION -> fetch. An answer that does not arrive within `request.timeout.ms` is lost with
 * its connection, and so would be every next one of that size.
 * At the limit: never less than SHARE_MIN of it; Kafka sends a whole batch however little was asked for.
 */
const SHRINK = 8;
const GROW = 2;
const SHARE_MIN = 1 / SHRINK ** 3;
/** Answers that take so much of the time they have are large enough. */
const LEISURE = 1 / 4;

export class Portion {
  readonly #timeoutMs: number;
  #share = 1;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  of(bytes: number): number {
    return Math.max(1, Math.floor(bytes * this.#share));
  }

  /** An answer took so long. */
  came(ms: number): void {
    if (ms < this.#timeoutMs * LEISURE) this.#share = Math.min(1, this.#share * GROW);
  }

  /** The connection was lost, or given up, while an answer was under way. */
  failed(): void {
    this.#share = Math.max(SHARE_MIN, this.#share / SHRINK);
  }
}
