import { expect, test } from "bun:test";
import { createFakeClock } from "../lib/fake-clock.ts";
import { SampledLog, sample } from "./sampled-log.ts";
import { RecordingLog } from "./testing/rig.ts";

test("sampled log - one line per second and subject, and the next says how many were left out", () => {
  const log = new RecordingLog();
  const clock = createFakeClock();
  const sampled = new SampledLog(log, clock);
  for (let i = 0; i < 5; i++) sampled.warn("a", () => ({ i }));
  sampled.warn("b", () => ({}));
  clock.advance(1000);
  sampled.warn("a", () => ({ i: 9 }));
  expect(log.lines.map(({ message, fields }) => [message, fields])).toEqual([
    ["a", { i: 0 }],
    ["b", {}],
    ["a", { i: 9, notLogged: 4 }],
  ]);
});

test("sampled log - made-up subjects share one entry", () => {
  const log = new RecordingLog();
  const sampled = new SampledLog(log, createFakeClock());
  for (let i = 0; i < 10_000; i++) sampled.warn(`reason ${i}`, () => ({}));
  expect(log.lines.length).toBe(257);
});

test("sampled log - samples are short", () => {
  expect(sample("x".repeat(1000))).toHaveLength(203);
  expect(sample({ a: 1 })).toBe('{"a":1}');
  expect(sample(undefined)).toBe("undefined");
});
