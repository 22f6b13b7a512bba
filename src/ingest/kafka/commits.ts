/**
 * Commits processed offsets for the group, so that operators and their tools see how far we are.
 *
 * Beside the path: source -> COMMITS -> group coordinator. Invariants: at most one request in each period (a second), one
 * at a time; nothing waits for it, and nothing is ever read back. At the limit: what could not be committed is committed
 * with what comes next; of a topic that is gone there is nothing to commit any more: dropped and counted.
 */
import type { Clock, Timer } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Outage } from "../../lib/outage.ts";
import type { Cluster, OffsetOf, PartitionOf, RefusedOffset } from "./cluster.ts";
import { commitFault, KAFKA } from "./faults.ts";
import type { FeedPlace } from "./feed.ts";

export class Commits {
  readonly #group: string;
  readonly #cluster: Pick<Cluster, "commit">;
  readonly #clock: Clock;
  readonly #outage: Outage;
  readonly #periodMs: number;
  readonly #waiting = new Map<string, OffsetOf>();
  #timer: Timer | null = null;
  #busy: Promise<void> | null = null;
  #closed = false;
  #errors = 0;
  #done = 0;
  #dropped = 0;

  constructor(group: string, cluster: Pick<Cluster, "commit">, clock: Clock, outage: Outage, periodMs: number) {
    this.#group = group;
    this.#cluster = cluster;
    this.#clock = clock;
    this.#outage = outage;
    this.#periodMs = periodMs;
  }

  get errors(): number {
    return this.#errors;
  }

  /** Requests that stored something. */
  get done(): number {
    return this.#done;
  }

  /** Offsets of partitions that are gone. */
  get dropped(): number {
    return this.#dropped;
  }

  /** `next`: the first offset that is not processed. */
  add({ topic, partition }: FeedPlace, next: number): void {
    this.#waiting.set(keyOf({ topic, partition }), { topic, partition, offset: next });
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
      this.#judge(offsets, await this.#cluster.commit(this.#group, offsets));
    } catch (error) {
      this.#errors++;
      this.#outage.failed(error);
      this.#again(offsets);
    } finally {
      this.#busy = null;
    }
  }

  #judge(offsets: readonly OffsetOf[], refused: readonly RefusedOffset[]): void {
    const left = refused.filter(({ errorCode }) => errorCode !== KAFKA.UNKNOWN_TOPIC);
    this.#dropped += refused.length - left.length;
    if (refused.length < offsets.length) this.#done++;
    const [first] = left;
    if (first === undefined) {
      this.#outage.worked();
      return;
    }
    this.#errors++;
    this.#outage.failed(new GatewayError("BROKER", commitFault(this.#group, first.topic, first.errorCode)));
    const keys = new Set(left.map(keyOf));
    this.#again(offsets.filter((one) => keys.has(keyOf(one))));
  }

  /** With what comes next, unless a newer one waits already. */
  #again(offsets: readonly OffsetOf[]): void {
    for (const one of offsets) if (!this.#waiting.has(keyOf(one))) this.add(one, one.offset);
  }
}

const keyOf = ({ topic, partition }: PartitionOf): string => `${topic}/${partition}`;
