/**
 * The simulated exchange as a source: one market is one shard. A record's value is `readonly Update[]`.
 *
 * On the path: sim/exchange.ts -> SOURCE -> pipeline.
 * First seeded history, then a snapshot of each book, then live: the updates due by the clock, in turns of at most
 * `maxTurnMs` of work, so that the thread stays responsive. What a turn gives depends on the clock alone, never on how
 * fast the machine is, unless it falls behind.
 * At the limit: what was due more than `CATCH_UP_MAX_MS` ago is not made up for; the rate is then lower than asked.
 */
import { Exchange } from "../../sim/exchange.ts";
import { instrumentOf, type SimMarket, symbolsOf } from "../../sim/symbols.ts";
import type { Instrument } from "../channel/instruments.ts";
import { channelName } from "../channel/name.ts";
import type { Update } from "../channel/types.ts";
import { type Clock, wallMs } from "../lib/clock.ts";
import { GatewayError } from "../lib/errors.ts";
import type { Offset, RecordSink, Source, SourceState, SourceStatus } from "./source.ts";
import { sleep, turn, untilReady } from "./wait.ts";

export type { SimMarket } from "../../sim/symbols.ts";

export interface SimOptions {
  readonly market: SimMarket;
  /** An integer; equal seeds give equal markets. */
  readonly seed: number;
  /** Updates per second, 1 to 100,000; default 200. */
  readonly rate?: number;
  /** Default 25; 0 for none. */
  readonly historyHours?: number;
  readonly clock: Clock;
  /** Default: all that `simInstruments` names. */
  readonly symbols?: readonly string[];
  /** Canonical name of a channel; default: no prefix for spot, `<market>:` for others. */
  readonly channelName?: (market: string, symbol: string, stream: string) => string;
  /** Work per turn of the event loop; default 4. */
  readonly maxTurnMs?: number;
}

export const SIM_RATE_MAX = 100_000;
export const SIM_RATE_DEFAULT = 200;

const HOUR_MS = 3_600_000;
const CATCH_UP_MAX_MS = 1000;
/** A wall clock this far ahead of the simulation (a laptop that slept) is followed by a jump. */
const JUMP_MS = 2000;
/** Records between two looks at the clock within a turn. */
const RECORDS_PER_LOOK = 16;
/** Marks of all symbols together take at most this share of the rate. */
const MARK_SHARE_MAX = 0.2;
const MARK_MS = 1000;
const EPOCH_2024_MS = 1_704_067_200_000;

export function simInstruments(market: SimMarket): Instrument[] {
  return symbolsOf(market).map(instrumentOf);
}

export function createSim(options: SimOptions): Source {
  return new SimSource(options);
}

const defaultName = (market: string, symbol: string, stream: string): string =>
  channelName(market, symbol, stream, "spot");

class SimSource implements Source {
  readonly name = "sim";
  readonly replayable = false;
  readonly #options: SimOptions;
  readonly #clock: Clock;
  readonly #rate: number;
  readonly #historyMs: number;
  readonly #maxTurnMs: number;
  #state: SourceState = { name: "idle" };
  #records = 0;
  #newestMs: number | null = null;
  readonly #wanted = new Set<string>();

  constructor(options: SimOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#rate = numberIn("rate", options.rate ?? SIM_RATE_DEFAULT, 1, SIM_RATE_MAX);
    this.#historyMs = numberIn("historyHours", options.historyHours ?? 25, 0, 1000) * HOUR_MS;
    this.#maxTurnMs = numberIn("maxTurnMs", options.maxTurnMs ?? 4, 0.1, 1000);
    symbolsOf(options.market, options.symbols);
  }

  async run(sink: RecordSink, from: Offset | null, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const run = new Run(this.#clock, sink, from, signal, (timeMs) => {
      this.#records++;
      this.#newestMs = timeMs;
    });
    this.#state = { name: "connecting", attempt: 0, retryAt: 0, error: "" };
    this.#newestMs = null;
    try {
      const startMs = wallMs(this.#clock);
      const exchange = this.#exchangeAt(startMs);
      await this.#past(exchange, run, startMs);
      this.#state = { name: "connected" };
      if (!run.aborted) await this.#live(exchange, run);
    } finally {
      this.#state = { name: "idle" };
    }
  }

  resync(channel: string): void {
    this.#wanted.add(channel);
  }

