/**
 * A checkpoint store that says in the log when it is away, once for all shards: they try again every second, and count it.
 *
 * On the path: shard -> TOLD -> the store itself. Invariant: what it answers and what it rejects with is unchanged.
 * At the limit: a shard that was stopped while the store was away is waited for FORGET_MS, then the store is back without it.
 */
import type { Clock } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import { Outage } from "../../lib/outage.ts";
import type { Checkpoint, CheckpointHead, CheckpointStore } from "../checkpoint.ts";
import type { IngestLog } from "../sampled-log.ts";

/** Longer than a running shard may take from one attempt to the end of the next. */
const FORGET_MS = 30_000;

export class ToldCheckpoints implements CheckpointStore {
  readonly #store: Required<CheckpointStore>;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #outage: Outage;
  /** What did not work when it was tried last, and when that was. */
  readonly #failing = new Map<string, number>();

  constructor(store: Required<CheckpointStore>, clock: Pick<Clock, "monotonicMs">, log: IngestLog) {
    this.#store = store;
    this.#clock = clock;
    this.#outage = new Outage({
      ...{ clock, log, away: "checkpoints cannot be stored or read: tried again every second" },
      back: "checkpoints are stored and read again",
    });
  }

  load(shard: string): Promise<Checkpoint | null> {
    return this.#heard(shard, "load", () => this.#store.load(shard));
  }

  save(shard: string, checkpoint: Checkpoint): Promise<boolean> {
    return this.#heard(shard, "save", () => this.#store.save(shard, checkpoint));
  }

  head(shard: string): Promise<CheckpointHead | null> {
    return this.#heard(shard, "head", () => this.#store.head(shard));
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #heard<Answer>(shard: string, what: string, ask: () => Promise<Answer>): Promise<Answer> {
    try {
      const answer = await ask();
      this.#worked(`${what} ${shard}`);
      return answer;
    } catch (error) {
      this.#failing.set(`${what} ${shard}`, this.#clock.monotonicMs());
      this.#outage.failed(reasonOf(error), { shard });
      throw error;
    }
  }

  #worked(which: string): void {
    if (this.#failing.size === 0) return;
    const now = this.#clock.monotonicMs();
    this.#failing.delete(which);
    for (const [other, sinceMs] of this.#failing) if (now - sinceMs > FORGET_MS) this.#failing.delete(other);
    if (this.#failing.size === 0) this.#outage.worked();
  }
}

/** Without the shard's name, which stands in front of it: the same for all of them. */
const reasonOf = (error: unknown): unknown =>
  error instanceof GatewayError && error.cause instanceof Error ? error.cause.message : error;
