/**
 * Exact arithmetic on decimal strings.
 *
 * Invariants: no result ever passes through a floating-point number; doubles only order prices, and where two strings
 * make the same double they are compared digit by digit. Scaled safe integers are used while they are exact, BigInt beyond.
 * At the limit: a text over DECIMAL_LENGTH_MAX characters is not a decimal (`isDecimal`), so BigInts stay small.
 */
import { assert } from "../lib/errors.ts";

export const DECIMAL_LENGTH_MAX = 64;

/** `units / 10^scale`, without trailing zeros; `units` is a number while it is a safe integer. */
export interface Decimal {
  readonly units: number | bigint;
  readonly scale: number;
}

const ZERO_CODE = 48;
const NINE_CODE = 57;
const POINT_CODE = 46;
const MINUS_CODE = 45;
const SAFE = Number.MAX_SAFE_INTEGER;
const POWERS = Array.from({ length: 16 }, (_, exponent) => 10 ** exponent);
const BIG_POWERS: bigint[] = [];

function bigPower(exponent: number): bigint {
  let power = BIG_POWERS[exponent];
  if (power === undefined) {
    power = 10n ** BigInt(exponent);
    if (exponent <= 4 * DECIMAL_LENGTH_MAX) BIG_POWERS[exponent] = power;
  }
  return power;
}

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

