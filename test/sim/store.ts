/**
 * The checkpoint store of a world: it answers late, fails for a while, or loses what it had; each owner sees it through a
 * door of its own, which is shut when that owner dies.
 *
 * Invariant: what is stored is a copy as a wire would make it, so nobody shares state through it.
 */
import { type Checkpoint, type CheckpointStore, MemoryCheckpoints } from "../../src/ingest/checkpoint.ts";
import type { Clock } from "../../src/lib/clock.ts";
import type { Random } from "./random.ts";

export interface Door extends CheckpointStore {
  /** Nothing passes any more, in neither direction. */
  shut(): void;
  /** This owner alone cannot reach the store, until `ms` from now. */
  jam(ms: number): void;
}

export interface StoreOptions {
  readonly random: Random;
  /** An answer takes up to so long. */
  readonly delayMsMax: number;
  /** Checkpoints pass as text. */
  readonly copies: boolean;
}

export class Store {
  readonly #options: StoreOptions;
  #newest = new MemoryCheckpoints();
  #failing = false;
  lostTimes = 0;

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  /** Every question fails from now on, or no more. */
  fail(failing: boolean): void {
    this.#failing = failing;
  }

  /** Everything is gone. */
  lose(): void {
    this.#newest = new MemoryCheckpoints();
    this.lostTimes++;
  }

  load(shard: string): Promise<Checkpoint | null> {
    return this.#newest.load(shard);
  }

  /** For one owner, whose thread's clock it is. */
  door(clock: Clock): Door {
    let open = true;
    let jammedUntilMs = 0;
    /** The answer comes later; to who is dead, never. */
    const later = <T>(ask: () => Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        if (!open) return;
        const { random, delayMsMax } = this.#options;
        const fails = this.#failing || clock.monotonicMs() < jammedUntilMs;
        const answer = fails ? Promise.reject(new Error("the checkpoint store does not answer")) : ask();
        const then = (call: () => void) => clock.after(random.int(0, delayMsMax), () => open && call());
        answer.then(
          (value) => then(() => resolve(value)),
          (error: unknown) => then(() => reject(error)),
        );
      });
    return {
      load: (shard) => later(() => this.#newest.load(shard)),
      save: (shard, checkpoint) => later(() => this.#newest.save(shard, this.#copy(checkpoint))),
      head: (shard) => later(() => this.#newest.head(shard)),
      shut: () => {
        open = false;
      },
      jam: (ms) => {
        jammedUntilMs = clock.monotonicMs() + ms;
      },
    };
  }

  #copy(checkpoint: Checkpoint): Checkpoint {
    return this.#options.copies ? (JSON.parse(JSON.stringify(checkpoint)) as Checkpoint) : checkpoint;
  }
}
