import { expect, test } from "bun:test";
import fc from "fast-check";
import { foldCandles } from "./candle-fold.ts";
import { CandleWindow } from "./candle-window.ts";
import type { Candle } from "./types.ts";

const MINUTE = 60_000;

/** Reading its interval is what a merge does once. */
function candle(minute: number, price: number, lots: number, onMerge: () => void = () => undefined): Candle {
  const openTime = minute * MINUTE;
  const text = price.toFixed(2);
  const volume = (lots / 1000).toFixed(3);
  return {
    get interval() {
      onMerge();
      return "1m" as const;
    },
    openTime,
    closeTime: openTime + MINUTE - 1,
    open: text,
    high: (price + lots / 100).toFixed(2),
    low: (price - lots / 100).toFixed(2),
    close: text,
    volume,
    quoteVolume: volume,
    takerVolume: "0",
    takerQuoteVolume: "0",
    firstId: lots === 0 ? -1 : minute * 10,
    lastId: lots === 0 ? -1 : minute * 10 + 9,
    count: lots,
    closed: true,
    partial: lots % 7 === 1,
  };
}

test("candle window - is the fold of the candles in it", () => {
  const steps = fc.array(
    fc.record({
      gap: fc.integer({ min: 1, max: 4 }),
      price: fc.integer({ min: 50, max: 150 }),
      lots: fc.integer({ min: 0, max: 40 }),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 20 }), (all, length) => {
      const window = new CandleWindow();
      let kept: Candle[] = [];
      let minute = 0;
      for (const { gap, price, lots } of all) {
        minute += gap;
        const one = candle(minute, price, lots);
        const start = (minute - length) * MINUTE;
        window.push(one);
        window.dropBefore(start);
        kept = [...kept, one].filter(({ openTime }) => openTime >= start);
        expect(window.whole).toEqual(foldCandles(kept));
      }
      window.clear();
      expect(window.whole).toBeNull();
    }),
  );
});

test("candle window - costs a few merges a candle, not one for each in the window", () => {
  let merges = 0;
  const window = new CandleWindow();
  for (let minute = 0; minute < 2000; minute++) {
    window.push(candle(minute, 100, 1, () => merges++));
    window.dropBefore((minute - 500) * MINUTE);
    expect(window.whole?.count).toBe(Math.min(minute + 1, 501));
  }
  expect(merges).toBeLessThan(2000 * 4);
});
