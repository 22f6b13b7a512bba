/**
 * A shard of a route on the node that owns it: started, started again after a failure, stopped when its input is gone.
 *
 * On the path: broker's input -> source -> ROUTED SHARD (mapper, numbers) -> bus.
 * Invariants: never two shards of one name at a time: the next begins when the one before has stored its last checkpoint; a
 * shard that a newer owner has taken is left to it. At the limit: failures are answered by growing pauses up to a minute,
 * each counted, and logged when they begin.
 */
import type { BrokerInput } from "../ingest/broker.ts";
import type { Mapper } from "../ingest/mapper/mod.ts";
import { Shard, type ShardOptions } from "../ingest/shard.ts";
import { createBackoff } from "../lib/backoff.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { Log } from "../lib/log.ts";

/** What all shards of a node have in common. */
export type ShardCommon = Omit<ShardOptions, "id" | "source" | "mapper" | "provides" | "log">;

export interface RoutedShardOptions {
  readonly id: string;
  readonly input: BrokerInput;
  readonly common: ShardCommon;
  readonly mapper: () => Mapper;
  readonly provides: ShardOptions["provides"];
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}

export type RoutedShardState =
  | { readonly name: "running" }
  | { readonly name: "starting" }
  /** It failed and will be started again. */
  | { readonly name: "waiting"; readonly reason: string; readonly failures: number }
  /** A newer owner has it. */
  | { readonly name: "lost"; readonly reason: string }
  | { readonly name: "stopped" };

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 60_000;
/** A shard that ran for so long has healed: the next failure is a first one again. */
const HEALED_MS = 60_000;

export class RoutedShard {
  readonly id: string;
  readonly #options: RoutedShardOptions;
  readonly #backoff: ReturnType<typeof createBackoff>;
  #shard: Shard | null = null;
  #state: RoutedShardState = { name: "starting" };
  #retry: Timer | null = null;
  #stopping = false;
  /** Of starting, failing and stopping, one after the other. */
  #work: Promise<void>;
  failures = 0;

  constructor(options: RoutedShardOptions) {
    this.id = options.id;
    this.#options = options;
    this.#backoff = createBackoff(RETRY_MIN_MS, RETRY_MAX_MS, options.random);
    this.#work = this.#start();
  }

  get state(): RoutedShardState {
    return this.#state;
  }

  /** The one that runs, or ran last; null before the first. */
  get shard(): Shard | null {
    return this.#shard;
  }

  /** Settles when the shard has stored its last checkpoint. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#retry?.cancel();
    await this.#shard?.stop();
    await this.#work;
    await this.#shard?.stop();
    this.#state = { name: "stopped" };
  }

  async #start(): Promise<void> {
    const { id, input, common, mapper, provides, log, clock } = this.#options;
    this.#state = { name: "starting" };
    const startedMs = clock.monotonicMs();
    try {
      const shard = new Shard({ ...common, id, source: input.open(), mapper: mapper(), provides, log });
      this.#shard = shard;
      await shard.start();
      if (this.#stopping) return;
      this.#state = { name: "running" };
      void shard.ended.then(() => this.#ended(shard, startedMs));
    } catch (error) {
      if (this.#shard?.lost) this.#lost();
      else this.#failed(error instanceof Error ? error.message : String(error));
    }
  }

  /** The source of a broker ends by itself only when something is wrong, or it was told to. */
  #ended(shard: Shard, startedMs: number): void {
    const { clock } = this.#options;
    if (this.#stopping || shard !== this.#shard) return;
    if (shard.lost) {
      this.#lost();
      return;
    }
    const { failure } = shard.status();
    if (failure === null) return;
    if (clock.monotonicMs() - startedMs > HEALED_MS) this.#backoff.reset();
    this.#failed(failure);
  }

  #lost(): void {
    this.#state = { name: "lost", reason: "a newer owner has taken it" };
  }

  #failed(reason: string): void {
    if (this.#stopping) return;
    const { clock, log } = this.#options;
    const ms = this.#backoff.next();
    this.failures++;
    this.#state = { name: "waiting", reason, failures: this.#backoff.attempts };
    if (this.#backoff.attempts === 1) log.warn("a shard failed and is started again", { shard: this.id, reason });
    this.#retry = clock.after(ms, () => {
      this.#work = this.#again();
    });
  }

  async #again(): Promise<void> {
    await this.#shard?.stop();
    if (!this.#stopping) await this.#start();
  }
}
