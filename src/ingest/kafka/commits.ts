/**
 * Commits processed offsets for the group, so that operators and their tools see how far we are.
 *
 * Beside the path: source -> COMMITS -> group coordinator. Invariants: at most one request in each period (a second), one
 * at a time; nothing waits for it, and nothing is ever read back. At the limit: what could not be committed is committed
 * with what comes next.
 */
import type { Clock, Timer } from "../../lib/clock.ts";
import type { SampledLog } from "../sampled-log.ts";
import type { Cluster, OffsetOf } from "./cluster.ts";
import type { FeedPlace } from "./feed.ts";

export class Commits {
  readonly #group: string;
  readonly #cluster: Pick<Cluster, "commit">;
  readonly #clock: Clock;
  readonly #log: SampledLog;
  readonly #periodMs: number;
  readonly #waiting = new Map<string, OffsetOf>();
  #timer: Timer | null = null;
  #busy: Promise<void> | null = null;
  #closed = false;
  #errors = 0;
  #done = 0;

  constructor(group: string, cluster: Pick<Cluster, "commit">, clock: Clock, log: SampledLog, periodMs: number) {
    this.#group = group;
    this.#cluster = cluster;
    this.#clock = clock;
    this.#log = log;
    this.#periodMs = periodMs;
  }

  get errors(): number {
    return this.#errors;
  }

  get done(): number {
    return this.#done;
  }

  /** `next`: the first offset that is not processed. */
  add({ topic, partition }: FeedPlace, next: number): void {
    this.#waiting.set(`${topic}/${partition}`, { topic, partition, offset: next });
    if (this.#closed) return;
    this.#timer ??= this.#clock.after(this.#periodMs, () => {
      this.#timer = null;
      void this.flush();
    });
  }

  /** Commits what waits. Never rejects. */
  async flush(): Promise<void> {
    while (this.#busy !== null) await this.#busy;
    if (this.#waiting.size === 0) return;
    this.#busy = this.#send([...this.#waiting.values()]);
    await this.#busy;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.flush();
  }

  async #send(offsets: readonly OffsetOf[]): Promise<void> {
    this.#waiting.clear();
    try {
      await this.#cluster.commit(this.#group, offsets);
      this.#done++;
    } catch (error) {
      this.#errors++;
      this.#log.warn("kafka: offsets not committed", () => ({ group: this.#group, error }));
      for (const one of offsets) if (!this.#waiting.has(`${one.topic}/${one.partition}`)) this.add(one, one.offset);
    } finally {
      this.#busy = null;
    }
  }
}
