/**
 * Claim: a shard's right to its input, as the checkpoint store has it. Made before the first word, looked after while held.
 *
 * Beside the path: shard -> CLAIM -> checkpoint store.
 * Invariants: a claim is stored before anything is published; only a lease's token, which is nobody else's, speaks without.
 * A token of one's own is outbid if somebody else was faster; a lease's is what it is.
 * At the limit: a store that is away is waited for, a second between two tries; after CLAIMS_MAX tokens that others were
 * faster with the shard is lost.
 */
import type { Clock } from "../lib/clock.ts";
import { type Checkpoint, type CheckpointHead, type CheckpointStore, mayReplace } from "./checkpoint.ts";
import type { Saver } from "./saver.ts";
import { sleep } from "./wait.ts";

const RETRY_MS = 1000;
/** Others may take the shard at the same moment: so often a token that was just taken is outbid. */
const CLAIMS_MAX = 5;

export interface ClaimPorts {
  readonly shard: string;
  readonly store: CheckpointStore;
  readonly saver: Pick<Saver, "save" | "error">;
  readonly clock: Clock;
  /** The shard is stopped, or lost. */
  readonly signal: AbortSignal;
  /** The token is that of a lease. */
  readonly leased: boolean;
  /** Goes on from the checkpoint, under a token above its own. */
  readonly takeOver: (checkpoint: Checkpoint | null) => void;
  readonly mine: () => Pick<CheckpointHead, "token" | "owner">;
  /** A newer owner has the shard. */
  readonly lost: () => void;
}

export class Claim {
  readonly #ports: ClaimPorts;
  #made = false;
  /** Refused is answered by another token, not by the end. */
  #bidding = false;
  #outbid = false;
  #errors = 0;
  #error: string | null = null;

  constructor(ports: ClaimPorts) {
    this.#ports = ports;
  }

  get made(): boolean {
    return this.#made;
  }

  /** Times that the store could not be read. */
  get errors(): number {
    return this.#errors;
  }

  /** Why it cannot be read just now; null if it can. */
  get error(): string | null {
    return this.#error;
  }

  /** Takes the shard over and stores that; given up when the signal is aborted. */
  async make(): Promise<void> {
    const { saver, clock, signal, leased, takeOver } = this.#ports;
    for (let claims = 1; ; claims++) {
      takeOver(await this.#load());
      if (signal.aborted) return;
      this.#bidding = !leased && claims < CLAIMS_MAX;
      this.#outbid = false;
      await saver.save();
      // Who read the same checkpoint claims the same token: not a word before it is stored. A lease's is nobody else's.
      while (saver.error !== null && !leased && !signal.aborted) {
        await sleep(clock, RETRY_MS, signal);
        await saver.save();
      }
      this.#bidding = false;
      if (this.#outbid) continue;
      this.#made = true;
      return;
    }
  }

  /** The store has a checkpoint that may not be replaced by ours. */
  refused(): void {
    if (this.#bidding) this.#outbid = true;
    else this.#ports.lost();
  }

  /** The store answers, as a stored checkpoint shows. */
  answered(): void {
    this.#error = null;
  }

  /** Who has nothing to save would never hear that the shard was taken. */
  async look(): Promise<void> {
    const { shard, store, saver, signal, mine, lost } = this.#ports;
    if (store.head === undefined) return;
    try {
      const head = await store.head(shard);
      this.#error = null;
      if (signal.aborted) return;
      if (head !== null && !mayReplace(head, mine())) lost();
      // The store lost what it had: an owner without records would leave it to the next one to find nothing there.
      else if (head?.token !== mine().token) void saver.save();
    } catch (error) {
      this.#notRead(error);
    }
  }

  /** Waits for a store that is away. */
  async #load(): Promise<Checkpoint | null> {
    const { shard, store, clock, signal } = this.#ports;
    while (!signal.aborted) {
      try {
        const checkpoint = await store.load(shard);
        this.#error = null;
        return checkpoint;
      } catch (error) {
        this.#notRead(error);
        await sleep(clock, RETRY_MS, signal);
      }
    }
    return null;
  }

  #notRead(error: unknown): void {
    this.#errors++;
    this.#error = error instanceof Error ? error.message : String(error);
  }
}
