/**
 * A sliding window of candles, always folded into one: two merges a candle on average, however long the window is.
 *
 * Part of the engine's made channels (rolling tickers, averages). The older half is a stack of merges that end where the
 * newer half begins, the oldest on top: dropping the oldest is a pop, and the two halves together are one merge.
 */
import { mergeCandles } from "./candle-fold.ts";
import type { Candle } from "./types.ts";

export class CandleWindow {
  /** Each is its candle and all newer ones of this half; the oldest is the last. */
  #older: Candle[] = [];
  /** Oldest first. */
  #newer: Candle[] = [];
  /** The newer half as one. */
  #newerWhole: Candle | null = null;

  /** All candles as one; null if there are none. */
  get whole(): Candle | null {
    const older = this.#older.at(-1);
    if (older === undefined) return this.#newerWhole;
    return this.#newerWhole === null ? older : mergeCandles(older, this.#newerWhole);
  }

  clear(): void {
    this.#older = [];
    this.#newer = [];
    this.#newerWhole = null;
  }

  /** Behind all others. */
  push(candle: Candle): void {
    this.#newer.push(candle);
    this.#newerWhole = this.#newerWhole === null ? candle : mergeCandles(this.#newerWhole, candle);
  }

  /** Drops the candles that began before `openTime`. */
  dropBefore(openTime: number): void {
    for (;;) {
      if (this.#older.length === 0) this.#turn();
      const oldest = this.#older.at(-1);
      if (oldest === undefined || oldest.openTime >= openTime) return;
      this.#older.pop();
    }
  }

  /** Makes the newer half the older one. */
  #turn(): void {
    let whole: Candle | null = null;
    for (const candle of this.#newer.reverse()) {
      whole = whole === null ? candle : mergeCandles(candle, whole);
      this.#older.push(whole);
    }
    this.#newer = [];
    this.#newerWhole = null;
  }
}
