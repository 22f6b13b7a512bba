/**
 * Source `synthetic`: `json` channels `c0`, `c1`, ... at an exact rate with frames of an exact size, for benchmarks.
 *
 * On the path: SYNTHETIC -> pipeline (mapper `typed`: a record's value is the updates themselves).
 * Ticks come from the clock, never from the tick before: tick k is due at start + k / ticksPerSecond, and a late turn
 * hands on everything that is due, so exactly rate x seconds x channels updates are offered.
 * Invariants: a record holds at most one update per channel; `data.ts` is the wall clock in microseconds when the record
 * is handed on, so that a client measures the whole way.
 * At the limit: a busy sink stops it; what fell due meanwhile is handed on afterwards.
 */
import type { JsonText, Update } from "../channel/types.ts";
import type { Clock } from "../lib/clock.ts";
import { assert, GatewayError } from "../lib/errors.ts";
import type { Offset, RecordSink, Source, SourceState, SourceStatus } from "./source.ts";
import { frameBytes, seqDigits } from "./synthetic-frame.ts";
import { sleep, turn, untilReady } from "./wait.ts";

export interface SyntheticShape {
  readonly channels: number;
  /** Updates per second and channel. */
  readonly rate: number;
  /** Bytes of one frame on the native wire. */
  readonly size: number;
  /** Each channel has instants of its own, evenly spread; otherwise one record holds an update of every channel. */
  readonly spread: boolean;
}

export interface SyntheticOptions extends SyntheticShape {
  readonly clock: Clock;
}

/** Updates handed on before the event loop gets its turn and the sink is asked again. */
const BATCH_UPDATES = 1024;

export const syntheticChannels = (count: number): string[] => Array.from({ length: count }, (_, index) => `c${index}`);

/** Throws GatewayError if no frame of `size` bytes can be made. */
export function createSynthetic(options: SyntheticOptions): Source {
  const names = syntheticChannels(options.channels);
  assert(names.length > 0, "a synthetic source has a channel");
  const digits = seqDigits(options.clock.wallUs());
  const padOf = (name: string): number => options.size - frameBytes(name, digits);
  const longest = names.at(-1)!;
  if (padOf(longest) < 0) {
    throw new GatewayError(
      "SYNTHETIC",
      `synthetic: size=${options.size} is below the smallest frame: give at least ${frameBytes(longest, digits)}`,
    );
  }
  const pads = new Map(names.map((name) => [name.length, "x".repeat(padOf(name))]));
  return new Synthetic(options, names, pads);
}

class Synthetic implements Source {
  readonly name = "synthetic";
  readonly replayable = false;
  readonly #options: SyntheticOptions;
  readonly #names: readonly string[];
  /** Padding by the length of the channel's name. */
  readonly #pads: ReadonlyMap<number, string>;
  #state: SourceState = { name: "idle" };
  #lagMs: number | null = null;
  #records = 0;

  constructor(options: SyntheticOptions, names: readonly string[], pads: ReadonlyMap<number, string>) {
    this.#options = options;
    this.#names = names;
    this.#pads = pads;
  }

  status(): SourceStatus {
    return { state: this.#state, lagMs: this.#lagMs, records: this.#records, reconnects: 0 };
  }

  async run(sink: RecordSink, from: Offset | null, signal: AbortSignal): Promise<void> {
    const { clock, rate, spread } = this.#options;
    const ticksPerMs = (spread ? rate * this.#names.length : rate) / 1000;
    const ticksPerTurn = spread ? BATCH_UPDATES : Math.max(1, Math.floor(BATCH_UPDATES / this.#names.length));
    const start = clock.monotonicMs();
    let offset = from === null ? 0 : from + 1;
    let ticks = 0;
    this.#state = { name: "connected" };
    while (!signal.aborted) {
      await untilReady(sink, signal);
      if (signal.aborted) break;
      const now = clock.monotonicMs();
      const due = Math.floor((now - start) * ticksPerMs) + 1; // tick 0 is due at once
      const end = Math.min(due, ticks + ticksPerTurn);
      this.#lagMs = Math.max(0, now - (start + ticks / ticksPerMs));
      for (; ticks < end; ticks++) this.#tick(sink, offset++, ticks);

      // A timer is up to 1.2 ms late: above 1,000 ticks/s they go in bursts of a millisecond, and no core is burnt.
      const wait = start + ticks / ticksPerMs - clock.monotonicMs();
      if (wait > 0) await sleep(clock, wait, signal);
      else await turn();
    }
    this.#state = { name: "idle" };
  }

  #tick(sink: RecordSink, offset: Offset, tick: number): void {
    const nowUs = this.#options.clock.wallUs();
    const time = Math.floor(nowUs / 1000);
    let length = 0;
    let data: JsonText = { json: "" };
    const update = (name: string): Update => {
      if (name.length !== length) {
        length = name.length;
        data = { json: `{"ts":${nowUs},"pad":"${this.#pads.get(length)}"}` };
      }
      return { channel: name, kind: "json", user: "", time, type: "value", data };
    };
    const names = this.#names;
    const value = this.#options.spread ? [update(names[tick % names.length]!)] : names.map(update);
    this.#records++;
    sink.accept({ type: "data", offset, receivedUs: nowUs, value });
  }
}
