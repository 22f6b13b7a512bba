/**
 * One direction of a connection through a bad network: its bytes wait for their delay, for their turn at the throttle and
 * for the end of a pause.
 *
 * On the path: one socket -> LANE -> the other, both ends in cutting-proxy.ts.
 * Invariants: what it hands on is unchanged and in order, an end behind all bytes before it.
 * At the limit: with `LANE_BYTES_MAX` waiting, the sender is not read until half of that is gone, so it is slowed down too.
 */
import type { Socket } from "node:net";
import type { Random } from "../../sim/random.ts";

/** What a connection has to go through, each way. */
export interface Weather {
  /** ms that bytes are under way, drawn for each chunk; nothing overtakes. */
  readonly delayMs?: readonly [min: number, max: number];
  readonly bytesPerSecond?: number;
  /** Now and then nothing passes for so many ms, `everyMs` after the connection or the pause before it. */
  readonly pause?: {
    readonly everyMs: readonly [min: number, max: number];
    readonly ms: readonly [min: number, max: number];
  };
}

export const CLEAR: Weather = {};

export const LANE_BYTES_MAX = 64 * 1024;
/** A throttled lane hands on what fits into so many ms at once. */
const SLICE_MS = 20;

interface Chunk {
  bytes: Uint8Array;
  readonly dueMs: number;
}

export class Lane {
  weather: Weather;
  /** Handed on so far. */
  bytes = 0;
  /** Called when it has handed on its first bytes. */
  begun: (() => void) | null = null;
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #random: Random;
  readonly #queue: Chunk[] = [];
  #waiting = 0;
  /** When the last chunk that came may go: none may go before it. */
  #lastDueMs = 0;
  /** When the throttle lets the next byte through. */
  #freeMs = 0;
  /** The source is not read. */
  #held = false;
  /** The sink has not taken what it was given. */
  #full = false;
  #paused = false;
  #ending: "open" | "end" | "reset" | "over" = "open";
  #cut: ((chunk: Uint8Array) => void) | null = null;
  #timer: Timer | null = null;

  constructor(source: Socket, sink: Socket, weather: Weather, random: Random) {
    this.#source = source;
    this.#sink = sink;
    this.weather = weather;
    this.#random = random;
    source.on("data", (bytes: Uint8Array) => this.#take(bytes));
    source.on("end", () => this.#end("end"));
    source.on("error", () => this.#end("reset"));
    source.on("close", () => this.#end("end"));
    sink.on("drain", () => {
      this.#full = false;
      this.run();
    });
  }

  set paused(paused: boolean) {
    this.#paused = paused;
    this.run();
  }

  /** Gives the next chunk that may go to `take` instead of the sink. */
  cut(take: (chunk: Uint8Array) => void): void {
    this.#cut = take;
    this.run();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#ending = "over";
    this.#queue.length = 0;
  }

  /** Hands on all that may go, also after the weather has changed. */
  run(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    while (!this.#paused && !this.#full && this.#queue.length > 0) {
      const waitMs = this.#waitMs(performance.now());
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.run(), waitMs);
        return;
      }
      const bytes = this.#next();
      this.bytes += bytes.length;
      if (this.#cut !== null) {
        const cut = this.#cut;
        this.stop();
        cut(bytes);
        return;
      }
      // Whoever is gone gets nothing; the other side is told when this lane's other direction ends.
      if (!this.#sink.destroyed) this.#full = !this.#sink.write(bytes);
      this.begun?.();
      this.begun = null;
    }
    if (this.#paused || this.#queue.length > 0 || this.#ending === "open" || this.#ending === "over") return;
    if (this.#ending === "reset") this.#sink.destroy();
    else this.#sink.end();
    this.#ending = "over";
  }

  #take(bytes: Uint8Array): void {
    if (this.#ending === "over") return;
    const { delayMs } = this.weather;
    const delay = delayMs === undefined ? 0 : delayMs[0] + this.#random.next() * (delayMs[1] - delayMs[0]);
    this.#lastDueMs = Math.max(this.#lastDueMs, performance.now() + delay);
    this.#queue.push({ bytes, dueMs: this.#lastDueMs });
    this.#waiting += bytes.length;
    if (this.#waiting > LANE_BYTES_MAX && !this.#held) {
      this.#held = true;
      this.#source.pause();
    }
    this.run();
  }

  #end(how: "end" | "reset"): void {
    if (this.#ending === "open") this.#ending = how;
    this.run();
  }

  #waitMs(nowMs: number): number {
    const { delayMs, bytesPerSecond } = this.weather;
    const due = delayMs === undefined ? 0 : this.#queue[0]!.dueMs;
    const free = bytesPerSecond === undefined ? 0 : this.#freeMs;
    return Math.max(due, free) - nowMs;
  }

  /** The next bytes: the first chunk, or what of it the throttle lets through at once. */
  #next(): Uint8Array {
    const head = this.#queue[0]!;
    const { bytesPerSecond } = this.weather;
    let { bytes } = head;
    if (bytesPerSecond !== undefined) {
      bytes = bytes.subarray(0, Math.max(1, Math.floor((bytesPerSecond * SLICE_MS) / 1000)));
      // A timer that came late has let time pass for which bytes may go too, one slice of it.
      this.#freeMs = Math.max(this.#freeMs, performance.now() - SLICE_MS) + (bytes.length * 1000) / bytesPerSecond;
    }
    if (bytes.length === head.bytes.length) this.#queue.shift();
    else head.bytes = head.bytes.subarray(bytes.length);
    this.#waiting -= bytes.length;
    if (this.#held && this.#waiting < LANE_BYTES_MAX / 2) {
      this.#held = false;
      this.#source.resume();
    }
    return bytes;
  }
}
