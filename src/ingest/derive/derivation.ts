/**
 * Derivation: aggTrade, candles of all intervals, ticker and miniTicker from a shard's trades, once, by its owner.
 *
 * On the path: pipeline (trades with their numbers) -> DERIVATION -> seq -> bus.
 * Invariants: time moves only by records, so the same records give the same publications; the state is plain JSON and
 * goes on exactly where it was. `since` is the time of the first data after the start or the last loss: what began
 * before it is partial.
 * At the limit: state per instrument with trades is bounded (one candle per interval, 1,440 minutes); instruments are
 * bounded by the catalog.
 */
import type { Channel } from "../../channel/channel.ts";
import { INTERVALS, type Interval } from "../../channel/kinds.ts";
import type { Candle, Kind, Trade } from "../../channel/types.ts";
import type { Chain } from "../chain.ts";
import type { ItemsKeeper } from "../keepers.ts";
import { DayWindow, type SavedWindow } from "./day-window.ts";
import { fillOf } from "./fill.ts";
import { AggTradeStream, CandleStream, type DerivedStream, TickerStream } from "./streams.ts";

export interface SavedInstrument {
  readonly market: string;
  readonly symbol: string;
  readonly candles: Readonly<Partial<Record<Interval, Candle>>>;
  readonly window: SavedWindow | null;
  readonly time: number;
}

export interface SavedDerivation {
  /** Null: no data since the start or the last loss. */
  readonly since: number | null;
  readonly instruments: readonly SavedInstrument[];
}

/** A derived stream with the chain it is published on. */
export interface Derived {
  readonly chain: Chain;
  readonly stream: DerivedStream;
}

/** What derivation needs of the pipeline. */
export interface DerivationPorts {
  /** The chain of a derived channel, kept by `stream.keeper`; null if this shard may not feed it. */
  open(market: string, symbol: string, stream: string, derived: DerivedStream): Chain | null;
  itemsKeeper(market: string, symbol: string): ItemsKeeper;
  /** A trade older than the newest of its instrument: it counts into the current candles. */
  late(): void;
}

const NONE: readonly Derived[] = [];

export class Derivation {
  readonly #kinds: ReadonlySet<Kind>;
  readonly #ports: DerivationPorts;
  /** By the name of the trade channel. */
  readonly #instruments = new Map<string, InstrumentDerivation>();
  #since = Number.POSITIVE_INFINITY;

  /** `kinds`: those to derive; what the source provides is not among them. */
  constructor(kinds: ReadonlySet<Kind>, ports: DerivationPorts) {
    this.#kinds = kinds;
    this.#ports = ports;
  }

