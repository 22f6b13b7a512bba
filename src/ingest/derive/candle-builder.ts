/**
 * Builds the candles of one interval from trades.
 *
 * On the path: trades -> CANDLE BUILDER -> candle stream (klines), 24 h window.
 * Rules: a candle closes on the first trade or clock record at or after its end; time never goes back, so a late trade
 * counts into the current candle. Spans without a trade repeat the previous close with zero volume (as Binance does).
 * A candle that began before `since` (our data's beginning), or met a loss, is partial.
 * Invariants: prices are the source's strings; volumes are exact; the state is the current candle alone.
 * At the limit: of a silence longer than EMPTY_CANDLES_MAX spans only the last EMPTY_CANDLES_MAX empty candles are made.
 */
import { compareDigits, DecimalSum } from "../../channel/decimal.ts";
import type { Interval } from "../../channel/kinds.ts";
import { type Spans, spans } from "../../channel/spans.ts";
import type { Candle } from "../../channel/types.ts";
import type { Fill } from "./fill.ts";

export const EMPTY_CANDLES_MAX = 500;

const NONE: readonly Candle[] = [];

export class CandleBuilder {
  readonly #spans: Spans;
  /** NaN until the first trade. */
  #index = Number.NaN;
  #openTime = 0;
  /** First millisecond of the next candle. */
  #end = Number.POSITIVE_INFINITY;
  #open = "0";
  #high = "0";
  #low = "0";
  #close = "0";
  #highNumber = 0;
  #lowNumber = 0;
  readonly #volume = new DecimalSum();
  readonly #quoteVolume = new DecimalSum();
  readonly #takerVolume = new DecimalSum();
  readonly #takerQuoteVolume = new DecimalSum();
  #firstId = -1;
  #lastId = -1;
  #count = 0;
  #partial = false;
  #built: Candle | null = null;

  constructor(interval: Interval) {
    this.#spans = spans(interval);
  }

  /** The candle that is open now; null before the first trade. */
  get current(): Candle | null {
    if (Number.isNaN(this.#index)) return null;
    this.#built ??= this.#build(false);
    return this.#built;
  }

  // What the 24 h window asks for with every trade, without building the candle.
  get open(): string {
    return this.#open;
  }

  get close(): string {
    return this.#close;
  }

  get firstId(): number {
    return this.#firstId;
  }

  get lastId(): number {
    return this.#lastId;
  }

  get count(): number {
    return this.#count;
  }

  /** Time has reached `time`: closes what ended by then. Returns the closed candles, oldest first. */
  advance(time: number, since: number): readonly Candle[] {
    if (time < this.#end || Number.isNaN(this.#index)) return NONE;
    const index = this.#spans.indexOf(time);
    const closed = [this.#build(true)];
    const firstEmpty = Math.max(this.#index + 1, index - EMPTY_CANDLES_MAX);
    for (let empty = firstEmpty; empty < index; empty++) closed.push(this.#buildEmpty(empty, since));
    this.#begin(index, since);
    return closed;
  }

  /** Adds a trade; `advance` to its time comes first. */
  add(fill: Fill, since: number): void {
    const { trade } = fill;
    if (Number.isNaN(this.#index)) this.#begin(this.#spans.indexOf(trade.time), since);
    if (this.#count === 0) {
      this.#open = trade.price;
      this.#setHigh(fill);
      this.#setLow(fill);
      this.#firstId = trade.t;
    } else if (isAbove(fill, this.#highNumber, this.#high)) {
      this.#setHigh(fill);
    } else if (isBelow(fill, this.#lowNumber, this.#low)) {
      this.#setLow(fill);
    }
    this.#close = trade.price;
    this.#lastId = trade.t;
    this.#count++;
    this.#volume.add(fill.quantity);
    this.#quoteVolume.add(fill.quote);
    if (trade.side === "buy") {
      this.#takerVolume.add(fill.quantity);
      this.#takerQuoteVolume.add(fill.quote);
    }
    this.#built = null;
  }

  /** Trades may be missing from the current candle. */
  markPartial(): void {
    this.#partial = true;
    this.#built = null;
  }

  /** Goes on from a candle that was `current`. */
  restore(candle: Candle): void {
    this.#index = this.#spans.indexOf(candle.openTime);
    this.#openTime = candle.openTime;
    this.#end = candle.closeTime + 1;
    this.#open = candle.open;
    this.#high = candle.high;
    this.#low = candle.low;
    this.#close = candle.close;
    this.#highNumber = Number(candle.high);
    this.#lowNumber = Number(candle.low);
    this.#volume.set(candle.volume);
    this.#quoteVolume.set(candle.quoteVolume);
    this.#takerVolume.set(candle.takerVolume);
    this.#takerQuoteVolume.set(candle.takerQuoteVolume);
    this.#firstId = candle.firstId;
    this.#lastId = candle.lastId;
    this.#count = candle.count;
    this.#partial = candle.partial;
    this.#built = candle;
  }

  /** Opens a span with the previous close as its only price. */
  #begin(index: number, since: number): void {
    this.#index = index;
    this.#openTime = this.#spans.startOf(index);
    this.#end = this.#spans.startOf(index + 1);
    this.#open = this.#close;
    this.#high = this.#close;
    this.#low = this.#close;
    this.#volume.clear();
    this.#quoteVolume.clear();
    this.#takerVolume.clear();
    this.#takerQuoteVolume.clear();
    this.#firstId = -1;
    this.#lastId = -1;
    this.#count = 0;
    this.#partial = this.#openTime < since;
    this.#built = null;
  }

  #setHigh(fill: Fill): void {
    this.#high = fill.trade.price;
    this.#highNumber = fill.price;
  }

  #setLow(fill: Fill): void {
    this.#low = fill.trade.price;
    this.#lowNumber = fill.price;
  }

  /** The closed candle of a span without a trade. */
  #buildEmpty(index: number, since: number): Candle {
    const openTime = this.#spans.startOf(index);
    const price = this.#close;
    return {
      interval: this.#spans.interval,
      openTime,
      closeTime: this.#spans.startOf(index + 1) - 1,
      open: price,
      high: price,
      low: price,
      close: price,
      volume: "0",
      quoteVolume: "0",
      takerVolume: "0",
      takerQuoteVolume: "0",
      firstId: -1,
      lastId: -1,
      count: 0,
      closed: true,
      partial: openTime < since,
    };
  }

  #build(closed: boolean): Candle {
    return {
      interval: this.#spans.interval,
      openTime: this.#openTime,
      closeTime: this.#end - 1,
      open: this.#open,
      high: this.#high,
      low: this.#low,
      close: this.#close,
      volume: this.#volume.text,
      quoteVolume: this.#quoteVolume.text,
      takerVolume: this.#takerVolume.text,
      takerQuoteVolume: this.#takerQuoteVolume.text,
      firstId: this.#firstId,
      lastId: this.#lastId,
      count: this.#count,
      closed,
      partial: this.#partial,
    };
  }
}

/** Whether a trade is above a price, given as double and as text. */
export const isAbove = (fill: Fill, number: number, text: string): boolean =>
  fill.price > number ||
  (fill.price === number && fill.trade.price !== text && compareDigits(fill.trade.price, text) > 0);

export const isBelow = (fill: Fill, number: number, text: string): boolean =>
  fill.price < number ||
  (fill.price === number && fill.trade.price !== text && compareDigits(fill.trade.price, text) < 0);
