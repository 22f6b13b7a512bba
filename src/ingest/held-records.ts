/**
 * Records that wait until a ceiling above their numbers is stored.
 *
 * On the path: source -> shard -> HELD RECORDS -> shard again. Invariant: they leave in the order they came.
 * At the limit: more than HELD_MAX of them fail the source: the checkpoint store has not answered for too long.
 */
import { GatewayError } from "../lib/errors.ts";
import type { SourceRecord } from "./source.ts";

const HELD_MAX = 100_000;

/** A record, with the incarnation of the source that its offset is of. */
export interface HeldRecord {
  readonly record: SourceRecord;
  readonly incarnation: string;
}

export class HeldRecords {
  readonly #shard: string;
  #held: HeldRecord[] = [];
  #room: PromiseWithResolvers<void> | null = null;

  constructor(shard: string) {
    this.#shard = shard;
  }

  get size(): number {
    return this.#held.length;
  }

  get first(): SourceRecord | null {
    return this.#held[0]?.record ?? null;
  }

  /** The source is in another numbering already. */
  get hasEpoch(): boolean {
    return this.#held.some(({ record }) => record.type === "epoch");
  }

  /** Settles when none is left; null if there is none. */
  get gone(): Promise<void> | null {
    return this.#room?.promise ?? null;
  }

  push(one: HeldRecord): void {
    if (this.#held.length >= HELD_MAX) {
      throw new GatewayError("CHECKPOINT_STORE", `shard ${this.#shard}: the checkpoint store does not answer`);
    }
    this.#held.push(one);
    this.#room ??= Promise.withResolvers();
  }

  /** Hands all of them to `take`, which may push some back. */
  release(take: (one: HeldRecord) => void): void {
    const held = this.#held;
    this.#held = [];
    for (const one of held) take(one);
    if (this.#held.length > 0) return;
    this.#room?.resolve();
    this.#room = null;
  }
}
