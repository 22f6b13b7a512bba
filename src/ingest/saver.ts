/**
 * Saves a shard's checkpoints: one at a time, each a cut made between two records.
 *
 * Beside the path: shard -> SAVER -> checkpoint store. Invariant: never two saves on their way, so a store cannot get them
 * in the wrong order. At the limit: while the store is slow or away, further requests are dropped; the next one holds more.
 */
import type { Checkpoint, CheckpointStore } from "./checkpoint.ts";

export interface SaverPorts {
  readonly shard: string;
  readonly store: CheckpointStore;
  /** Settles when what the cut holds is with the bus too; rejects if it cannot get there. */
  readonly flushed: () => Promise<void>;
  readonly cut: () => Checkpoint;
  readonly stored: (checkpoint: Checkpoint) => void;
  /** The store has a checkpoint of a newer owner. */
  readonly refused: () => void;
}

export class Saver {
  readonly #ports: SaverPorts;
  #saving: Promise<void> | null = null;
  #saved = 0;
  #errors = 0;
  #error: string | null = null;

  constructor(ports: SaverPorts) {
    this.#ports = ports;
  }

  get saved(): number {
    return this.#saved;
  }

  get errors(): number {
    return this.#errors;
  }

  /** Why the last cut could not be stored: it must be made again. Null if it could. */
  get error(): string | null {
    return this.#error;
  }

  /** Settles when nothing is on its way. Never rejects. */
  async idle(): Promise<void> {
    while (this.#saving !== null) await this.#saving;
  }

  /** Saves a cut as of now, unless one is on its way. Never rejects: an error is counted (the store tells it). */
  save(): Promise<void> {
    if (this.#saving !== null) return this.#saving;
    const saving = this.#store(this.#ports.cut());
    this.#saving = saving;
    return saving;
  }

  async #store(checkpoint: Checkpoint): Promise<void> {
    const { store, shard, flushed, stored, refused } = this.#ports;
    let outcome: "stored" | "refused" | "error" = "error";
    try {
      await flushed();
      outcome = (await store.save(shard, checkpoint)) ? "stored" : "refused";
    } catch (error) {
      this.#errors++;
      this.#error = error instanceof Error ? error.message : String(error);
    }
    this.#saving = null;
    if (outcome !== "error") this.#error = null;
    if (outcome === "stored") {
      this.#saved++;
      stored(checkpoint);
    }
    if (outcome === "refused") refused();
  }
}