  status(): SourceStatus {
    const lagMs = this.#newestMs === null ? null : Math.max(0, wallMs(this.#clock) - this.#newestMs);
    return { state: this.#state, lagMs, records: this.#records, reconnects: 0 };
  }

  #exchangeAt(startMs: number): Exchange {
    const { market, seed, symbols } = this.#options;
    const count = symbolsOf(market, symbols).length;
    return new Exchange({
      market,
      seed,
      ...(symbols ? { symbols } : {}),
      startMs,
      // Ids rise from run to run: no symbol trades 100 times a millisecond, no market takes 200 orders in one.
      // Below 10^14 until 2055 and 2039.
      firstTradeId: (startMs - EPOCH_2024_MS) * 100,
      firstOrderId: (startMs - EPOCH_2024_MS) * 200,
      channelName: this.#options.channelName ?? defaultName,
      markEveryMs: Math.max(MARK_MS, (count * 1000) / (this.#rate * MARK_SHARE_MAX)),
    });
  }

  async #past(exchange: Exchange, run: Run, startMs: number): Promise<void> {
    if (this.#historyMs === 0) return;
    const records = exchange.history(startMs - this.#historyMs, startMs);
    for (let next = records.next(); !next.done; ) {
      await run.ready();
      if (run.aborted) return;
      const endMs = this.#clock.monotonicMs() + this.#maxTurnMs;
      do {
        for (let i = 0; i < RECORDS_PER_LOOK && !next.done; i++) {
          run.hand(next.value, next.value[0]!.time);
          next = records.next();
        }
      } while (!next.done && !run.over(endMs));
      await turn();
    }
  }

  async #live(exchange: Exchange, run: Run): Promise<void> {
    const pace = new Pace(this.#clock, this.#rate);
    for (const snapshot of exchange.open(pace.timeMs)) run.hand([snapshot], pace.timeMs);
    for (;;) {
      await run.ready();
      if (run.aborted) return;
      pace.look();
      this.#answerResyncs(exchange, run, pace.timeMs);
      const endMs = this.#clock.monotonicMs() + this.#maxTurnMs;
      let over = false;
      for (let i = 1; pace.due && !over; i++) {
        const timeMs = pace.timeMs;
        const updates = exchange.step(timeMs);
        if (updates.length > 0) run.hand(updates, timeMs);
        // A step that changed nothing counts as one, so that time goes on.
        pace.spend(Math.max(1, updates.length));
        over = i % RECORDS_PER_LOOK === 0 && run.over(endMs);
      }
      if (over) await turn();
      else await run.sleep(pace.waitMs);
    }
  }

  #answerResyncs(exchange: Exchange, run: Run, timeMs: number): void {
    for (const channel of this.#wanted) {
      const snapshot = exchange.snapshot(channel, timeMs);
      if (snapshot !== null) run.hand([snapshot], timeMs);
    }
    this.#wanted.clear();
  }
}

/** When the next update is due: a monotonic clock paces, the wall clock dates. Times never fall. */
class Pace {
  readonly #clock: Clock;
  readonly #stepMs: number;
  /** Monotonic time at which the next update is due. */
  #nextMs: number;
  #nowMs: number;
  /** Wall minus monotonic. */
  #offsetMs: number;

  constructor(clock: Clock, rate: number) {
    this.#clock = clock;
    this.#stepMs = 1000 / rate;
    this.#nowMs = clock.monotonicMs();
    this.#nextMs = this.#nowMs;
    this.#offsetMs = clock.wallUs() / 1000 - this.#nowMs;
  }

  /** The source's time of the next update, ms. */
  get timeMs(): number {
    return this.#nextMs + this.#offsetMs;
  }

  get due(): boolean {
    return this.#nextMs <= this.#nowMs;
  }

  get waitMs(): number {
    return this.#nextMs - this.#nowMs;
  }

  look(): void {
    this.#nowMs = this.#clock.monotonicMs();
    this.#nextMs = Math.max(this.#nextMs, this.#nowMs - CATCH_UP_MAX_MS);
    const aheadMs = this.#clock.wallUs() / 1000 - this.#nowMs - this.#offsetMs;
    if (aheadMs > JUMP_MS) this.#offsetMs += aheadMs;
  }

  spend(updates: number): void {
    this.#nextMs += updates * this.#stepMs;
  }
}

/** One call of `run`: numbers the records behind `from` and knows when to stop a turn. */
class Run {
  readonly #clock: Clock;
  readonly #sink: RecordSink;
  readonly #signal: AbortSignal;
  readonly #handed: (timeMs: number) => void;
  #offset: Offset;

  constructor(
    clock: Clock,
    sink: RecordSink,
    from: Offset | null,
    signal: AbortSignal,
    handed: (timeMs: number) => void,
  ) {
    this.#clock = clock;
    this.#sink = sink;
    this.#offset = from ?? -1;
    this.#signal = signal;
    this.#handed = handed;
  }

  get aborted(): boolean {
    return this.#signal.aborted;
  }

  /** The turn is over: it took its time, the sink is full or the run was aborted. */
  over(endMs: number): boolean {
    return this.aborted || this.#clock.monotonicMs() >= endMs || this.#sink.busy() !== null;
  }

  hand(value: readonly Update[], timeMs: number): void {
    this.#offset++;
    this.#sink.accept({ type: "data", offset: this.#offset, receivedUs: this.#clock.wallUs(), value });
    this.#handed(timeMs);
  }

  ready(): Promise<void> {
    return untilReady(this.#sink, this.#signal);
  }

  sleep(ms: number): Promise<void> {
    return sleep(this.#clock, ms, this.#signal);
  }
}

function numberIn(name: string, value: number, min: number, max: number): number {
  if (value >= min && value <= max) return value;
  throw new GatewayError("BAD_OPTION", `sim ${name} must be from ${min} to ${max}, not ${value}`);
}
