/**
 * Order of decimal strings (`-?digits[.digits]`), exactly: doubles decide where they differ, digits where they do not.
 */

/** Negative, zero or positive as `a` is below, equal to or above `b`; "1.0" and "1.00" are equal. */
export function compareDecimals(a: string, b: string): number {
  if (a === b) return 0;
  const difference = Number(a) - Number(b);
  return difference !== 0 ? difference : compareDigits(a, b);
}

/** As `compareDecimals`, for two strings that make the same double. */
export function compareDigits(a: string, b: string): number {
  if (a === b) return 0;
  const negative = a.startsWith("-");
  if (negative !== b.startsWith("-")) return isZero(a) && isZero(b) ? 0 : negative ? -1 : 1;
  const [left, right] = [parts(a, negative), parts(b, negative)];
  const whole = left.whole.length - right.whole.length;
  const order =
    whole !== 0 ? whole : compareText(left.whole, right.whole) || compareText(left.fraction, right.fraction);
  return negative ? -order : order;
}

/** True if every digit is zero. */
export function isZero(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 48 && code <= 57) return false;
  }
  return true;
}

/** Without the zeros that do not count: then text order is the order of numbers. */
function parts(text: string, negative: boolean): { readonly whole: string; readonly fraction: string } {
  const point = text.indexOf(".");
  const whole = text.slice(negative ? 1 : 0, point < 0 ? undefined : point).replace(/^0+/, "");
  const fraction = point < 0 ? "" : text.slice(point + 1).replace(/0+$/, "");
  return { whole, fraction };
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
