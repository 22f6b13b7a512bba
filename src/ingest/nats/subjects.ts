/**
 * NATS subjects of sources: what a source topic of a mapping becomes, and which subject covers which.
 *
 * Invariant: a `{symbol}` makes its whole token the wildcard `*`, because NATS knows no wildcard within a token; what then
 * comes and is not of the pattern is left out by the route's mapper.
 */
import { createHash } from "node:crypto";
import { refuseBusSubject } from "../../bus/subject.ts";
import { GatewayError } from "../../lib/errors.ts";

const TOKEN = /^[^\s.*>\p{Cc}]+$/u;

/** `md.trade.{symbol}` -> `md.trade.*`. */
export const subjectOfPattern = (text: string): string =>
  text
    .split(".")
    .map((token) => (token.includes("{symbol}") ? "*" : token))
    .join(".");

/** Why nothing can be read from this subject; null if it can. */
export function subjectFault(subject: string): string | null {
  const tokens = subject.split(".");
  const last = tokens.length - 1;
  if (!tokens.every((token, at) => TOKEN.test(token) || token === "*" || (token === ">" && at === last))) {
    return `${JSON.stringify(subject)} is no NATS subject: it is words joined by dots, a word may be *, the last one >`;
  }
  try {
    refuseBusSubject(subject);
  } catch (error) {
    if (error instanceof GatewayError) return error.message;
    throw error;
  }
  return null;
}

/** Whether everything that `inner` stands for is also of `outer`; both may hold wildcards. */
export function covers(outer: string, inner: string): boolean {
  const [a, b] = [outer.split("."), inner.split(".")];
  for (const [at, token] of a.entries()) {
    if (token === ">") return b.length > at;
    const other = b[at];
    if (other === undefined || other === ">") return false;
    if (token !== "*" && token !== other) return false;
  }
  return a.length === b.length;
}

/** Whether some subject is of both. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [one.split("."), other.split(".")];
  for (let at = 0; ; at++) {
    const [x, y] = [a[at], b[at]];
    if (x === undefined || y === undefined) return x === y;
    if (x === ">" || y === ">") return true;
    if (x !== y && x !== "*" && y !== "*") return false;
  }
}

/** Part of a consumer's name that stands for a subject: readable, and no two subjects share one. */
export function nameOfSubject(subject: string): string {
  const readable = subject
    .replaceAll("*", "any")
    .replaceAll(">", "all")
    .replace(/[^A-Za-z0-9-]+/g, "_");
  return `${readable.slice(0, 48)}-${createHash("sha256").update(subject).digest("hex").slice(0, 8)}`;
}
