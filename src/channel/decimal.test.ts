import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  add,
  compare,
  compareDigits,
  DecimalSum,
  decimalsOf,
  divide,
  isDecimal,
  isZero,
  multiply,
  parseDecimal,
  significantDecimals,
  stepOf,
  subtract,
  times,
  toFixed,
  toText,
} from "./decimal.ts";

const SCALE = 30;

/** The value as an integer count of 10^-30: the naive model everything is held against. */
function model(text: string): bigint {
  const negative = text.startsWith("-");
  const [whole = "0", fraction = ""] = (negative ? text.slice(1) : text).split(".");
  const units = BigInt(whole + fraction.padEnd(SCALE, "0"));
  return negative ? -units : units;
}

const digits = (min: number, max: number) => fc.stringMatching(new RegExp(`^[0-9]{${min},${max}}$`));
const anyDecimal = fc
  .tuple(fc.constantFrom("", "", "-"), digits(1, 18), fc.option(digits(1, 12)))
  .map(([sign, whole, fraction]) => (fraction === null ? sign + whole : `${sign}${whole}.${fraction}`));
/** Short ones, so that equal values, zeros and trailing zeros are frequent. */
const smallDecimal = fc
  .tuple(
    fc.constantFrom("", "-"),
    fc.constantFrom("0", "00", "1", "10", "9"),
    fc.option(fc.stringMatching(/^[019]{1,4}$/)),
  )
  .map(([sign, whole, fraction]) => (fraction === null ? sign + whole : `${sign}${whole}.${fraction}`));
const decimal = fc.oneof(anyDecimal, smallDecimal);

const signOf = (value: number | bigint): number => (value > 0 ? 1 : value < 0 ? -1 : 0);

test("decimal - what is one", () => {
  for (const text of ["0", "1", "-1", "0.5", "00.10", "123456789012345678901234567890.5"])
    expect(isDecimal(text)).toBe(true);
  for (const text of [
    "",
    "-",
    ".",
    ".5",
    "5.",
    "1e5",
    "+1",
    "1,5",
    " 1",
    "1 ",
    "0x1",
    "NaN",
    "1.2.3",
    "--1",
    "9".repeat(65),
  ]) {
    expect(isDecimal(text)).toBe(false);
  }
  for (const value of [1, null, undefined, {}, ["1"]]) expect(isDecimal(value)).toBe(false);
});

test("decimal - compare orders as the numbers do", () => {
  fc.assert(
    fc.property(decimal, decimal, (a, b) => {
      const expected = signOf(model(a) - model(b));
      expect(signOf(compare(a, b))).toBe(expected);
      expect(signOf(compareDigits(a, b))).toBe(expected);
    }),
  );
});

test("decimal - two strings that make the same double are told apart", () => {
  const a = "90071992547409930.0000000000001";
  const b = "90071992547409930.0000000000002";
  expect(Number(a)).toBe(Number(b));
  expect(compare(a, b)).toBeLessThan(0);
  expect(compare(b, a)).toBeGreaterThan(0);
  expect(compare("1.10", "1.1")).toBe(0);
});

test("decimal - zero in all its spellings", () => {
  fc.assert(fc.property(decimal, (a) => expect(isZero(a)).toBe(model(a) === 0n)));
});

test("decimal - parse keeps the value and drops trailing zeros", () => {
  fc.assert(
    fc.property(decimal, (a) => {
      const { units, scale } = parseDecimal(a);
      expect(BigInt(units) * 10n ** BigInt(SCALE - scale)).toBe(model(a));
      expect(scale).toBe(significantDecimals(a));
      if (typeof units === "number") expect(Number.isSafeInteger(units)).toBe(true);
      expect(model(toText(parseDecimal(a)))).toBe(model(a));
    }),
  );
});

