/**
 * Derived streams: one channel made from an instrument's trades, and the keeper of what the owner keeps of it.
 *
 * On the path: instrument derivation -> STREAM -> pipeline. Building a publication costs more than keeping the state, so
 * `change` is asked only when somebody wants it.
 */
import type { Interval } from "../../channel/kinds.ts";
import type { Body, Candle, Trade } from "../../channel/types.ts";
import type { Keeper } from "../chain.ts";
import { CandlesKeeper, type ItemsKeeper, ValueKeeper } from "../keepers.ts";
import { aggregate } from "./aggregate.ts";
import { CandleBuilder } from "./candle-builder.ts";
import type { DayWindow } from "./day-window.ts";
import type { Fill } from "./fill.ts";

export interface DerivedStream {
  readonly keeper: Keeper;
  /** What the last record changed, to be published. */
  change(): Body;
}

export class CandleStream implements DerivedStream {
  readonly interval: Interval;
  readonly builder: CandleBuilder;
  readonly keeper: CandlesKeeper;
  #closedAt = -1;
  #closed: readonly Candle[] = [];

  constructor(interval: Interval) {
    this.interval = interval;
    const builder = new CandleBuilder(interval);
    this.builder = builder;
    this.keeper = new CandlesKeeper(() => builder.current);
  }

  /** True if a candle closed. */
  advance(time: number, since: number, seq: number): boolean {
    const closed = this.builder.advance(time, since);
    if (closed.length === 0) return false;
    this.keeper.close(seq, closed);
    // The trades of one record may close several times.
    this.#closed = this.#closedAt === seq ? [...this.#closed, ...closed] : closed;
    this.#closedAt = seq;
    return true;
  }

  add(fill: Fill, since: number, seq: number): void {
    this.advance(fill.trade.time, since, seq);
    this.builder.add(fill, since);
    if (this.#closedAt !== seq) this.#closed = NO_CANDLES;
  }

  change(): Body {
    const { current } = this.builder;
    const data = current === null ? this.#closed : [...this.#closed, current];
    return { type: "candles", data };
  }

  /** The current candle is all that a loss changes. */
  markPartial(): void {
    this.builder.markPartial();
    this.#closed = NO_CANDLES;
  }
}

const NO_CANDLES: readonly Candle[] = [];

export class TickerStream implements DerivedStream {
  readonly keeper: ValueKeeper;
  readonly #window: DayWindow;
  readonly #mini: boolean;

  constructor(window: DayWindow, mini: boolean) {
    this.#window = window;
    this.#mini = mini;
    this.keeper = new ValueKeeper(() => this.#value());
  }

  change(): Body {
    return { type: "value", data: this.#value() };
  }

  #value() {
    return this.#mini ? this.#window.miniTicker() : this.#window.ticker();
  }
}

/** Lossless: made for every record, and numbered by the counter that is kept with its history. */
export class AggTradeStream implements DerivedStream {
  readonly keeper: ItemsKeeper;
  #change: Body = { type: "items", data: [] };

  constructor(keeper: ItemsKeeper) {
    this.keeper = keeper;
  }

  take(trades: readonly Trade[]): void {
    const data = aggregate(trades, this.keeper.count(0));
    this.keeper.count(data.length);
    this.#change = { type: "items", data };
  }

  change(): Body {
    return this.#change;
  }
}