  /** Data with this time arrived. */
  seen(time: number): void {
    if (this.#since === Number.POSITIVE_INFINITY) this.#since = time;
  }

  /** The streams that the trades of one record changed. */
  trades(channel: Channel, trades: readonly Trade[], seq: number): readonly Derived[] {
    return this.#instrument(channel.market, channel.symbol).trades(trades, this.#since, seq);
  }

  /** Time has reached `time`: the streams that changed by that. */
  clock(time: number, seq: number): readonly Derived[] {
    const changed: Derived[] = [];
    for (const instrument of this.#instruments.values()) changed.push(...instrument.clock(time, this.#since, seq));
    return changed;
  }

  /** Trades may be missing from now until the next data: everything open is partial. */
  lost(): readonly Derived[] {
    this.#since = Number.POSITIVE_INFINITY;
    return [...this.#instruments.values()].flatMap((instrument) => instrument.lost());
  }

  /** Trades of one instrument are missing: what is open of it is partial. */
  gap(channel: Channel): readonly Derived[] {
    return this.#instrument(channel.market, channel.symbol).lost();
  }

  save(): SavedDerivation {
    return {
      since: this.#since === Number.POSITIVE_INFINITY ? null : this.#since,
      instruments: [...this.#instruments.values()].map((instrument) => instrument.save()),
    };
  }

  restore(saved: SavedDerivation): void {
    this.#since = saved.since ?? Number.POSITIVE_INFINITY;
    for (const one of saved.instruments) this.#instrument(one.market, one.symbol).restore(one);
  }

  #instrument(market: string, symbol: string): InstrumentDerivation {
    const key = `${market}:${symbol}`;
    let instrument = this.#instruments.get(key);
    if (instrument === undefined) {
      instrument = new InstrumentDerivation(market, symbol, this.#kinds, this.#ports);
      this.#instruments.set(key, instrument);
    }
    return instrument;
  }
}

class InstrumentDerivation {
  readonly #market: string;
  readonly #symbol: string;
  readonly #late: () => void;
  readonly #all: Derived[] = [];
  readonly #candles: { readonly derived: Derived; readonly stream: CandleStream }[] = [];
  readonly #tickers: Derived[] = [];
  readonly #aggTrades: AggTradeStream | null = null;
  readonly #window: DayWindow | null = null;
  /** Of the newest trade or clock record. */
  #time = 0;

  constructor(market: string, symbol: string, kinds: ReadonlySet<Kind>, ports: DerivationPorts) {
    this.#market = market;
    this.#symbol = symbol;
    this.#late = ports.late;
    const open = (name: string, stream: DerivedStream): Derived | null => {
      const chain = ports.open(market, symbol, name, stream);
      if (chain === null) return null;
      const derived = { chain, stream };
      this.#all.push(derived);
      return derived;
    };
    if (kinds.has("aggTrade")) {
      const stream = new AggTradeStream(ports.itemsKeeper(market, symbol));
      if (open("aggTrade", stream) !== null) this.#aggTrades = stream;
    }
    if (kinds.has("kline")) {
      for (const interval of INTERVALS) {
        const stream = new CandleStream(interval);
        const derived = open(`kline_${interval}`, stream);
        if (derived !== null) this.#candles.push({ derived, stream });
      }
    }
    if (kinds.has("ticker") || kinds.has("miniTicker")) {
      const window = new DayWindow();
      this.#window = window;
      for (const kind of ["ticker", "miniTicker"] as const) {
        const derived = kinds.has(kind) ? open(kind, new TickerStream(window, kind === "miniTicker")) : null;
        if (derived !== null) this.#tickers.push(derived);
      }
    }
  }

  trades(trades: readonly Trade[], since: number, seq: number): readonly Derived[] {
    this.#aggTrades?.take(trades);
    for (const trade of trades) {
      if (trade.time < this.#time) this.#late();
      else this.#time = trade.time;
      const fill = fillOf(trade);
      for (const { stream } of this.#candles) stream.add(fill, since, seq);
      this.#window?.advance(trade.time, since);
      this.#window?.add(fill, since);
    }
    return this.#all;
  }

  clock(time: number, since: number, seq: number): readonly Derived[] {
    if (time <= this.#time) return NONE;
    this.#time = time;
    const changed: Derived[] = [];
    for (const { stream, derived } of this.#candles) if (stream.advance(time, since, seq)) changed.push(derived);
    if (this.#window !== null && !this.#window.empty && this.#window.advance(time, since)) {
      changed.push(...this.#tickers);
    }
    return changed;
  }

  lost(): readonly Derived[] {
    for (const { stream } of this.#candles) stream.markPartial();
    this.#window?.markPartial();
    return [...this.#candles.map(({ derived }) => derived), ...this.#tickers];
  }

  save(): SavedInstrument {
    const candles: Partial<Record<Interval, Candle>> = {};
    for (const { stream } of this.#candles) {
      const { current } = stream.builder;
      if (current !== null) candles[stream.interval] = current;
    }
    return {
      market: this.#market,
      symbol: this.#symbol,
      candles,
      window: this.#window?.save() ?? null,
      time: this.#time,
    };
  }

  restore(saved: SavedInstrument): void {
    for (const { stream } of this.#candles) {
      const current = saved.candles[stream.interval];
      if (current !== undefined) stream.builder.restore(current);
    }
    if (saved.window !== null) this.#window?.restore(saved.window);
    this.#time = saved.time;
  }
}
