import { expect, test } from "bun:test";
import { createBackoff } from "./backoff.ts";

test("backoff - doubles up to the most, and starts over after a success", () => {
  const backoff = createBackoff(100, 1000, () => 1);
  expect([backoff.next(), backoff.next(), backoff.next(), backoff.next(), backoff.next()]).toEqual([
    100, 200, 400, 800, 1000,
  ]);
  expect(backoff.attempts).toBe(5);
  backoff.reset();
  expect([backoff.attempts, backoff.next()]).toEqual([0, 100]);
});

test("backoff - chance takes up to half of a wait away", () => {
  expect(createBackoff(100, 1000, () => 0).next()).toBe(50);
  expect(createBackoff(100, 1000, () => 0.5).next()).toBe(75);
});

test("backoff - ten thousand failures do not overflow", () => {
  const backoff = createBackoff(100, 5000, () => 1);
  for (let i = 0; i < 10_000; i += 1) backoff.next();
  expect(backoff.next()).toBe(5000);
});
