/**
 * Fresh HEADs: where the owner of a shard stands now, for who must not answer with less (REST).
 *
 * Beside the path: REST request -> FRESH HEADS -> bus.headOf. Invariants: what a caller gets was made after it called; one
 * question per shard is out at a time, shared by all who called before it was sent; a call settles within its time.
 * At the limit: shards that are not asked for cost nothing; those that are, one question at a time.
 */
import type { Clock } from "../lib/clock.ts";
import { GatewayError } from "../lib/errors.ts";
import type { Bus, Head } from "./bus.ts";

/** Of one shard: the question that is out, and the one that follows it. */
interface Line {
  next: PromiseWithResolvers<Head | null> | null;
}

export class FreshHeads {
  readonly #bus: Pick<Bus, "headOf">;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #lines = new Map<string, Line>();
  /** Questions sent, and those without an answer in time. */
  readonly counters = { asked: 0, failed: 0 };

  constructor(bus: Pick<Bus, "headOf">, clock: Clock, timeoutMs: number) {
    this.#bus = bus;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** The owner's HEAD of after this call; null if it cannot be had within `ms`. */
  of(shard: string, ms: number): Promise<Head | null> {
    let line = this.#lines.get(shard);
    if (line === undefined) {
      line = { next: null };
      this.#lines.set(shard, line);
      // All who call in this turn share the question.
      queueMicrotask(() => void this.#ask(shard, line as Line));
    }
    line.next ??= Promise.withResolvers();
    return this.#within(line.next.promise, ms);
  }

  /** Asks for as long as somebody waits. */
  async #ask(shard: string, line: Line): Promise<void> {
    while (line.next !== null) {
      const { resolve } = line.next;
      line.next = null;
      this.counters.asked++;
      resolve(await this.#head(shard));
    }
    this.#lines.delete(shard);
  }

  async #head(shard: string): Promise<Head | null> {
    try {
      return await this.#bus.headOf(shard, this.#timeoutMs);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      this.counters.failed++;
      return null;
    }
  }

  #within(head: Promise<Head | null>, ms: number): Promise<Head | null> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(ms, () => resolve(null));
      void head.then((found) => {
        timer.cancel();
        resolve(found);
      });
    });
  }
}
