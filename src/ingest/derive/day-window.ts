/**
 * The rolling window of 24 hours behind ticker and miniTicker, in buckets of one minute.
 *
 * On the path: trades -> DAY WINDOW -> ticker streams.
 * Precision: the window is the current minute and the 1,439 whole minutes before it, so it begins on a whole minute and
 * holds between 23 h 59 min and 24 h. All values over it are exact. It moves on with the first trade or clock record of
 * a new minute.
 * Invariants: sums equal those of the minutes kept; minutes are finished candles and never change.
 * At the limit: 1,440 minutes, whatever the number of trades.
 */
import { compare, type Decimal, DecimalSum, multiply, parseDecimal, ratio, subtract } from "../../channel/decimal.ts";
import { MINUTE_MS } from "../../channel/spans.ts";
import type { Candle, MiniTicker, Ticker } from "../../channel/types.ts";
import { CandleBuilder, isAbove, isBelow } from "./candle-builder.ts";
import type { Fill } from "./fill.ts";

const MINUTES = 1440;
const PERCENT_SCALE = 3;
const AVERAGE_SCALE = 8;
const HUNDRED: Decimal = { units: 100, scale: 0 };
const NO_PERCENT = "0.000";

/** All there is to know of a window: plain JSON. */
export interface SavedWindow {
  readonly minutes: readonly Candle[];
  readonly current: Candle;
  readonly time: number;
  readonly previousClose: string | null;
  readonly lastQuantity: string;
  readonly partial: boolean;
}

export class DayWindow {
  /** The current minute. */
  readonly #builder = new CandleBuilder("1m");
  /** Finished minutes with trades, oldest first. */
  #minutes: Candle[] = [];
  readonly #volume = new DecimalSum();
  readonly #quoteVolume = new DecimalSum();
  #count = 0;
  #high = "0";
  #low = "0";
  #highNumber = 0;
  #lowNumber = 0;
  #time = 0;
  #previousClose: string | null = null;
  #lastQuantity = "0";
  #partial = false;
  #mini: MiniTicker | null = null;

  /** True until the first trade. */
  get empty(): boolean {
    return this.#time === 0;
  }

  /** Time has reached `time`; true if trades left the window. */
  advance(time: number, since: number): boolean {
    for (const minute of this.#builder.advance(time, since)) if (minute.count > 0) this.#minutes.push(minute);
    const start = startOf(time);
    let left = 0;
    let extremeLeft = false;
    while ((this.#minutes[left]?.openTime ?? Number.POSITIVE_INFINITY) < start) {
      const minute = this.#minutes[left++]!;
      extremeLeft ||= Number(minute.high) === this.#highNumber || Number(minute.low) === this.#lowNumber;
      this.#forget(minute);
    }
    if (left === 0) return false;
    this.#minutes.splice(0, left);
    if (extremeLeft) this.#findExtremes();
    this.#touch(time, since);
    return true;
  }

  /** Adds a trade; `advance` to its time comes first. */
  add(fill: Fill, since: number): void {
    this.#builder.add(fill, since);
    this.#volume.add(fill.quantity);
    this.#quoteVolume.add(fill.quote);
    this.#lastQuantity = fill.trade.quantity;
    if (this.#count === 0 || isAbove(fill, this.#highNumber, this.#high)) this.#setHigh(fill.trade.price);
    if (this.#count === 0 || isBelow(fill, this.#lowNumber, this.#low)) this.#setLow(fill.trade.price);
    this.#count++;
    this.#touch(fill.trade.time, since);
  }

  /** Trades may be missing; `since` tells until when (see #touch). */
  markPartial(): void {
    this.#partial = true;
    this.#mini = null;
  }

  /** The 24 h values as of the last change. */
  miniTicker(): MiniTicker {
    this.#mini ??= this.#build();
    return this.#mini;
  }

  ticker(): Ticker {
    const mini = this.miniTicker();
    const open = parseDecimal(mini.open);
    const change = subtract(mini.close, mini.open);
    const volume = this.#volume.value;
    const first = this.#minutes[0] ?? this.#builder;
    const last = this.#builder.count > 0 ? this.#builder : this.#minutes.at(-1);
    return {
      ...mini,
      change,
      changePercent:
        open.units === 0 ? NO_PERCENT : ratio(multiply(parseDecimal(change), HUNDRED), open, PERCENT_SCALE),
      weightedAverage: volume.units === 0 ? mini.close : ratio(this.#quoteVolume.value, volume, AVERAGE_SCALE),
      previousClose: this.#previousClose ?? mini.open,
      lastQuantity: this.#lastQuantity,
      firstId: first.firstId,
      lastId: last?.lastId ?? -1,
      count: this.#count,
    };
  }

  save(): SavedWindow | null {
    const current = this.#builder.current;
    if (current === null) return null;
    return {
      minutes: this.#minutes.slice(),
      current,
      time: this.#time,
      previousClose: this.#previousClose,
      lastQuantity: this.#lastQuantity,
      partial: this.#partial,
    };
  }

  restore(saved: SavedWindow): void {
    this.#minutes = saved.minutes.slice();
    this.#builder.restore(saved.current);
    for (const minute of [...this.#minutes, saved.current]) {
      this.#volume.add(parseDecimal(minute.volume));
      this.#quoteVolume.add(parseDecimal(minute.quoteVolume));
      this.#count += minute.count;
    }
    this.#time = saved.time;
    this.#previousClose = saved.previousClose;
    this.#lastQuantity = saved.lastQuantity;
    this.#partial = saved.partial;
    this.#findExtremes();
  }

  #touch(time: number, since: number): void {
    this.#time = Math.max(this.#time, time);
    // A loss moves `since` to the first data after it, so the window stays partial until the loss has left it.
    this.#partial = startOf(this.#time) < since;
    this.#mini = null;
  }

  #forget(minute: Candle): void {
    this.#volume.subtract(parseDecimal(minute.volume));
    this.#quoteVolume.subtract(parseDecimal(minute.quoteVolume));
    this.#count -= minute.count;
    this.#previousClose = minute.close;
  }

  #findExtremes(): void {
    const current = this.#builder.current;
    const minutes = current !== null && current.count > 0 ? [...this.#minutes, current] : this.#minutes;
    const first = minutes[0];
    if (first === undefined) return;
    let { high, low } = first;
    for (const minute of minutes) {
      if (compare(minute.high, high) > 0) high = minute.high;
      if (compare(minute.low, low) < 0) low = minute.low;
    }
    this.#setHigh(high);
    this.#setLow(low);
  }

  #setHigh(price: string): void {
    this.#high = price;
    this.#highNumber = Number(price);
  }

  #setLow(price: string): void {
    this.#low = price;
    this.#lowNumber = Number(price);
  }

  /** A window without a trade shows the last price everywhere. */
  #build(): MiniTicker {
    const { open, close } = this.#builder;
    const isEmpty = this.#count === 0;
    return {
      open: this.#minutes[0]?.open ?? open,
      high: isEmpty ? close : this.#high,
      low: isEmpty ? close : this.#low,
      close,
      volume: this.#volume.text,
      quoteVolume: this.#quoteVolume.text,
      openTime: startOf(this.#time),
      closeTime: this.#time,
      partial: this.#partial,
    };
  }
}

/** First millisecond of the window that holds `time`. */
const startOf = (time: number): number => (Math.floor(time / MINUTE_MS) - (MINUTES - 1)) * MINUTE_MS;
