import { expect, test } from "bun:test";
import type { Clock } from "../lib/clock.ts";
import { watchLoopLag } from "./loop-lag.ts";

/** A clock whose one timer fires when the test says so, late or not. */
function lateClock(): Clock & { fireAt(ms: number): void; cancelled: boolean } {
  let now = 0;
  let next: (() => void) | null = null;
  return {
    cancelled: false,
    wallUs: () => now * 1000,
    monotonicMs: () => now,
    after(_, call) {
      next = call;
      return {
        cancel: () => {
          this.cancelled = true;
        },
      };
    },
    fireAt(ms) {
      now = ms;
      next?.();
    },
  };
}

test("loop lag - is how much later than asked a timer ran", () => {
  const clock = lateClock();
  const lag = watchLoopLag(clock);
  clock.fireAt(100);
  expect(lag.worstMs()).toBe(0);
  clock.fireAt(1500);
  expect(lag.worstMs()).toBe(1300);
});

test("loop lag - a stall is remembered for at least 5 s and forgotten after 10", () => {
  const clock = lateClock();
  const lag = watchLoopLag(clock);
  clock.fireAt(2100);
  for (let at = 2200; at <= 7000; at += 100) clock.fireAt(at);
  expect(lag.worstMs()).toBe(2000);
  for (let at = 7100; at <= 12_100; at += 100) clock.fireAt(at);
  expect(lag.worstMs()).toBe(0);
  lag.stop();
  expect(clock.cancelled).toBe(true);
});
