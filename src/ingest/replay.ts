/**
 * Source `replay`: a recorded feed, handed on at its own pace, N times faster, or as fast as it goes; once or looping.
 *
 * On the path: REPLAY -> pipeline. The record's value is the text as it was received; the venue's mapper understands it.
 * Invariants: the same file gives the same records with the same offsets, from 0; a reconnect inside the recording is a
 * `lost` record; a malformed line is handed on as data, so that the pipeline counts it with all others.
 * At the limit: a busy sink stops the reading; afterwards everything that is due by then is handed on.
 */
import type { Clock } from "../lib/clock.ts";
import { GatewayError } from "../lib/errors.ts";
import { type Line, parseLine, readLines } from "./replay-file.ts";
import type { Offset, RecordSink, Source, SourceState, SourceStatus } from "./source.ts";
import { sleep, turn, untilReady } from "./wait.ts";

export interface ReplayOptions {
  readonly path: string;
  /** 1 is the recorded pace, N is N times faster, Infinity as fast as the sink takes it. */
  readonly speed: number;
  /** At the end begin again, with a new epoch. */
  readonly loop: boolean;
  /** The recording holds the snapshots that were asked for when it was made. */
  readonly repairs?: boolean;
  readonly clock: Clock;
}

/** Records handed on before the event loop gets its turn and the sink is asked again. */
const BATCH = 256;

export function createReplay(options: ReplayOptions): Source {
  if (!(options.speed > 0)) {
    throw new GatewayError(
      "REPLAY_SPEED",
      `replay speed ${options.speed} is not above 0: give 1, a factor, or Infinity`,
    );
  }
  return new Replay(options);
}

class Replay implements Source {
  readonly name = "replay";
  readonly replayable = true;
  readonly repairs: boolean;
  readonly #options: ReplayOptions;
  #state: SourceState = { name: "idle" };
  #lagMs: number | null = null;
  #records = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.repairs = options.repairs ?? false;
  }

  status(): SourceStatus {
    return { state: this.#state, lagMs: this.#lagMs, records: this.#records, reconnects: 0 };
  }

  async run(sink: RecordSink, from: Offset | null, signal: AbortSignal): Promise<void> {
    try {
      let first = from === null ? 0 : from + 1;
      while (!signal.aborted) {
        const count = await this.#pass(sink, first, signal);
        if (signal.aborted) break;
        if (count === 0)
          throw new GatewayError("REPLAY_FORMAT", `${this.#options.path} holds no record: give another file`);
        if (!this.#options.loop) {
          if (count < first) throw endedBefore(this.#options.path, count, first);
          this.#state = { name: "ended" };
          return;
        }
        sink.accept({ type: "epoch", offset: Math.max(count, first), receivedUs: this.#options.clock.wallUs() });
        first = 0;
      }
      this.#state = { name: "idle" };
    } catch (error) {
      this.#state = { name: "failed", reason: error instanceof Error ? error.message : String(error) };
      throw error;
    }
  }

  /** Once through the file: hands on every record from offset `first` on; returns how many the file holds (all passed). */
  async #pass(sink: RecordSink, first: Offset, signal: AbortSignal): Promise<number> {
    const { path, speed, clock } = this.#options;
    let offset = 0;
    let batch = 0;
    let receivedUs = 0;
    /** Recorded time and monotonic time of the first record handed on; both in ms. */
    let recordedStart = Number.NaN;
    let start = 0;
    for await (const lines of readLines(path)) {
      this.#state = { name: "connected" };
      for (const text of lines) {
        const line = parseLine(text);
        if (!isRecord(line, offset)) continue;
        if (offset++ < first) continue;

        if (speed !== Number.POSITIVE_INFINITY && line.type === "record" && line.timeMs !== null) {
          if (Number.isNaN(recordedStart)) {
            recordedStart = line.timeMs;
            start = clock.monotonicMs();
          }
          const due = start + (line.timeMs - recordedStart) / speed;
          for (let wait = due - clock.monotonicMs(); wait > 0 && !signal.aborted; wait = due - clock.monotonicMs()) {
            await sleep(clock, wait, signal);
            batch = 0;
          }
          this.#lagMs = Math.max(0, clock.monotonicMs() - due);
        }
        if (batch === 0) {
          await untilReady(sink, signal);
          receivedUs = clock.wallUs();
        }
        if (signal.aborted) return offset;

        this.#records++;
        const at = offset - 1;
        sink.accept(
          line.type === "record"
            ? { type: "data", offset: at, receivedUs, value: line.text }
            : { type: "lost", offset: at, receivedUs },
        );
        if (++batch === BATCH) {
          await turn();
          batch = 0;
        }
      }
      if (signal.aborted) return offset;
    }
    return offset;
  }
}

/** Data, or a connection made after data: the recorder lost its first one and what came meanwhile. */
function isRecord(line: Line, offset: Offset): boolean {
  return line.type === "record" || (line.type === "connection" && offset > 0);
}

function endedBefore(path: string, count: number, first: Offset): GatewayError {
  return new GatewayError(
    "REPLAY_OFFSET",
    `${path} holds ${count} records but is to go on at ${first}: it is not the file the checkpoint was made from, drop one`,
  );
}