test("decimal - add, subtract and times are exact", () => {
  fc.assert(
    fc.property(decimal, decimal, (a, b) => {
      expect(model(add(a, b))).toBe(model(a) + model(b));
      expect(model(subtract(a, b))).toBe(model(a) - model(b));
      expect(decimalsOf(add(a, b))).toBe(Math.max(decimalsOf(a), decimalsOf(b)));
      expect(model(times(a, b)) * 10n ** BigInt(SCALE)).toBe(model(a) * model(b));
      expect(model(toText(multiply(parseDecimal(a), parseDecimal(b))))).toBe(model(times(a, b)));
    }),
  );
});

/** Nearest integer to top / bottom, halves away from zero. */
function nearest(top: bigint, bottom: bigint): bigint {
  const negative = top < 0n !== bottom < 0n;
  const a = top < 0n ? -top : top;
  const b = bottom < 0n ? -bottom : bottom;
  const quotient = (2n * a + b) / (2n * b);
  return negative ? -quotient : quotient;
}

test("decimal - divide rounds half away from zero", () => {
  fc.assert(
    fc.property(decimal, decimal, fc.integer({ min: 0, max: 12 }), (a, b, scale) => {
      fc.pre(model(b) !== 0n);
      const expected = nearest(model(a) * 10n ** BigInt(scale), model(b));
      expect(model(divide(a, b, scale))).toBe(expected * 10n ** BigInt(SCALE - scale));
      expect(decimalsOf(divide(a, b, scale))).toBe(scale);
    }),
  );
  expect(divide("1", "8", 2)).toBe("0.13");
  expect(divide("-1", "8", 2)).toBe("-0.13");
  expect(divide("9007199254740991", "0.9007199254740991", 0)).toBe("10000000000000000");
  expect(divide("9999999999999", "10000000000000", 12)).toBe("1.000000000000");
  expect(() => divide("1", "0.00", 2)).toThrow("divided by zero");
});

test("decimal - divide by everyday prices and volumes", () => {
  const price = fc.tuple(fc.integer({ min: -99_999_999, max: 99_999_999 }), fc.integer({ min: 0, max: 8 }));
  const text = price.map(([units, scale]) => toText({ units, scale }));
  fc.assert(
    fc.property(text, text, fc.integer({ min: 0, max: 8 }), (a, b, scale) => {
      fc.pre(model(b) !== 0n);
      const expected = nearest(model(a) * 10n ** BigInt(scale), model(b));
      expect(model(divide(a, b, scale))).toBe(expected * 10n ** BigInt(SCALE - scale));
    }),
    { numRuns: 1000 },
  );
});

test("decimal - toFixed rounds and pads", () => {
  expect(toFixed(parseDecimal("1.005"), 2)).toBe("1.01");
  expect(toFixed(parseDecimal("-0.004"), 2)).toBe("0.00");
  expect(toFixed(parseDecimal("7"), 3)).toBe("7.000");
  expect(times("0.1", "0.25", 2)).toBe("0.03");
  expect(stepOf(0)).toBe("1");
  expect(stepOf(3)).toBe("0.001");
});

test("decimal - a sum is exact whatever comes and goes, also beyond safe integers", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(decimal, fc.boolean()), { maxLength: 40 }), (steps) => {
      const sum = new DecimalSum();
      let expected = 0n;
      for (const [value, isAdded] of steps) {
        if (isAdded) sum.add(parseDecimal(value));
        else sum.subtract(parseDecimal(value));
        expected += isAdded ? model(value) : -model(value);
        expect(model(sum.text)).toBe(expected);
      }
    }),
  );
});

test("decimal - a sum's text is a function of its value, so one restored from it goes on identically", () => {
  const sum = new DecimalSum();
  sum.add(parseDecimal("0.12345678"));
  sum.add(parseDecimal("1.5"));
  sum.subtract(parseDecimal("0.12345678"));
  expect(sum.text).toBe("1.5");
  const restored = new DecimalSum();
  restored.set(sum.text);
  for (const one of [sum, restored]) one.add(parseDecimal("9007199254740993.25"));
  expect(restored.text).toBe(sum.text);
  sum.clear();
  expect(sum.text).toBe("0");
});
