import { expect, test } from "bun:test";
import { Acks, EACH_MAX } from "./acks.ts";

const hand = (acks: Acks, first: number, last: number): void => {
  for (let seq = first; seq <= last; seq++) acks.handed(seq, `r${seq}`);
};

test("jetstream acks - one for all up to what is stored, however much was handed on since", () => {
  const acks = new Acks("all", 0);
  hand(acks, 1, 10);
  acks.commit(7);
  expect(acks.take(100)).toEqual(["r7"]);
  acks.commit(7);
  expect(acks.take(100)).toEqual([]);
  hand(acks, 11, 50_000);
  acks.commit(40_000);
  const [reply] = acks.take(100);
  // A few are left out when very many wait; never one that is not stored.
  expect(Number(reply?.slice(1))).toBeGreaterThan(39_000);
  expect(Number(reply?.slice(1))).toBeLessThanOrEqual(40_000);
  acks.commit(50_000);
  expect(acks.take(100)).toEqual(["r50000"]);
  expect(acks.sent).toBe(3);
});

test("jetstream acks - each one of a work queue, a few at a time", () => {
  const acks = new Acks("each", 0);
  hand(acks, 1, 5);
  acks.commit(4);
  expect([acks.take(3), acks.due, acks.take(3)]).toEqual([["r1", "r2", "r3"], 1, ["r4"]]);
  hand(acks, 6, EACH_MAX + 3);
  expect(acks.full).toBe(false);
  hand(acks, EACH_MAX + 4, EACH_MAX + 4);
  expect(acks.full).toBe(true);
  acks.commit(6);
  expect(acks.full).toBe(false);
});

test("jetstream acks - what comes again: acknowledged if it is stored, else when it is", () => {
  for (const kind of ["each", "all"] as const) {
    const acks = new Acks(kind, 2);
    for (const seq of [1, 2, 3]) acks.again(seq, `r${seq}`);
    expect(acks.take(9)).toEqual(kind === "each" ? ["r1", "r2"] : ["r2"]);
    acks.commit(3);
    expect(acks.take(9)).toEqual(["r3"]);
  }
  const none = new Acks("none", 0);
  hand(none, 1, 3);
  none.again(1, "r1");
  none.commit(3);
  expect(none.take(9)).toEqual([]);
});
