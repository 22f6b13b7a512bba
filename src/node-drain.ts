/**
 * The drain of a node: it says that it takes no more, empties the edge, and stops.
 *
 * Beside the path, on the main thread; sources, engine and REST go on until the last session is gone.
 * Invariants: it begins once, whoever asks again gets the one under way; it ends, whatever sessions and workers do.
 * At the limit: sessions left LATE_MS_MAX after the last one should have been closed are closed by the stop, 1001.
 */
import type { Edge } from "./edge/mod.ts";
import type { Clock, Timer } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";

/** The workers need so long at the most, or do not work any more. */
const LATE_MS_MAX = 10_000;
/** Between the last close and the end: clients answer it, and what the kernel holds leaves. */
const LINGER_MS = 300;
const PROGRESS_MS = 1000;

export interface DrainState {
  /** Sessions not yet closed. */
  readonly sessions: number;
  /** Until the last one is closed. */
  readonly leftMs: number;
}

export interface NodeDrainParts {
  readonly edge: Pick<Edge, "drain" | "counters"> | null;
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the node. */
  stop(): Promise<void>;
}

export class NodeDrain {
  readonly #parts: NodeDrainParts;
  #endMs = 0;
  #done: Promise<void> | null = null;

  constructor(parts: NodeDrainParts) {
    this.#parts = parts;
  }

  /** Null: the node is not draining. */
  get state(): DrainState | null {
    if (this.#done === null) return null;
    const leftMs = Math.max(0, Math.round(this.#endMs - this.#parts.clock.monotonicMs()));
    return { sessions: this.#sessions(), leftMs };
  }

  /** Drains within about `ms`, then stops the node; settles when it has stopped. */
  begin(ms: number, cause: string): Promise<void> {
    if (this.#done === null) {
      this.#endMs = this.#parts.clock.monotonicMs() + ms;
      this.#parts.log.info("draining: no new sessions", { cause, sessions: this.#sessions(), seconds: ms / 1000 });
      this.#done = this.#run(ms);
    }
    return this.#done;
  }

  async #run(ms: number): Promise<void> {
    const { edge, clock, log, stop } = this.#parts;
    const beginMs = clock.monotonicMs();
    if (edge !== null) {
      const before = edge.counters();
      const progress = this.#tellProgress();
      await this.#within(ms + LATE_MS_MAX, edge.drain(ms));
      progress();
      const { closes, sessions } = edge.counters();
      const count = (code: string): number => (closes[code] ?? 0) - (before.closes[code] ?? 0);
      const seconds = Math.round((clock.monotonicMs() - beginMs) / 100) / 10;
      const gone = total(closes) - total(before.closes);
      const counts = { closed: count("1012"), leftByThemselves: gone - count("1012") };
      if (sessions > 0) log.warn("drained in part: the rest is closed 1001", { ...counts, sessions, seconds });
      else log.info("drained", { ...counts, seconds });
      if (gone + sessions > 0) await this.#wait(LINGER_MS);
    }
    await stop();
  }

  #sessions(): number {
    return this.#parts.edge?.counters().sessions ?? 0;
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.after(ms, resolve));
  }

  /** Settles with `work`, but not later than in `ms`. */
  #within(ms: number, work: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#parts.clock.after(ms, resolve);
      void work.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** A line a second; what it returns ends that. */
  #tellProgress(): () => void {
    const { clock, log } = this.#parts;
    let timer: Timer;
    const again = (): void => {
      timer = clock.after(PROGRESS_MS, () => {
        log.info("draining", { ...this.state });
        again();
      });
    };
    again();
    return () => timer.cancel();
  }
}

const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);
