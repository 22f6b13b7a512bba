/**
 * Decimals as scaled integers: the exact representation under decimal.ts and decimal-sum.ts.
 *
 * Invariants: a number stands only for a safe integer; everything beyond is a BigInt. At the limit: powers of ten are
 * cached for the exponents that texts of DECIMAL_LENGTH_MAX characters can make.
 */

export const DECIMAL_LENGTH_MAX = 64;

/** `units / 10^scale`, without trailing zeros; `units` is a number while it is a safe integer. */
export interface Decimal {
  readonly units: number | bigint;
  readonly scale: number;
}

const ZERO_CODE = 48;
const MINUS_CODE = 45;
export const SAFE = Number.MAX_SAFE_INTEGER;
/** 10^0 .. 10^15: all that are safe integers. */
export const POWERS = Array.from({ length: 16 }, (_, exponent) => 10 ** exponent);
const ZEROS = "0".repeat(POWERS.length);
const BIG_POWERS: bigint[] = [];

export function bigPower(exponent: number): bigint {
  let power = BIG_POWERS[exponent];
  if (power === undefined) {
    power = 10n ** BigInt(exponent);
    if (exponent <= 4 * DECIMAL_LENGTH_MAX) BIG_POWERS[exponent] = power;
  }
  return power;
}

/** Digits behind the point without trailing zeros. */
export function significantDecimals(text: string): number {
  const point = text.indexOf(".");
  if (point < 0) return 0;
  let end = text.length;
  while (text.charCodeAt(end - 1) === ZERO_CODE) end--;
  return end - 1 - point;
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

export const normal = (units: bigint): number | bigint =>
  units <= BigInt(SAFE) && units >= -BigInt(SAFE) ? Number(units) : units;

/** `value.units` at a scale not below its own, or NaN if that may be no safe integer. */
export function safeUnitsAt(value: Decimal, scale: number): number {
  if (typeof value.units !== "number") return Number.NaN;
  const units = value.units * (POWERS[scale - value.scale] ?? Number.NaN);
  return units <= SAFE && units >= -SAFE ? units : Number.NaN;
}

export const unitsAt = (value: Decimal, scale: number): bigint => BigInt(value.units) * bigPower(scale - value.scale);

/** The exact product. */
export function multiply(a: Decimal, b: Decimal): Decimal {
  const scale = a.scale + b.scale;
  if (typeof a.units === "number" && typeof b.units === "number") {
    const units = a.units * b.units;
    if (units <= SAFE && units >= -SAFE) return { units, scale };
  }
  return { units: BigInt(a.units) * BigInt(b.units), scale };
}

/** The exact sum. */
export function sumOf(a: Decimal, b: Decimal): Decimal {
  const scale = a.scale > b.scale ? a.scale : b.scale;
  const units = safeUnitsAt(a, scale) + safeUnitsAt(b, scale);
  if (units <= SAFE && units >= -SAFE) return { units, scale };
  return { units: unitsAt(a, scale) + unitsAt(b, scale), scale };
}

export const negate = (value: Decimal): Decimal => ({
  units: typeof value.units === "bigint" ? -value.units : value.units === 0 ? 0 : -value.units,
  scale: value.scale,
});

/** `units / 10^scale` with exactly `scale` digits behind the point. */
export function format(units: number | bigint, scale: number): string {
  if (scale === 0) return String(units);
  if (units < 0) return `-${format(-units, scale)}`;
  if (typeof units === "number" && scale < POWERS.length) {
    const whole = quotient(units, POWERS[scale] as number);
    return join(whole, units - whole * (POWERS[scale] as number), scale);
  }
  const digits = units.toString().padStart(scale + 1, "0");
  return `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** Small integers become text much faster than large ones, hence whole part and fraction apart. */
function join(whole: number, fraction: number, scale: number): string {
  const digits = String(fraction);
  return digits.length === scale ? `${whole}.${digits}` : `${whole}.${ZEROS.slice(0, scale - digits.length)}${digits}`;
}

export function joinTrimmed(whole: number, fraction: number, scale: number): string {
  if (fraction === 0) return String(whole);
  let rest = fraction;
  let digits = scale;
  while (rest % 10 === 0) {
    rest /= 10;
    digits--;
  }
  return join(whole, rest, digits);
}

/** Whole part of the quotient of two safe integers, the divisor positive, the dividend not negative. */
export function quotient(dividend: number, divisor: number): number {
  const rounded = Math.floor(dividend / divisor);
  // The double nearest to a quotient just below an integer may be that integer.
  return rounded * divisor > dividend ? rounded - 1 : rounded;
}

/** The value with exactly `scale` digits behind the point, rounded half away from zero. */
export function toFixed(value: Decimal, scale: number): string {
  if (value.scale <= scale) {
    const units = safeUnitsAt(value, scale);
    return format(Number.isNaN(units) ? unitsAt(value, scale) : units, scale);
  }
  return format(divideRounded(BigInt(value.units), bigPower(value.scale - scale)), scale);
}

/** The value without trailing zeros. */
export function toText(value: Decimal): string {
  let { scale } = value;
  const { units } = value;
  if (typeof units === "number" && scale < POWERS.length) {
    if (units < 0) return `-${toText({ units: -units, scale })}`;
    const whole = quotient(units, POWERS[scale] as number);
    return joinTrimmed(whole, units - whole * (POWERS[scale] as number), scale);
  }
  let big = BigInt(units);
  while (scale > 0 && big % 10n === 0n) {
    big /= 10n;
    scale--;
  }
  return format(big, scale);
}

export function divideRounded(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  const rest = dividend % divisor;
  const twice = (rest < 0n ? -rest : rest) * 2n;
  if (twice < (divisor < 0n ? -divisor : divisor)) return quotient;
  return dividend < 0n === divisor < 0n ? quotient + 1n : quotient - 1n;
}
