import { expect, test } from "bun:test";
import fc from "fast-check";
import { INTERVALS } from "./kinds.ts";
import { spans, spansAt } from "./spans.ts";

const at = (text: string): number => Date.parse(`${text}Z`);
const openOf = (interval: (typeof INTERVALS)[number], time: string): string => {
  const { indexOf, startOf } = spans(interval);
  return new Date(startOf(indexOf(at(time)))).toISOString().slice(0, 19);
};

test("intervals - a span holds the times from its start to before the next", () => {
  fc.assert(
    fc.property(fc.constantFrom(...INTERVALS), fc.integer({ min: 0, max: 4e12 }), (interval, time) => {
      const { indexOf, startOf } = spans(interval);
      const index = indexOf(time);
      expect(startOf(index)).toBeLessThanOrEqual(time);
      expect(startOf(index + 1)).toBeGreaterThan(time);
      expect(indexOf(startOf(index))).toBe(index);
      expect(indexOf(startOf(index + 1) - 1)).toBe(index);
    }),
  );
});

test("intervals - anchors: Monday, epoch, calendar month", () => {
  expect(openOf("1s", "2026-11-22T08:15:44.999")).toBe("2026-11-22T08:15:44");
  expect(openOf("3m", "2026-11-22T08:17:59")).toBe("2026-11-22T08:15:00");
  expect(openOf("4h", "2026-11-22T08:15:00")).toBe("2026-11-22T08:00:00");
  // 2026-11-22 is a Sunday.
  expect(openOf("1w", "2026-11-22T23:59:59.999")).toBe("2026-11-16T00:00:00");
  expect(openOf("1w", "2026-11-23T00:00:00")).toBe("2026-11-23T00:00:00");
  expect(openOf("3d", "1970-01-03T23:59:59")).toBe("1970-01-01T00:00:00");
  expect(openOf("3d", "1970-01-04T00:00:00")).toBe("1970-01-04T00:00:00");
  expect(openOf("1M", "2028-02-29T12:00:00")).toBe("2028-02-01T00:00:00");
  expect(openOf("1M", "2026-12-31T23:59:59.999")).toBe("2026-12-01T00:00:00");
  expect(spans("1M").startOf(spans("1M").indexOf(at("2026-12-05T00:00:00")) + 1)).toBe(at("2027-01-01T00:00:00"));
});

test("intervals - days of a time zone begin at its midnight", () => {
  const { indexOf, startOf } = spansAt("1d", 8 * 3_600_000);
  const index = indexOf(at("2026-03-01T17:30:00"));
  expect(new Date(startOf(index)).toISOString()).toBe("2026-03-01T16:00:00.000Z");
  const months = spansAt("1M", 8 * 3_600_000);
  expect(new Date(months.startOf(months.indexOf(at("2026-02-28T16:00:00")))).toISOString()).toBe(
    "2026-02-28T16:00:00.000Z",
  );
});
