/**
 * The supervisor: starts the edge workers, watches them, and replaces those that die or fall silent.
 *
 * Beside the path, on the main thread. It passes messages on and does not read them (but `ready`, `counters` and `log`).
 * Invariants: a worker in a place has one generation at a time, and main hears `onWorkerGone` before the next one starts;
 * totals never fall when a worker dies; a port that somebody else has is found out before any worker starts (SO_REUSEPORT
 * would share it silently), unless sharing it was asked for.
 * At the limit: silent for `silentMsMax`: terminated and replaced; crashing again and again: replaced ever more slowly.
 */
import type { Clock, Timer } from "../lib/clock.ts";
import { GatewayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { EdgeToMain, MainToEdge } from "../ring/messages.ts";
import type { RingReaders } from "../ring/mod.ts";
import { CensusColumns } from "./admission/columns.ts";
import { checkEdgeConfig, type EdgeConfig, type TlsPair } from "./config.ts";
import { clearOutboxes, createOutboxes } from "./delivery/outboxes.ts";
import { Draining } from "./draining.ts";
import { probePort } from "./probe.ts";
import { type EdgeTotals, Totals } from "./totals.ts";

/** What a worker says that is not for the supervisor. */
export type EdgeMessage = Exclude<EdgeToMain, { is: "ready" | "batch" | "counters" | "log" | "drained" }>;

export interface EdgeOptions {
  readonly config: EdgeConfig;
  readonly ring: SharedArrayBuffer;
  readonly readers: RingReaders;
  readonly workers: number;
  readonly clock: Clock;
  readonly log: Log;
  onMessage(worker: number, message: EdgeMessage): void;
  /** Whatever this worker wanted is void; a new one with the same number follows. */
  onWorkerGone(worker: number): void;
  /** ms without a beat after which a worker is replaced. */
  readonly silentMsMax?: number;
}

export interface Edge {
  readonly port: number;
  post(worker: number, message: MainToEdge): void;
  counters(): EdgeTotals;
  /** Workers that serve now. */
  readonly ready: number;
  /** Each worker's state. */
  workers(): readonly EdgeWorkerView[];
  /**
   * Takes no new sessions, tells those there are, and closes them 1012 within about `ms`; settles when none is left. REST
   * goes on. A second call changes nothing.
   */
  drain(ms: number): Promise<void>;
  /** New connections get this certificate. `drainMs`: for sessions on a listener there is no room for any more. */
  renew(tls: TlsPair, drainMs: number): void;
  /** Other limits and topics from now on, as far as they apply while workers run (limit-table.ts). */
  change(settings: EdgeSettings): void;
  /** Closes every session 1001 and ends the workers. */
  stop(): Promise<void>;
}

/** What can change while the edge runs. */
export type EdgeSettings = Pick<EdgeConfig, "limits" | "topics">;

export interface EdgeWorkerView {
  readonly worker: number;
  readonly up: boolean;
  readonly restarts: number;
  readonly loopLagMs: number;
}

const SILENT_MS_MAX = 3000;
const START_MS_MAX = 15_000;
const STOP_MS_MAX = 2000;
const END_MS_MAX = 5000;
const BACKOFF_MS = 100;
const BACKOFF_MS_MAX = 5000;
/** A worker that has lived this long has recovered from whatever ended the one before. */
const STEADY_MS = 30_000;

/** Starts the workers; resolves when all of them listen. */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  checkEdgeConfig(options.config);
  if (!options.config.sharePort) probePort(options.config.host, options.config.port);
  const supervisor = new Supervisor(options);
  try {
    await supervisor.start();
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
  return supervisor;
}

/** One place and the worker in it. */
interface Place {
  readonly worker: number;
  thread: Worker | null;
  generation: number;
  ready: boolean;
  startedMs: number;
  /** Last count of beats, and when it last rose. */
  beats: number;
  beatMs: number;
  crashes: number;
  /** Settles the start of this generation. */
  started: (error: GatewayError | null) => void;
  /** Settles its stop. */
  ended: () => void;
}

class Supervisor implements Edge {
  readonly #options: EdgeOptions;
  readonly #places: Place[];
  readonly #totals = new Totals();
  readonly #silentMsMax: number;
  readonly #census: CensusColumns;
  readonly #outboxes: SharedArrayBuffer;
  /** What workers are started with. */
  #config: EdgeConfig;
  #port: number;
  #stopping = false;
  #draining: Draining | null = null;
  #tls: TlsPair | null;
  #watch: Timer | null = null;
  readonly #restarts = new Set<Timer>();
  /** Threads told to end, until they have; the timer complains. */
  readonly #ending = new Map<Worker, Timer>();

  constructor(options: EdgeOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#census = new CensusColumns(options.workers, options.config.limits.sessionsMax);
    this.#outboxes = createOutboxes(options.workers);
    this.#port = options.config.port;
    this.#tls = options.config.tls;
    this.#silentMsMax = options.silentMsMax ?? SILENT_MS_MAX;
    this.#places = Array.from({ length: options.workers }, (_, worker) => ({
      worker,
      thread: null,
      generation: 0,
      ready: false,
      startedMs: 0,
      beats: 0,
      beatMs: 0,
      crashes: 0,
      started: () => undefined,
      ended: () => undefined,
    }));
  }

  get port(): number {
    return this.#port;
  }

  get ready(): number {
    return this.#places.filter((place) => place.ready).length;
  }

  async start(): Promise<void> {
    const [first, ...others] = this.#places;
    // The first finds the port if any will do; the others share it.
    await this.#launch(first!);
    await Promise.all(others.map((place) => this.#launch(place)));
    this.#watchOn();
  }

  post(worker: number, message: MainToEdge): void {
    // A dead worker's questions need no answer.
    this.#places[worker]?.thread?.postMessage(message);
  }

  counters(): EdgeTotals {
    return this.#totals.sum();
  }

  workers(): readonly EdgeWorkerView[] {
    return this.#places.map(({ worker, ready, generation }) => ({
      worker,
      up: ready,
      restarts: generation,
      loopLagMs: this.#totals.loopLagMs(worker),
    }));
  }

  drain(ms: number): Promise<void> {
    if (this.#draining === null) {
      const living = this.#places.filter(({ thread }) => thread !== null).map(({ worker }) => worker);
      this.#draining = new Draining(living, this.#options.clock.monotonicMs() + ms);
      for (const worker of living) this.post(worker, { is: "drain", ms });
    }
    return this.#draining.done;
  }

  renew({ cert, key }: TlsPair, drainMs: number): void {
    this.#tls = { cert, key };
    for (const { worker } of this.#places) this.post(worker, { is: "renew", cert, key, drainMs });
  }

  change({ limits, topics }: EdgeSettings): void {
    this.#config = checkEdgeConfig({ ...this.#config, limits, topics });
    for (const { worker } of this.#places) this.post(worker, { is: "settings", limits, topics });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#watch?.cancel();
    for (const timer of this.#restarts) timer.cancel();
    await Promise.all(this.#places.map((place) => this.#end(place)));
    for (const timer of this.#ending.values()) timer.cancel();
  }

  // --- one worker ---------------------------------------------------------------------------------------------------

  #launch(place: Place): Promise<void> {
    const { ring, clock } = this.#options;
    const { worker, generation } = place;
    const thread = new Worker(new URL("./worker.ts", import.meta.url).href, { name: `edge-${place.worker}` });
    place.thread = thread;
    place.startedMs = clock.monotonicMs();
    place.beatMs = place.startedMs;
    thread.onmessage = (event: MessageEvent<EdgeToMain>) => {
      if (place.thread === thread) this.#message(place, event.data);
    };
    thread.onerror = (event: ErrorEvent) => {
      event.preventDefault();
      if (place.thread === thread) this.#gone(place, "crashed", event.message);
    };
    thread.addEventListener("close", (event) => {
      const { code } = event as CloseEvent;
      if (place.thread === thread) this.#gone(place, code === 0 ? "ended" : `ended with status ${code}`);
      this.#ending.get(thread)?.cancel();
      this.#ending.delete(thread);
      this.#census.clear(worker, generation, place.generation);
    });
    const message: MainToEdge = {
      is: "start",
      config: { ...this.#config, port: this.#port, tls: this.#tls },
      ring,
      census: this.#census.memory,
      outboxes: this.#outboxes,
      column: this.#census.of(worker, generation),
      worker,
      generation,
    };
    thread.postMessage(message);
    if (this.#draining !== null) this.post(place.worker, { is: "drain", ms: this.#draining.leftMs(place.startedMs) });
    return new Promise((resolve, reject) => {
      const timer = clock.after(START_MS_MAX, () => this.#gone(place, "did not start"));
      place.started = (error) => {
        timer.cancel();
        place.started = () => undefined;
        if (error === null) resolve();
        else reject(error);
      };
    });
  }

  #message(place: Place, message: EdgeToMain): void {
    switch (message.is) {
      case "batch":
        for (const one of message.messages) this.#message(place, one);
        break;
      case "ready":
        this.#port = message.port;
        place.ready = true;
        place.beatMs = this.#options.clock.monotonicMs();
        place.started(null);
        break;
      case "counters":
        this.#totals.update(place.worker, message.counters);
        break;
      case "drained":
        this.#draining?.empty(place.worker);
        break;
      case "log":
        this.#options.log[message.level ?? "error"](message.message, { worker: place.worker, error: message.error });
        break;
      default:
        this.#options.onMessage(place.worker, message);
    }
  }

  /** The worker in this place is dead, or is made so. */
  #gone(place: Place, why: string, error?: string): void {
    const { readers, clock, log } = this.#options;
    const { thread, worker } = place;
    if (thread === null) return;
    place.thread = null;
    place.ready = false;
    this.#terminate(place, thread);
    readers.removeReader(worker);
    this.#totals.retire(worker);
    this.#census.clear(worker, place.generation);
    clearOutboxes(this.#outboxes, worker);
    this.#options.onWorkerGone(worker);
    const cause = error === undefined ? "" : `: ${firstLine(error)}`;
    place.started(new GatewayError("EDGE_START", `edge worker ${worker} ${why}${cause}`));
    place.ended();
    this.#draining?.empty(worker);
    // While draining a shared port belongs to the others already.
    if (this.#stopping || (this.#draining !== null && this.#options.config.sharePort)) return;
    const livedMs = clock.monotonicMs() - place.startedMs;
    place.crashes = livedMs > STEADY_MS ? 1 : place.crashes + 1;
    const waitMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** (place.crashes - 1));
    log.error(`edge worker ${why}; a new one starts`, { worker, livedMs: Math.round(livedMs), waitMs, error });
    this.#restartAfter(place, waitMs);
  }

  /** Ends a thread whatever it is doing, and says so loudly if it cannot be ended. */
  #terminate(place: Place, thread: Worker): void {
    const { clock, log } = this.#options;
    const late = clock.after(END_MS_MAX, () => {
      log.error("a terminated edge worker does not end: it still takes a share of new connections", {
        worker: place.worker,
      });
    });
    this.#ending.set(thread, late);
    thread.terminate();
  }

  #restartAfter(place: Place, waitMs: number): void {
    const timer = this.#options.clock.after(waitMs, () => {
      this.#restarts.delete(timer);
      place.generation++;
      this.#totals.restarted();
      this.#launch(place).catch((error: unknown) => this.#options.log.debug("a restart failed", { error }));
    });
    this.#restarts.add(timer);
  }

  async #end(place: Place): Promise<void> {
    const { thread } = place;
    if (thread === null) return;
    const ended = new Promise<void>((resolve) => {
      place.ended = resolve;
    });
    thread.postMessage({ is: "stop" } satisfies MainToEdge);
    const timer = this.#options.clock.after(STOP_MS_MAX, () => this.#gone(place, "did not stop"));
    await ended;
    timer.cancel();
  }

  // --- the watchdog -------------------------------------------------------------------------------------------------

  #watchOn(): void {
    this.#watch = this.#options.clock.after(this.#silentMsMax / 10, () => {
      for (const place of this.#places) if (place.ready) this.#check(place);
      this.#watchOn();
    });
  }

  #check(place: Place): void {
    const nowMs = this.#options.clock.monotonicMs();
    const beats = this.#options.readers.beats(place.worker);
    if (beats !== place.beats) {
      place.beats = beats;
      place.beatMs = nowMs;
    } else if (nowMs - place.beatMs >= this.#silentMsMax) {
      this.#gone(place, `was silent for ${Math.round(nowMs - place.beatMs)} ms`);
    }
  }
}

const firstLine = (text: string): string =>
  text
    .split("\n")
    .find((line) => /\berror\b/i.test(line))
    ?.trim() ?? text.slice(0, 200);
