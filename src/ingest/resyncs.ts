/**
 * Asking the source for snapshots of wrong books: at once, and again while a book stays stale, but never in a hurry.
 *
 * At the limit: at most one request per book and RETRY_MS, so a venue whose snapshots never verify is not stormed.
 */
import type { Clock } from "../lib/clock.ts";
import type { Source } from "./source.ts";

export const RESYNC_RETRY_MS = 5000;

export class Resyncs {
  readonly #source: Pick<Source, "resync">;
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** When each stale book was asked for last (or first seen stale). */
  readonly #askedMs = new Map<string, number>();

  constructor(source: Pick<Source, "resync">, clock: Pick<Clock, "monotonicMs">) {
    this.#source = source;
    this.#clock = clock;
  }

  /** A book turned out wrong. */
  ask(channel: string): void {
    const asked = this.#askedMs.get(channel);
    const now = this.#clock.monotonicMs();
    if (asked !== undefined && now - asked < RESYNC_RETRY_MS) return;
    this.#askedMs.set(channel, now);
    this.#source.resync?.(channel);
  }

  /** Called now and then with the books that are stale: forgets the others, asks again where it takes too long. */
  repeat(stale: readonly string[]): void {
    const now = this.#clock.monotonicMs();
    const isStale = new Set(stale);
    for (const [channel, asked] of this.#askedMs) {
      if (!isStale.has(channel) && now - asked >= RESYNC_RETRY_MS) this.#askedMs.delete(channel);
    }
    for (const channel of stale) {
      if (this.#askedMs.has(channel)) this.ask(channel);
      else this.#askedMs.set(channel, now);
    }
  }
}
