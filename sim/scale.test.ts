import { expect, test } from "bun:test";
import fc from "fast-check";
import { Scale } from "./scale.ts";

test("scale - writes whole numbers of a unit with fixed decimals", () => {
  expect(new Scale("0.01").format(275084)).toBe("2750.84");
  expect(new Scale("0.01").format(5)).toBe("0.05");
  expect(new Scale("0.10").format(970001)).toBe("97000.10");
  expect(new Scale("1").format(42)).toBe("42");
  expect(new Scale("1", 8).format(42)).toBe("42.00000000");
  expect(new Scale("0.00001", 8).format(150_000)).toBe("1.50000000");
  expect(new Scale("0.00001", 8).format(0)).toBe("0.00000000");
  expect(new Scale("0.01").write(-150)).toBe("-1.50");
});

test("scale - reads back what it wrote", () => {
  for (const scale of [new Scale("0.01"), new Scale("1"), new Scale("0.10"), new Scale("0.00001", 8)]) {
    fc.assert(
      fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (units) => {
        expect(scale.parse(scale.format(units))).toBe(units);
        expect(scale.parse(scale.format(units))).toBe(units);
      }),
      { numRuns: 200 },
    );
  }
});

test("scale - refuses what is not exact", () => {
  const scale = new Scale("0.01");
  for (const text of ["", "x", "-1", "1e3", "0.001", "1.", ".5", "90071992547409.93", " 1"]) {
    expect(scale.parse(text)).toBeNull();
  }
  expect(scale.parse("1.1000")).toBe(110);
  expect(() => new Scale("0.05")).toThrow("power of ten");
});
