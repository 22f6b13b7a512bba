/**
 * Drain: empties a worker, or one old listener of it, in order: who is on it is told, then closed 1012, a few at a time.
 *
 * Beside the path, in the worker. Each session has a moment of its own, spread evenly over the time there is, in an order
 * made by chance, so that those who connected together do not come back together; the notice names it.
 * Invariants: told before closed, where the dialect has the word; nobody is closed before the moment it was told; the
 * first moment leaves time to read the notice; a step does bounded work. At the limit: more sessions than the steps can
 * close in time are closed late, never in one turn.
 */
import { CLOSES } from "../protocol/codes.ts";
import type { Counters } from "./counters.ts";
import { close, type Session, send } from "./session/session.ts";

/** Between two steps; each waits a random time from half of it to one and a half. */
const STEP_MS = 50;
/** Sessions told, and sessions closed, in one step. */
const BATCH_MAX = 1000;
/** The part of the time that passes before the first close. */
const LEAD = 0.1;

export interface DrainParts {
  readonly counters: Counters;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** Wall clock. */
  readonly wallMs: () => number;
  readonly random: () => number;
}

export class Drain {
  readonly #parts: DrainParts;
  readonly #reason: string;
  /** In the order in which they are closed. */
  readonly #sessions: readonly Session[];
  readonly #firstMs: number;
  readonly #spreadMs: number;
  #told = 0;
  #closed = 0;

  constructor(sessions: readonly Session[], spreadMs: number, reason: string, parts: DrainParts) {
    this.#parts = parts;
    this.#reason = reason;
    this.#sessions = shuffled(sessions, parts.random);
    this.#firstMs = parts.nowMs() + spreadMs * LEAD;
    this.#spreadMs = spreadMs * (1 - LEAD);
  }

  /** Everybody was closed. */
  get done(): boolean {
    return this.#closed === this.#sessions.length;
  }

  /** Tells and closes those whose turn it is; the ms until the next step. */
  step(): number {
    const nowMs = this.#parts.nowMs();
    const tellEnd = Math.min(this.#sessions.length, this.#told + BATCH_MAX);
    while (this.#told < tellEnd) this.#tell(this.#told++, nowMs);
    const closeEnd = Math.min(this.#told, this.#closed + BATCH_MAX);
    while (this.#closed < closeEnd && this.#dueMs(this.#closed) <= nowMs) {
      close(this.#sessions[this.#closed++]!, CLOSES.RESTART.code, this.#reason);
    }
    const behind = this.#told < this.#sessions.length || (!this.done && this.#dueMs(this.#closed) <= nowMs);
    return behind ? 1 : STEP_MS * (0.5 + this.#parts.random());
  }

  #dueMs(place: number): number {
    return this.#firstMs + (this.#spreadMs * place) / this.#sessions.length;
  }

  #tell(place: number, nowMs: number): void {
    const session = this.#sessions[place]!;
    const { counters, wallMs } = this.#parts;
    const { dialect, opening } = session.wire;
    const afterMs = Math.max(0, Math.floor(this.#dueMs(place) - nowMs));
    const frame = dialect.drain(opening, wallMs(), afterMs);
    if (frame !== null) send(session, frame, counters);
  }
}

function shuffled(sessions: readonly Session[], random: () => number): Session[] {
  const all = [...sessions];
  for (let at = all.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    [all[at], all[other]] = [all[other]!, all[at]!];
  }
  return all;
}
