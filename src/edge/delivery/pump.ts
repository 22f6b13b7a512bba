/**
 * The pump: moves everything the ring holds to the sockets, then waits for more.
 *
 * On the path: ring -> PUMP (records) -> Bun's publish -> one write per socket at the end of the turn.
 * Invariants: between the ring and the socket nothing is awaited; what one turn publishes shares a write per socket.
 * Smart batching: after a flush that took d ms the next one waits min(d, flushMsMax), and takes what has come meanwhile:
 * under load the batch grows instead of the queue, and a quiet worker waits for nothing.
 */
import type { Clock } from "../../lib/clock.ts";
import type { RingReader } from "../../ring/ring.ts";
import type { Counters } from "../counters.ts";
import type { Records } from "./records.ts";
import type { Repair } from "./repair.ts";

/** A turn that drains longer than this writes what it has before it reads on. */
const DRAIN_MS_MAX = 10;
/** A flush that took less is followed by no pause: timers are no finer. */
const PAUSE_MS_MIN = 0.5;

export class Pump {
  readonly #reader: RingReader;
  readonly #records: Records;
  readonly #repair: Repair;
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #flushMsMax: number;

  constructor(
    reader: RingReader,
    records: Records,
    repair: Repair,
    counters: Counters,
    clock: Clock,
    flushMsMax: number,
  ) {
    this.#reader = reader;
    this.#records = records;
    this.#repair = repair;
    this.#counters = counters;
    this.#clock = clock;
    this.#flushMsMax = flushMsMax;
  }

  /** Runs until the worker ends. */
  async run(): Promise<never> {
    for (;;) {
      const startMs = this.#clock.monotonicMs();
      if (!this.#drain(startMs)) {
        await this.#reader.wait();
        continue;
      }
      await turn();
      this.#counters.settle(this.#clock.wallUs());
      const tookMs = this.#clock.monotonicMs() - startMs;
      if (tookMs >= PAUSE_MS_MIN) await pause(Math.min(tookMs, this.#flushMsMax));
    }
  }

  /** Takes what the ring holds; false if there was nothing. */
  #drain(startMs: number): boolean {
    let taken = 0;
    for (;;) {
      const record = this.#reader.read();
      if (record === null) break;
      taken++;
      if (record === "lapped") this.#repair.lapped();
      else this.#records.take(record);
      if (taken % 64 === 0 && this.#clock.monotonicMs() - startMs > DRAIN_MS_MAX) break;
    }
    if (taken > 0) this.#records.end();
    return taken > 0;
  }
}

/** Settles after Bun has written this turn's publications: it does so between two immediates. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
