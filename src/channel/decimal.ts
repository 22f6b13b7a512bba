/**
 * Exact arithmetic on decimal strings.
 *
 * Invariants: no result ever passes through a floating-point number; doubles only order prices, and where two strings
 * make the same double they are compared digit by digit. Scaled safe integers are used while they are exact, BigInt beyond.
 * At the limit: a text over DECIMAL_LENGTH_MAX characters is not a decimal (`isDecimal`), so BigInts stay small.
 */
import { assert } from "../lib/errors.ts";
import {
  bigPower,
  DECIMAL_LENGTH_MAX,
  type Decimal,
  divideRounded,
  format,
  multiply,
  negate,
  parseDecimal,
  quotient,
  SAFE,
  sumOf,
  toFixed,
  unitsAt,
} from "./decimal-units.ts";

export { DecimalSum } from "./decimal-sum.ts";
export {
  DECIMAL_LENGTH_MAX,
  type Decimal,
  multiply,
  parseDecimal,
  significantDecimals,
  toFixed,
  toText,
} from "./decimal-units.ts";

const ZERO_CODE = 48;
const NINE_CODE = 57;
const POINT_CODE = 46;
const MINUS_CODE = 45;

/** True for `-?digits[.digits]` of bounded length: no sign `+`, no exponent, no bare point. */
export function isDecimal(text: unknown): text is string {
  if (typeof text !== "string") return false;
  const length = text.length;
  if (length === 0 || length > DECIMAL_LENGTH_MAX) return false;
  const start = text.charCodeAt(0) === MINUS_CODE ? 1 : 0;
  let pointSeen = false;
  for (let i = start; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code >= ZERO_CODE && code <= NINE_CODE) continue;
    if (code !== POINT_CODE || pointSeen || i === start || i === length - 1) return false;
    pointSeen = true;
  }
  return length > start;
}

/** True if every digit is zero. */
export function isZero(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > ZERO_CODE && code <= NINE_CODE) return false;
  }
  return true;
}

/** Digits behind the point, trailing zeros included. */
export function decimalsOf(text: string): number {
  const point = text.indexOf(".");
  return point < 0 ? 0 : text.length - 1 - point;
}

/** Order of two decimals: negative, zero or positive. Doubles decide unless they are equal. */
export function compare(a: string, b: string): number {
  if (a === b) return 0;
  const difference = Number(a) - Number(b);
  if (difference !== 0) return difference;
  return compareDigits(a, b);
}

/** Order of two decimals digit by digit: exact, slower than `compare`. */
export function compareDigits(a: string, b: string): number {
  const left = parseDecimal(a);
  const right = parseDecimal(b);
  const scale = Math.max(left.scale, right.scale);
  const difference = unitsAt(left, scale) - unitsAt(right, scale);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** Exact sum with as many decimals as the longer operand. */
export function add(a: string, b: string): string {
  return toFixed(sumOf(parseDecimal(a), parseDecimal(b)), Math.max(decimalsOf(a), decimalsOf(b)));
}

/** Exact difference with as many decimals as the longer operand. */
export function subtract(a: string, b: string): string {
  return toFixed(sumOf(parseDecimal(a), negate(parseDecimal(b))), Math.max(decimalsOf(a), decimalsOf(b)));
}

/** Product, exact with as many decimals as both operands have, or rounded half away from zero to `scale`. */
export function times(a: string, b: string, scale = decimalsOf(a) + decimalsOf(b)): string {
  return toFixed(multiply(parseDecimal(a), parseDecimal(b)), scale);
}

/** Quotient rounded half away from zero to `scale`; the divisor is not zero. */
export const divide = (a: string, b: string, scale: number): string => ratio(parseDecimal(a), parseDecimal(b), scale);

/** Quotient rounded half away from zero to `scale`; the divisor is not zero. */
export function ratio(dividend: Decimal, divisor: Decimal, scale: number): string {
  assert(divisor.units !== 0, "a decimal is not divided by zero");
  // a / b = (ua / ub) * 10^(sb - sa)
  const shift = scale + divisor.scale - dividend.scale;
  const small = longDivision(dividend.units, divisor.units, shift);
  if (small !== null) return format(small, scale);
  const top = BigInt(dividend.units) * (shift > 0 ? bigPower(shift) : 1n);
  const bottom = BigInt(divisor.units) * (shift < 0 ? bigPower(-shift) : 1n);
  return format(divideRounded(top, bottom), scale);
}

/** `a * 10^shift / b` rounded, digit by digit in safe integers; null where those do not suffice. */
function longDivision(a: number | bigint, b: number | bigint, shift: number): number | null {
  if (typeof a === "bigint" || typeof b === "bigint" || shift < 0) return null;
  const divisor = Math.abs(b);
  if (divisor * 10 > SAFE) return null;
  const dividend = Math.abs(a);
  let result = quotient(dividend, divisor);
  let rest = dividend - result * divisor;
  for (let i = 0; i < shift; i++) {
    rest *= 10;
    const digit = quotient(rest, divisor);
    rest -= digit * divisor;
    result = result * 10 + digit;
    if (result >= SAFE) return null;
  }
  if (rest * 2 >= divisor) result++;
  return a < 0 === b < 0 ? result : -result;
}

/** The step of the last of `decimals` digits: 2 -> `"0.01"`, 0 -> `"1"`. */
export const stepOf = (decimals: number): string => format(1, decimals);
