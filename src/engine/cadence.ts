/**
 * The node-wide clock of the cadence ladder: flushes rungs at multiples of their period and writes one TICK after them.
 *
 * On the path: channel state -> (dirty rung) -> CADENCE -> ring.
 * Invariants: all rungs due at an instant are flushed before its TICK; a stall merges the missed instants into one TICK;
 * while a move is pending, the old rung is flushed together with the target, so both end on the same seq.
 */
import type { Clock, Timer } from "../lib/clock.ts";
import { wallMs } from "../lib/clock.ts";
import { RecordKind, RUNGS } from "../ring/messages.ts";
import type { RingWriter } from "../ring/ring.ts";
import type { Rung } from "./rung.ts";

/** All periods are multiples of it. */
const STEP_MS = 50;

export class Cadence {
  readonly #clock: Clock;
  readonly #ring: RingWriter;
  /** Rungs with something unsent, by index in RUNGS. */
  readonly #dirty: Set<Rung>[] = RUNGS.map(() => new Set<Rung>());
  /** Old rungs to flush together with the target, by index of the target. */
  readonly #moves: Set<Rung>[] = RUNGS.map(() => new Set<Rung>());
  #timer: Timer | null = null;
  #lastStep: number;
  #users = 0;

  constructor(clock: Clock, ring: RingWriter) {
    this.#clock = clock;
    this.#ring = ring;
    this.#lastStep = Math.floor(wallMs(clock) / STEP_MS);
  }

  /** Flush this rung at its next instant. */
  dirty(rung: Rung): void {
    this.#dirty[RUNGS.indexOf(rung.period)]!.add(rung);
    this.#arm();
  }

  /** A session will go from `from` to a rung of period `target` at the target's next instant. */
  move(from: Rung, target: (typeof RUNGS)[number]): void {
    this.#moves[RUNGS.indexOf(target)]!.add(from);
    this.#users++;
    this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(): void {
    if (this.#timer) return;
    // The last step may lie far back after a quiet spell: it merges into nothing, not into a TICK of its own.
    this.#lastStep = Math.max(this.#lastStep, Math.floor(wallMs(this.#clock) / STEP_MS));
    this.#schedule();
  }

  #schedule(): void {
    const us = this.#clock.wallUs();
    const wait = STEP_MS - (us / 1000 - Math.floor(us / 1000 / STEP_MS) * STEP_MS);
    this.#timer = this.#clock.after(Math.ceil(wait), () => this.#tick());
  }

  #tick(): void {
    this.#timer = null;
    const step = Math.floor(wallMs(this.#clock) / STEP_MS);
    if (step > this.#lastStep) {
      this.#flush(this.#due(step));
      this.#lastStep = step;
    }
    if (this.#users > 0 || this.#dirty.some((set) => set.size > 0)) this.#schedule();
  }

  /** The mask of rungs that had an instant since the last tick; real time counts as always flushed. */
  #due(step: number): number {
    let mask = 1;
    for (let i = 1; i < RUNGS.length; i++) {
      const every = RUNGS[i]! / STEP_MS;
      if (Math.floor(step / every) > Math.floor(this.#lastStep / every)) mask |= 1 << i;
    }
    return mask;
  }

  #flush(mask: number): void {
    for (let i = 0; i < RUNGS.length; i++) {
      if ((mask & (1 << i)) === 0) continue;
      const moves = this.#moves[i]!;
      if (moves.size > 0) {
        for (const rung of moves) {
          rung.flush();
          this.#dirty[RUNGS.indexOf(rung.period)]!.delete(rung);
        }
        moves.clear();
      }
      const dirty = this.#dirty[i]!;
      for (const rung of dirty) rung.flush();
      dirty.clear();
    }
    this.#users = this.#moves.reduce((sum, set) => sum + set.size, 0);
    this.#ring.write(RecordKind.TICK, { topic: mask }, "");
  }
}
