/**
 * Burst: what a rung may flush at once after silence, beside the instants of its cadence.
 *
 * A token bucket that holds `burst` flushes and gains `perSecond`. Flushes at instants are never held back and take a
 * token too, at worst one that is not there yet; the period of a rung with a burst is not shorter than that of its
 * tokens, so in any time t it flushes at most `burst + perSecond * t + 1` times.
 */
import type { Pace } from "../channel/topic-settings.ts";
import type { Clock } from "../lib/clock.ts";

const DEBT_MAX = -1;

export class Burst {
  readonly #pace: Pace;
  readonly #clock: Clock;
  #tokens: number;
  #atMs: number;

  constructor(pace: Pace, clock: Clock) {
    this.#pace = pace;
    this.#clock = clock;
    this.#tokens = pace.burst;
    this.#atMs = clock.monotonicMs();
  }

  /** What has just come need not wait for an instant. */
  get ready(): boolean {
    this.#fill();
    return this.#tokens >= 1;
  }

  /** There was a flush. */
  spend(): void {
    this.#fill();
    this.#tokens = Math.max(DEBT_MAX, this.#tokens - 1);
  }

  #fill(): void {
    const nowMs = this.#clock.monotonicMs();
    const { perSecond, burst } = this.#pace;
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#atMs) * perSecond) / 1000);
    this.#atMs = nowMs;
  }
}
