/** The longest way of a message from another node to here, in the last 5 to 10 seconds. */
import type { Clock } from "../../lib/clock.ts";

const SPAN_MS = 5000;

export class Hop {
  readonly #clock: Clock;
  #spanEnds = 0;
  #now: number | null = null;
  #before: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `sentUs`: wall clock of the sender, 0 if it did not say. Clocks that differ by more than the way show as 0 or more. */
  note(sentUs: number): void {
    if (sentUs === 0) return;
    this.#turn();
    const ms = Math.max(0, (this.#clock.wallUs() - sentUs) / 1000);
    if (this.#now === null || ms > this.#now) this.#now = ms;
  }

  /** Null if nothing came. */
  worstMs(): number | null {
    this.#turn();
    if (this.#now === null || this.#before === null) return this.#now ?? this.#before;
    return Math.max(this.#now, this.#before);
  }

  #turn(): void {
    const at = this.#clock.monotonicMs();
    if (at < this.#spanEnds) return;
    this.#before = at < this.#spanEnds + SPAN_MS ? this.#now : null;
    this.#now = null;
    this.#spanEnds = at + SPAN_MS;
  }
}
