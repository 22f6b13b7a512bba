import { expect, test } from "bun:test";
import fc from "fast-check";
import { add, compare, parseDecimal, times, toText } from "../../channel/decimal.ts";
import type { Trade } from "../../channel/types.ts";
import { trade } from "../testing/rig.ts";
import { DayWindow } from "./day-window.ts";
import { fillOf } from "./fill.ts";

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const START = 28_800 * MINUTE;

function give(window: DayWindow, one: Trade, since = 0): void {
  window.advance(one.time, since);
  window.add(fillOf(one), since);
}

const trimmed = (text: string): string => toText(parseDecimal(text));

test("day window - equals a look at all trades of the window's minutes", () => {
  const steps = fc.array(
    fc.record({
      afterMs: fc.oneof(fc.integer({ min: 0, max: 90_000 }), fc.integer({ min: 0, max: DAY / 2 })),
      price: fc.integer({ min: 1, max: 500 }).map((n) => (n / 10).toFixed(2)),
      quantity: fc.integer({ min: 1, max: 300 }).map((n) => (n / 100).toFixed(3)),
    }),
    { minLength: 1, maxLength: 40 },
  );
  fc.assert(
    fc.property(steps, (list) => {
      let window = new DayWindow();
      const all: Trade[] = [];
      let time = START;
      for (const [index, { afterMs, price, quantity }] of list.entries()) {
        time += afterMs;
        const one = trade(time, price, quantity, { t: index });
        all.push(one);
        give(window, one);
        // Saving and restoring on the way changes nothing.
        if (index % 7 === 3) {
          const restored = new DayWindow();
          restored.restore(JSON.parse(JSON.stringify(window.save())));
          window = restored;
        }
        const start = (Math.floor(time / MINUTE) - 1439) * MINUTE;
        const inside = all.filter((other) => other.time >= start);
        const ticker = window.ticker();
        const prices = inside.map((other) => other.price).toSorted(compare);
        expect(ticker).toMatchObject({
          open: inside[0]!.price,
          close: price,
          volume: trimmed(inside.reduce((sum, other) => add(sum, other.quantity), "0")),
          quoteVolume: trimmed(inside.reduce((sum, other) => add(sum, times(other.price, other.quantity)), "0")),
          lastQuantity: quantity,
          firstId: inside[0]!.t,
          lastId: index,
          count: inside.length,
          openTime: start,
          closeTime: time,
        });
        expect(compare(ticker.high, prices.at(-1)!)).toBe(0);
        expect(compare(ticker.low, prices[0]!)).toBe(0);
        expect(ticker.previousClose).toBe(all[all.length - inside.length - 1]?.price ?? ticker.open);
      }
    }),
    { numRuns: 60 },
  );
});

test("day window - change, percent and average", () => {
  const window = new DayWindow();
  give(window, trade(START, "2700.00", "1"));
  give(window, trade(START + 1, "2750.84", "2"));
  expect(window.ticker()).toMatchObject({
    change: "50.84",
    changePercent: "1.883",
    weightedAverage: "2733.89333333",
    previousClose: "2700.00",
  });
  expect(window.miniTicker()).not.toHaveProperty("change");
});

test("day window - after a day without trades it shows the last price and nothing else", () => {
  const window = new DayWindow();
  give(window, trade(START, "10", "1", { t: 5 }));
  give(window, trade(START + 1, "12", "1", { t: 6 }));
  expect(window.advance(START + DAY - 1, 0)).toBe(false);
  expect(window.advance(START + DAY, 0)).toBe(true);
  expect(window.ticker()).toMatchObject({
    open: "12",
    high: "12",
    low: "12",
    close: "12",
    volume: "0",
    quoteVolume: "0",
    change: "0",
    changePercent: "0.000",
    weightedAverage: "12",
    previousClose: "12",
    firstId: -1,
    lastId: -1,
    count: 0,
  });
});

test("day window - partial until what we missed has left it", () => {
  const window = new DayWindow();
  const since = START + 5;
  give(window, trade(since, "10", "1"), since);
  expect(window.miniTicker().partial).toBe(true);
  give(window, trade(START + DAY - MINUTE, "10", "1"), since);
  expect(window.miniTicker().partial).toBe(true);
  give(window, trade(START + DAY, "10", "1"), since);
  expect(window.miniTicker().partial).toBe(false);
  window.markPartial();
  expect(window.miniTicker().partial).toBe(true);
});