/** Digits behind the point without trailing zeros. */
export function significantDecimals(text: string): number {
  const point = text.indexOf(".");
  if (point < 0) return 0;
  let end = text.length;
  while (text.charCodeAt(end - 1) === ZERO_CODE) end--;
  return end - 1 - point;
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

/** Takes a decimal apart; the text must satisfy `isDecimal`. */
export function parseDecimal(text: string): Decimal {
  const length = text.length;
  if (length > 16) return parseLong(text);
  const negative = text.charCodeAt(0) === MINUS_CODE;
  let units = 0;
  let scale = 0;
  let zeros = 0;
  let fraction = false;
  for (let i = negative ? 1 : 0; i < length; i++) {
    const digit = text.charCodeAt(i) - ZERO_CODE;
    if (digit < 0) {
      fraction = true;
    } else if (!fraction) {
      units = units * 10 + digit;
    } else if (digit === 0) {
      zeros++;
    } else {
      units = units * (POWERS[zeros + 1] as number) + digit;
      scale += zeros + 1;
      zeros = 0;
    }
  }
  // 16 digits without a point may be over the safe integers.
  if (units > SAFE) return parseLong(text);
  return { units: negative && units !== 0 ? -units : units, scale };
}

function parseLong(text: string): Decimal {
  const scale = significantDecimals(text);
  const point = text.indexOf(".");
  const digits = point < 0 ? text : text.slice(0, point) + text.slice(point + 1, point + 1 + scale);
  return { units: normal(BigInt(digits)), scale };
}

const normal = (units: bigint): number | bigint =>
  units <= BigInt(SAFE) && units >= -BigInt(SAFE) ? Number(units) : units;

const unitsAt = (value: Decimal, scale: number): bigint => BigInt(value.units) * bigPower(scale - value.scale);

/** The exact product. */
export function multiply(a: Decimal, b: Decimal): Decimal {
  const scale = a.scale + b.scale;
  if (typeof a.units === "number" && typeof b.units === "number") {
    const units = a.units * b.units;
    if (units <= SAFE && units >= -SAFE) return { units, scale };
  }
  return { units: BigInt(a.units) * BigInt(b.units), scale };
}

const negate = (value: Decimal): Decimal => ({
  units: typeof value.units === "bigint" ? -value.units : value.units === 0 ? 0 : -value.units,
  scale: value.scale,
});

/** `units / 10^scale` with exactly `scale` digits behind the point. */
function format(units: number | bigint, scale: number): string {
  const negative = units < 0;
  let digits = (negative ? -units : units).toString();
  if (scale > 0) {
    digits = digits.padStart(scale + 1, "0");
    digits = `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  }
  return negative ? `-${digits}` : digits;
}

/** The value with exactly `scale` digits behind the point, rounded half away from zero. */
export function toFixed(value: Decimal, scale: number): string {
  if (value.scale <= scale) return format(unitsAt(value, scale), scale);
  return format(divideRounded(BigInt(value.units), bigPower(value.scale - scale)), scale);
}

/** The value without trailing zeros. */
export function toText(value: Decimal): string {
  let { units, scale } = value;
  if (typeof units === "number") {
    while (scale > 0 && units % 10 === 0) {
      units /= 10;
      scale--;
    }
  } else {
    while (scale > 0 && units % 10n === 0n) {
      units /= 10n;
      scale--;
    }
  }
  return format(units, scale);
}

function divideRounded(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  const rest = dividend % divisor;
  const twice = (rest < 0n ? -rest : rest) * 2n;
  if (twice < (divisor < 0n ? -divisor : divisor)) return quotient;
  return dividend < 0n === divisor < 0n ? quotient + 1n : quotient - 1n;
}

/** Exact sum with as many decimals as the longer operand. */
export function add(a: string, b: string): string {
  const scale = Math.max(decimalsOf(a), decimalsOf(b));
  return format(unitsAt(parseDecimal(a), scale) + unitsAt(parseDecimal(b), scale), scale);
}

/** Exact difference with as many decimals as the longer operand. */
export function subtract(a: string, b: string): string {
  const scale = Math.max(decimalsOf(a), decimalsOf(b));
  return format(unitsAt(parseDecimal(a), scale) - unitsAt(parseDecimal(b), scale), scale);
}

/** Product, exact with as many decimals as both operands have, or rounded half away from zero to `scale`. */
export function times(a: string, b: string, scale = decimalsOf(a) + decimalsOf(b)): string {
  return toFixed(multiply(parseDecimal(a), parseDecimal(b)), scale);
}

/** Quotient rounded half away from zero to `scale`; the divisor is not zero. */
export function divide(a: string, b: string, scale: number): string {
  assert(!isZero(b), "a decimal is not divided by zero");
  const dividend = parseDecimal(a);
  const divisor = parseDecimal(b);
  // a / b = (ua / ub) * 10^(sb - sa)
  const shift = scale + divisor.scale - dividend.scale;
  const top = BigInt(dividend.units) * (shift > 0 ? bigPower(shift) : 1n);
  const bottom = BigInt(divisor.units) * (shift < 0 ? bigPower(-shift) : 1n);
  return format(divideRounded(top, bottom), scale);
}

/** The step of the last of `decimals` digits: 2 -> `"0.01"`, 0 -> `"1"`. */
export const stepOf = (decimals: number): string => format(1, decimals);

/**
 * A running exact sum: safe integers while they last, BigInt from then on.
 * Its text is a function of its value alone (no trailing zeros), so a sum restored from its text goes on identically.
 */
export class DecimalSum {
  #units = 0;
  #big: bigint | null = null;
  #scale = 0;
  #text: string | null = "0";

  add(value: Decimal): void {
    this.#text = null;
    if (this.#big === null && typeof value.units === "number") {
      const scale = value.scale > this.#scale ? value.scale : this.#scale;
      const own = this.#units * (POWERS[scale - this.#scale] ?? Number.NaN);
      const other = value.units * (POWERS[scale - value.scale] ?? Number.NaN);
      const units = own + other;
      // Also false for NaN and for products that were rounded: those are over SAFE.
      if (own <= SAFE && own >= -SAFE && other <= SAFE && other >= -SAFE && units <= SAFE && units >= -SAFE) {
        this.#units = units;
        this.#scale = scale;
        return;
      }
    }
    this.#addBig(value);
  }

  subtract(value: Decimal): void {
    this.add(negate(value));
  }

  set(text: string): void {
    this.clear();
    this.add(parseDecimal(text));
  }

  clear(): void {
    this.#units = 0;
    this.#big = null;
    this.#scale = 0;
    this.#text = "0";
  }

  get value(): Decimal {
    return { units: this.#big ?? this.#units, scale: this.#scale };
  }

  /** Without trailing zeros. */
  get text(): string {
    this.#text ??= toText(this.value);
    return this.#text;
  }

  #addBig(value: Decimal): void {
    const scale = Math.max(value.scale, this.#scale);
    this.#big = unitsAt(this.value, scale) + unitsAt(value, scale);
    this.#scale = scale;
  }
}
