import { expect, test } from "bun:test";
import { nextTurn } from "../lib/fake-clock.ts";
import { Draining } from "./draining.ts";

/** Whether the promise has settled by now. */
const settled = (promise: Promise<void>): Promise<boolean> =>
  Promise.race([promise.then(() => true), nextTurn().then(() => false)]);

test("draining - done when every worker is empty, however often one says so", async () => {
  const draining = new Draining([0, 1], 500);
  draining.empty(0);
  draining.empty(0);
  draining.empty(7);
  expect(await settled(draining.done)).toBe(false);
  draining.empty(1);
  expect(await settled(draining.done)).toBe(true);
});

test("draining - without workers it is done at once; the time left never falls below zero", async () => {
  const draining = new Draining([], 500);
  expect(await settled(draining.done)).toBe(true);
  expect([draining.leftMs(100), draining.leftMs(900)]).toEqual([400, 0]);
});
