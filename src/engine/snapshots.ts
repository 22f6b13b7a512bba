/**
 * Paces what the engine writes to single workers: snapshots and catch-ups.
 *
 * Invariants: at most one snapshot per channel and form is encoded every SNAPSHOT_EVERY_MS, when it is written into the
 * ring, so a joiner never gets an older one; the bytes ahead of the slowest live reader stay under a quarter of the ring.
 * At the limit: the answers wait in order.
 */
import type { Clock } from "../lib/clock.ts";
import type { RingWriter } from "../ring/ring.ts";

const SNAPSHOT_EVERY_MS = 50;
const RETRY_MS = 5;

export class Snapshots {
  readonly #clock: Clock;
  readonly #ring: RingWriter;
  /** When each channel's last snapshot was encoded (monotonic ms). */
  readonly #last = new Map<string, number>();
  readonly #waiting = new Map<string, (() => unknown)[]>();
  /** Answers held back because readers are behind. */
  readonly #held: (() => unknown)[] = [];
  #heldTimer = false;

  constructor(clock: Clock, ring: RingWriter) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Runs `write` when the channel may have its next snapshot; all that wait for one channel run together. */
  paced(channel: string, write: () => unknown): void {
    const waiting = this.#waiting.get(channel);
    if (waiting) {
      waiting.push(write);
      return;
    }
    const since = this.#clock.monotonicMs() - (this.#last.get(channel) ?? Number.NEGATIVE_INFINITY);
    this.#waiting.set(channel, [write]);
    if (since >= SNAPSHOT_EVERY_MS) this.#run(channel);
    else this.#clock.after(SNAPSHOT_EVERY_MS - since, () => this.#run(channel));
  }

  /** Runs `write` now, or as soon as the readers have caught up. */
  unpaced(write: () => unknown): void {
    if (this.#held.length === 0 && this.#roomy()) write();
    else this.#hold(write);
  }

  forget(channel: string): void {
    this.#last.delete(channel);
  }

  #run(channel: string): void {
    const writes = this.#waiting.get(channel) ?? [];
    this.#waiting.delete(channel);
    this.#last.set(channel, this.#clock.monotonicMs());
    for (const write of writes) this.unpaced(write);
  }

  #roomy(): boolean {
    return this.#ring.lagBytes() < this.#ring.capacityBytes / 4;
  }

  #hold(write: () => unknown): void {
    this.#held.push(write);
    if (this.#heldTimer) return;
    this.#heldTimer = true;
    this.#clock.after(RETRY_MS, () => this.#release());
  }

  #release(): void {
    this.#heldTimer = false;
    let done = 0;
    while (done < this.#held.length && this.#roomy()) this.#held[done++]!();
    this.#held.splice(0, done);
    if (this.#held.length > 0) {
      this.#heldTimer = true;
      this.#clock.after(RETRY_MS, () => this.#release());
    }
  }
}
