/**
 * The edge workers of a world: started, pumped, paused, ended and replaced as the supervisor does it.
 *
 * Invariants: a worker's messages reach the engine in order, a little later, and never after its death; it reads the ring
 * some time after something was written, and not always all of it.
 */
import { clearOutboxes, createOutboxes } from "../../src/edge/delivery/outboxes.ts";
import type { OnSlow } from "../../src/edge/delivery/slow.ts";
import { DEFAULT_EDGE_CONFIG, type EdgeConfig } from "../../src/edge/mod.ts";
import type { Clock } from "../../src/lib/clock.ts";
import type { EdgeToMain } from "../../src/ring/messages.ts";
import type { RingReaders, RingWriter } from "../../src/ring/mod.ts";
import type { Random } from "./random.ts";
import { TestWorker } from "./test-worker.ts";

/** Small outboxes, few joins at a time, clients that may say as much as they like. */
const CONFIG: EdgeConfig = {
  ...DEFAULT_EDGE_CONFIG,
  limits: {
    ...DEFAULT_EDGE_CONFIG.limits,
    outboxBytesHigh: 4 * 1024,
    outboxBytesMax: 64 * 1024,
    outboxBytesNodeMax: 96 * 1024,
    slowPatienceMs: 300,
    slowPatienceMsMax: 2000,
    closeLingerMs: 3000,
    joinsInFlightMax: 2,
    pingAfterMs: 3_000_000,
    idleMsMax: 6_000_000,
    commands: {
      native: { is: "bucket", perSecond: 1e6, burst: 1e6, refusalsMax: 1 },
      binance: { spot: { is: "window", perSecond: 1000 } },
    },
  },
};
/** How the supervisor's pause before the next start of a worker that gave itself up begins. */
const RESTART_MS = 100;

export interface CrewOptions {
  /** Of the workers' threads, and of the main thread, which takes their messages. */
  readonly clock: Clock;
  readonly mainClock: Clock;
  readonly random: Random;
  readonly memory: SharedArrayBuffer;
  readonly ring: RingWriter & RingReaders;
  readonly workers: number;
  readonly onSlow: OnSlow;
  readonly handle: (worker: number, message: EdgeToMain) => void;
  readonly gone: (worker: number) => void;
  readonly failed: (error: unknown) => void;
}

/** One place for a worker, and who is in it. */
interface Place {
  readonly index: number;
  worker: TestWorker | null;
  generation: number;
  /** Infinity: until somebody says otherwise. */
  pausedUntilMs: number;
  pumping: boolean;
  lastPostMs: number;
}

export class Crew {
  laps = 0;
  restarts = 0;
  readonly #options: CrewOptions;
  readonly #outboxes: SharedArrayBuffer;
  /** What was done about slow sessions, in workers that have ended. */
  readonly slow: Record<string, number> = {};
  readonly #places: readonly Place[];
  #ended = false;

  constructor(options: CrewOptions) {
    this.#options = options;
    this.#outboxes = createOutboxes(options.workers);
    this.#places = Array.from({ length: options.workers }, (_, index) => ({
      index,
      worker: null,
      generation: -1,
      pausedUntilMs: 0,
      pumping: false,
      lastPostMs: 0,
    }));
  }

  start(): void {
    for (const place of this.#places) this.#launch(place);
  }

  /** Something was written into the ring. */
  written(): void {
    for (const place of this.#places) this.#pumpSoon(place);
  }

  /** Any worker that lives; null: all are down. */
  some(random: Random): TestWorker | null {
    const { worker } = random.pick(this.#places);
    return worker ?? this.#places.find((place) => place.worker !== null)?.worker ?? null;
  }

  /** It reads nothing until `ms` from now. */
  pause(worker: number, ms: number): void {
    const place = this.#placeOf(worker);
    place.pausedUntilMs = Math.max(place.pausedUntilMs, this.#now + ms);
  }

  resume(worker: number, ms: number): void {
    const place = this.#placeOf(worker);
    place.pausedUntilMs = this.#now + ms;
    this.#pumpSoon(place);
  }

  resumeAll(): void {
    for (const place of this.#places) this.resume(place.index, 0);
  }

  /** The thread dies; another starts `downMs` later. */
  crash(worker: number, downMs: number): void {
    this.#end(this.#placeOf(worker), downMs, 1006);
  }

  /** Ends for good; what is left in the workers although their clients have gone. */
  end(): number {
    this.#ended = true;
    let left = 0;
    for (const { worker } of this.#places) {
      if (worker === null) continue;
      left += [...worker.hub.topics()].length + worker.sessions + worker.server.topics;
      this.#count(worker);
      worker.end(1001);
    }
    return left;
  }

  // --- inside -----------------------------------------------------------------------------------------------------

  #placeOf(worker: number): Place {
    return this.#places[worker % this.#places.length]!;
  }

  #launch(place: Place): void {
    const { clock, memory, failed, onSlow } = this.#options;
    place.generation++;
    place.lastPostMs = 0;
    const worker: TestWorker = new TestWorker({
      config: CONFIG,
      ring: memory,
      outboxes: this.#outboxes,
      onSlow,
      worker: place.index,
      generation: place.generation,
      clock,
      post: (message) => this.#post(place, worker, message),
      failed,
    });
    place.worker = worker;
  }

  /** postMessage. */
  #post(place: Place, worker: TestWorker, message: EdgeToMain): void {
    const { mainClock, random, handle } = this.#options;
    place.lastPostMs = Math.max(place.lastPostMs, this.#now + random.int(0, 4));
    mainClock.after(place.lastPostMs - this.#now, () => {
      if (place.worker === worker) handle(place.index, message);
    });
  }

  #pumpSoon(place: Place): void {
    const isStopped = place.pausedUntilMs === Number.POSITIVE_INFINITY;
    if (place.pumping || place.worker === null || isStopped) return;
    const { clock, random } = this.#options;
    place.pumping = true;
    const wait = Math.max(place.pausedUntilMs - this.#now, random.int(0, 6));
    clock.after(wait, () => this.#pump(place));
  }

  #pump(place: Place): void {
    const { random, ring } = this.#options;
    place.pumping = false;
    if (place.worker === null) return;
    if (place.pausedUntilMs > this.#now) this.#pumpSoon(place);
    else if (!place.worker.pump(random.pick([1, 3, 20, 200]))) this.#end(place, RESTART_MS, 1001);
    else if (ring.lagBytes() > 0) this.#pumpSoon(place);
  }

  #end(place: Place, downMs: number, code: number): void {
    const { clock, ring, gone } = this.#options;
    const { worker } = place;
    if (worker === null) return;
    this.restarts++;
    this.#count(worker);
    clearOutboxes(this.#outboxes, place.index);
    place.worker = null;
    ring.removeReader(place.index);
    gone(place.index);
    worker.end(code);
    clock.after(downMs, () => {
      if (!this.#ended) this.#launch(place);
    });
  }

  #count({ counters }: TestWorker): void {
    this.laps += counters.laps;
    for (const [action, times] of Object.entries(counters.slow)) this.slow[action] = (this.slow[action] ?? 0) + times;
  }

  get #now(): number {
    return this.#options.clock.monotonicMs();
  }
}
