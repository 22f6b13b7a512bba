import { expect, test } from "bun:test";
import { Histogram } from "./histogram.ts";

test("load histogram - percentiles are at most 1.6 % above the exact ones, never below", () => {
  const histogram = new Histogram();
  const values = Array.from({ length: 10_000 }, (_, at) => Math.floor(1.0012 ** at * 3));
  for (const value of values) histogram.add(value);
  for (const share of [0.001, 0.25, 0.5, 0.95, 0.99, 0.999, 1]) {
    const exact = values[Math.ceil(values.length * share) - 1]!;
    const found = histogram.percentile(share)!;
    expect(found).toBeGreaterThanOrEqual(exact);
    expect(found).toBeLessThanOrEqual(exact * 1.016 + 1);
  }
});

test("load histogram - small values are exact, the largest is never above what was added", () => {
  const histogram = new Histogram();
  for (const value of [0, 1, 2, 3, 1_000_003]) histogram.add(value);
  expect([0.2, 0.4, 0.6, 0.8, 1].map((share) => histogram.percentile(share))).toEqual([0, 1, 2, 3, 1_000_003]);
});

test("load histogram - below zero counts as zero, over 35 minutes as the top, and max stays exact", () => {
  const histogram = new Histogram();
  histogram.add(-50);
  histogram.add(2 ** 40);
  expect(histogram.percentile(0.5)).toBe(0);
  expect(histogram.percentile(1)).toBe(2 ** 31 - 1);
  expect(histogram.percentiles().max).toBe(2 ** 40 / 1000);
});

test("load histogram - nothing counted is null, not zero", () => {
  const empty = { count: 0, mean: null, p50: null, p95: null, p99: null, p999: null, max: null };
  expect(new Histogram().percentiles()).toEqual(empty);
});

test("load histogram - parts that went through JSON add up to the whole", () => {
  const [whole, one, two, sum] = [new Histogram(), new Histogram(), new Histogram(), new Histogram()];
  for (let us = 1; us < 50_000; us += 7) {
    whole.add(us);
    (us % 2 === 0 ? one : two).add(us);
  }
  for (const part of [one, two]) sum.merge(JSON.parse(JSON.stringify(part.wire())));
  expect(sum.percentiles()).toEqual(whole.percentiles());
  expect(sum.wire()).toEqual(whole.wire());
});
