/**
 * Numbering of a shard: `seq = base + offset` within an epoch.
 *
 * Invariants: seq rises across epochs. A new owner knows no more than the ceiling that was stored before any seq passed
 * it, so its base is above that and not behind the wall clock. An owner that begins an epoch itself (a looping replay)
 * knows its last seq and goes on right behind it: no clock in it, and the ceiling stays true. If it went on from a checkpoint
 * it only knows the ceiling of the owner before, and begins above that.
 */
import type { Offset } from "./source.ts";

/** One incarnation of a shard's numbering; id and base are made and stored together. */
export interface Epoch {
  readonly id: string;
  readonly base: number;
}

export const CEILING_STEP = 10_000_000;

/** Bases count units of 10 us since then: 13 or 14 digits until 2055. */
const BASE_ORIGIN_US = Date.UTC(2024, 0, 1) * 1000;
const BASE_UNIT_US = 10;

/** The base of a fresh epoch, above everything that may have been published under `ceiling`. */
export function freshBase(wallUs: number, ceiling: number | null): number {
  const now = Math.floor((wallUs - BASE_ORIGIN_US) / BASE_UNIT_US);
  return Math.max(now, ceiling === null ? 0 : ceiling + 1);
}

export class Numbering {
  #epoch: Epoch;
  /** Offset of the last record; null if the epoch has none yet. */
  #offset: Offset | null;

  constructor(epoch: Epoch, offset: Offset | null = null) {
    this.#epoch = epoch;
    this.#offset = offset;
  }

  get epoch(): Epoch {
    return this.#epoch;
  }

  get offset(): Offset | null {
    return this.#offset;
  }

  seqOf(offset: Offset): number {
    return this.#epoch.base + offset;
  }

  /** Moves on to a record; false if its offset is not an integer above the last one. */
  take(offset: Offset): boolean {
    if (!Number.isSafeInteger(offset) || offset < 0 || (this.#offset !== null && offset <= this.#offset)) return false;
    this.#offset = offset;
    return true;
  }

  /** A new epoch right behind the last record of this one, and not below `least`. */
  next(id: string, least = 0): Epoch {
    this.#epoch = { id, base: Math.max(this.seqOf(this.#offset ?? -1) + 1, least) };
    this.#offset = null;
    return this.#epoch;
  }
}
