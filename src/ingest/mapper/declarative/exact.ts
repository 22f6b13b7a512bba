/** JSON read so that no digit of a number is lost: numbers become their own text, in lists too. */
import { HAS_EXPONENT, isoUs, parsed, parsedExactly, unscaled } from "../fields.ts";
import type { Malformed } from "../mapper.ts";
import type { TimeUnit } from "./spec.ts";

/** Also true of some texts; then the slower way is taken for nothing. */
const IN_LIST = /[[,]\s*-?\d/;
/** A whole string, or a number outside of any. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

export function parsedAll(text: unknown): { readonly json: unknown } | Malformed {
  if (typeof text !== "string" || !IN_LIST.test(text)) return parsedExactly(text);
  const said = HAS_EXPONENT.test(text) ? unscaled : (number: string) => number;
  return parsed(text.replace(TOKEN, (token) => (token.startsWith('"') ? token : `"${said(token)}"`)));
}

const DIGITS = /^(\d{1,20})(?:\.(\d{1,12}))?$/;
/** Digits that a unit has behind (negative: before) the milliseconds. */
const SHIFT: Readonly<Record<Exclude<TimeUnit, "iso">, number>> = { s: 3, ms: 0, us: -3, ns: -6 };

/** Milliseconds, what is finer cut off; NaN if it is no time. */
export function timeMs(value: unknown, unit: TimeUnit): number {
  if (unit === "iso") return Math.floor(isoUs(value) / 1000);
  const [, whole = "", fraction = ""] = DIGITS.exec(String(value)) ?? [];
  if (whole === "") return Number.NaN;
  const shift = SHIFT[unit];
  const digits = shift >= 0 ? whole + fraction.padEnd(shift, "0").slice(0, shift) : whole.slice(0, shift) || "0";
  const ms = Number(digits);
  return Number.isSafeInteger(ms) ? ms : Number.NaN;
}
