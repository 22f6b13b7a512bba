/** What mappers of JSON messages share: reading text, numbers as their own text, times, names of learned instruments. */
import { DECIMAL_LENGTH_MAX } from "../../channel/decimal-units.ts";
import type { Learn, Malformed } from "./mapper.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** Text that is no JSON may have been a change of any book. */
export const NOT_JSON: Malformed = { malformed: "not JSON", suspect: true };
export const NOT_TEXT: Malformed = { malformed: "not text", suspect: true };

export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The JSON value of a text record, or what is wrong with it. */
export function parsed(value: unknown): { readonly json: unknown } | Malformed {
  if (typeof value !== "string") return NOT_TEXT;
  try {
    return { json: JSON.parse(value) };
  } catch {
    return NOT_JSON;
  }
}

/**
 * A number as a member's value; a colon behind a quote can only follow a key, unless the quote is escaped inside a string.
 * Ten times faster than looking at every token.
 */
const MEMBER_NUMBER = /(?<!\\)":\s*(-?\d[\d.eE+-]*)/g;

/** Whether numbers must be unscaled; also true of some texts, and then that is done for nothing. */
export const HAS_EXPONENT = /\d[eE][+-]?\d/;
const EXPONENT = /^(-?)(\d+)(?:\.(\d+))?[eE]([+-]?\d{1,3})$/;

/** The same, but numbers that are members' values become their own text, so that no digit of a price is lost. */
export function parsedExactly(value: unknown): { readonly json: unknown } | Malformed {
  if (typeof value !== "string") return parsed(value);
  if (!HAS_EXPONENT.test(value)) return parsed(value.replace(MEMBER_NUMBER, '":"$1"'));
  return parsed(value.replace(MEMBER_NUMBER, (_, number: string) => `":"${unscaled(number)}"`));
}

/** A number's text without an exponent: `1.5e-7` is `0.00000015`. One that a decimal cannot hold stays as it is. */
export function unscaled(number: string): string {
  const [, sign = "", whole = "", fraction = "", exponent] = EXPONENT.exec(number) ?? [];
  if (exponent === undefined) return number;
  const digits = whole + fraction;
  const point = whole.length + Number(exponent);
  if (Math.abs(point) + digits.length >= DECIMAL_LENGTH_MAX) return number;
  const padded = point > 0 ? digits.padEnd(point, "0") : "0".repeat(1 - point) + digits;
  const before = padded.slice(0, Math.max(1, point)).replace(/^0+(?=\d)/, "");
  const behind = padded.slice(Math.max(1, point));
  return sign + before + (behind === "" ? "" : `.${behind}`);
}

/** A number, or the text of one, as a number; NaN if it is neither. */
export function numberOf(value: unknown): number {
  if (typeof value === "number") return value;
  return typeof value === "string" && value !== "" ? Number(value) : Number.NaN;
}

/** A whole number that is exact as a double; NaN otherwise. */
export function wholeOf(value: unknown): number {
  const number = numberOf(value);
  return Number.isSafeInteger(number) ? number : Number.NaN;
}

/** A venue's id of a trade: its text, and its number if it is exact (else -1). */
export function idOf(value: unknown): { readonly id: string; readonly t: number } | null {
  if (typeof value !== "string" && typeof value !== "number") return null;
  const number = wholeOf(value);
  return { id: String(value), t: number >= 0 ? number : -1 };
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,9}))?Z$/;

/** `2021-04-17T16:43:37.075687Z` in microseconds; NaN if it is no such text. */
export function isoUs(text: unknown): number {
  if (typeof text !== "string") return Number.NaN;
  const match = ISO.exec(text);
  if (match === null) return Number.NaN;
  const seconds = Date.parse(`${text.slice(0, 19)}Z`) / 1000;
  return seconds * 1e6 + Number((match[1] ?? "").padEnd(6, "0").slice(0, 6));
}

/** The part of an instrument's channel names before the `@`, learned once per spelling; null if it is refused. */
export type PrefixOf = (spelling: string) => string | null;

export function prefixes(learn: Learn, market: string): PrefixOf {
  const known = new Map<string, string>();
  return (spelling) => {
    const prefix = known.get(spelling);
    if (prefix !== undefined) return prefix;
    const learned = learn(market, spelling);
    if (learned !== null) known.set(spelling, learned);
    return learned;
  };
}
