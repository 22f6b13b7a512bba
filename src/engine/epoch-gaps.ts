/**
 * What the end of an epoch owes the sessions of a lossless channel: a gap from the last they have to the first of the new
 * one, which is told right before that first publication.
 *
 * On the path: channel state -> EPOCH GAPS -> rungs. Invariant: each rung is told once; a rung that sessions move to owes
 * what the one they come from did.
 */
import { gapSegment } from "./family/items.ts";
import type { Rung } from "./rung.ts";

export class EpochGaps {
  /** Seqs at or below it belong to an older epoch. */
  floor = -1;
  /** Rungs that owe their sessions the gap, with the last seq of the old epoch. */
  readonly #owed = new Map<Rung, number>();
  /** Rungs that have told it and flushed nothing since, with the end of that gap. */
  readonly #announced = new Map<Rung, number>();

  owed(rung: Rung): number | undefined {
    return this.#owed.get(rung);
  }

  announced(rung: Rung): number | undefined {
    return this.#announced.get(rung);
  }

  /** The epoch that stood at `seq` ends; rungs in `owing` will have to tell of it. */
  begin(seq: number | null, owing: Iterable<Rung>): void {
    for (const rung of owing) this.#owed.set(rung, this.#owed.get(rung) ?? rung.seq ?? this.floor);
    this.#announced.clear();
    this.floor = seq ?? this.floor;
  }

  /** The new epoch's first publication is next. */
  tell(firstSeq: number, time: number): void {
    if (this.#owed.size === 0) return;
    const end = firstSeq - 1;
    for (const [rung, seq] of this.#owed) {
      // Where the store lost what was used, the new numbers may be lower: the gap ends where they begin all the same.
      rung.write(gapSegment(Math.min(seq, end - 1), end, time, { missed: null, reason: "epoch" }));
      this.#announced.set(rung, end);
      rung.seq = null;
      rung.tellEpoch = true;
    }
    this.#owed.clear();
  }

  /** Nothing of this epoch had come, and what can still be had of it begins behind `end`. */
  lost(end: number, time: number, rungs: Iterable<Rung>): void {
    for (const rung of rungs) {
      if (this.#owed.has(rung)) continue;
      // As in `tell`: the floor is of an older epoch, whose numbers may be above these.
      rung.write(gapSegment(Math.min(this.floor, end - 1), end, time, { missed: null, reason: "source" }));
    }
    this.tell(end + 1, time);
  }

  /** Sessions go from one rung to another: if they are owed the gap, they are owed it there too. */
  moving(from: Rung, to: Rung): void {
    const owed = this.#owed.get(from);
    if (to.seq === null && owed !== undefined) this.#owed.set(to, Math.min(owed, this.#owed.get(to) ?? owed));
  }

  forget(rung: Rung): void {
    this.#owed.delete(rung);
    this.#announced.delete(rung);
  }
}
