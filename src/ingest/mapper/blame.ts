/**
 * Which field of a record a mapper could not use, and why: `trade.price: "abc" is not a decimal`.
 *
 * Off the path: asked only for a record that a mapper has found malformed, and only when somebody reads the reason (a log
 * line, a dead letter, a dry run). So a form here repeats what its mapper's fast check wants; what it does not find has no
 * more than the mapper's own word. Invariant: the text is short, whatever the record holds.
 */
import { isDecimal } from "../../channel/decimal.ts";
import { type Fields, idOf, isFields, isoUs, wholeOf } from "./fields.ts";
import { isAmount } from "./levels.ts";
import type { Malformed, Mapper } from "./mapper.ts";

type Type = "amount" | "decimal" | "whole" | "id" | "text" | "boolean" | "iso" | "levels" | "absent";

/** What is wrong with a value that is there; null: nothing. */
type Fault = (value: unknown) => string | null;

/** Of a type, one of some texts, or as a function says. `?`: may be absent; `??`: or null. */
export type Want = Type | `${Type}?` | `${Type}??` | readonly string[] | Fault;

/** The fields in the order in which they are looked at. */
export type Form = Readonly<Record<string, Want>>;

const SHOWN_LENGTH_MAX = 40;

const FAULTS: Readonly<Record<Type, Fault>> = {
  amount: (value) => (isAmount(value) ? null : isDecimal(value) ? "is below zero" : decimalFault(value)),
  decimal: (value) => (isDecimal(value) ? null : decimalFault(value)),
  whole: (value) => (Number.isNaN(wholeOf(value)) ? "is not a whole number" : null),
  id: (value) => (idOf(value) === null ? "is not a text or a number" : null),
  text: (value) => (typeof value === "string" ? null : "is not a text"),
  boolean: (value) => (typeof value === "boolean" ? null : "is neither true nor false"),
  iso: (value) => (Number.isNaN(isoUs(value)) ? "is not a time such as 2021-04-17T16:43:37.075687Z" : null),
  levels: (value) => (Array.isArray(value) ? null : "is not a list of levels"),
  absent: (value) => (value === undefined ? null : "is not looked at here: leave it out"),
};

const decimalFault = (value: unknown): string =>
  typeof value === "number" ? "is a number where a text of digits is wanted" : "is not a decimal";

/** The first field that is unsound, under the name the whole has; null: none is. */
export function blame(name: string, value: unknown, form: Form): string | null {
  if (!isFields(value)) return `${name}: ${shown(value)} is not an object`;
  for (const [field, want] of Object.entries(form)) {
    const found = fieldFault(`${name}.${field}`, value[field], want);
    if (found !== null) return found;
  }
  return null;
}

/** The first unsound element of a list of objects, or of lists whose places the form names in its order. */
export function blameEach(name: string, list: unknown, form: Form): string | null {
  return firstOf(name, list, (at, element) => blame(at, Array.isArray(element) ? named(element, form) : element, form));
}

const named = (values: readonly unknown[], form: Form): Fields =>
  Object.fromEntries(Object.keys(form).map((field, index) => [field, values[index]]));

/** Of `[price, quantity, ..]`. */
const LEVEL: Form = { price: "amount", quantity: "amount" };

function levelsFault(name: string, levels: readonly unknown[]): string | null {
  const at = levels.findIndex((level) => !Array.isArray(level));
  if (at >= 0) return `${name}[${at}]: ${shown(levels[at])} is not a level, want [price, quantity]`;
  return levels.length === 0 ? null : blameEach(name, levels, LEVEL);
}

function firstOf(name: string, list: unknown, faultOf: (at: string, element: unknown) => string | null): string | null {
  if (!Array.isArray(list)) return list === undefined ? `${name} is missing` : `${name}: ${shown(list)} is not a list`;
  if (list.length === 0) return `${name} is an empty list`;
  for (const [index, element] of list.entries()) {
    const found = faultOf(`${name}[${index}]`, element);
    if (found !== null) return found;
  }
  return null;
}

function fieldFault(name: string, value: unknown, want: Want): string | null {
  if (typeof want === "function") {
    if (value === undefined) return `${name} is missing`;
    const fault = want(value);
    return fault === null ? null : `${name}: ${shown(value)} ${fault}`;
  }
  if (typeof want !== "string") {
    if (want.includes(value as string)) return null;
    const wanted = `want ${want.join(" or ")}`;
    return value === undefined ? `${name} is missing, ${wanted}` : `${name}: ${shown(value)} is wrong, ${wanted}`;
  }
  const type = want.replace(/\?+$/, "") as Type;
  if (value === undefined && (want !== type || type === "absent")) return null;
  if (value === null && want.endsWith("??")) return null;
  if (value === undefined) return `${name} is missing`;
  const fault = FAULTS[type](value);
  if (fault !== null) return `${name}: ${shown(value)} ${fault}`;
  return type === "levels" ? levelsFault(name, value as readonly unknown[]) : null;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN_LENGTH_MAX ? `${text.slice(0, SHOWN_LENGTH_MAX)}...` : text;
}

/** The whole reason, for people; `malformed` alone is for counting. Never throws. */
export function reasonOf({ malformed, why }: Malformed): string {
  try {
    return why?.() ?? malformed;
  } catch {
    // A record may be nested too deep to be shown: it was read, and is worth no more than the mapper's own word.
    return malformed;
  }
}

type Mapped = ReturnType<Mapper["map"]>;

/** The same, but a malformed one knows how to find its field in the record. */
export function blaming<M extends Mapped, R>(mapped: M, record: R, find: (record: R) => string | null): M {
  return "malformed" in mapped && mapped.why === undefined ? { ...mapped, why: () => find(record) } : mapped;
}
