/**
 * Readers of single fields: a path or a constant of a declarative mapper, compiled once to a function that gives the
 * field's value in our own form, or says that it does not fit.
 */
import { isDecimal } from "../../../channel/decimal.ts";
import { assert } from "../../../lib/errors.ts";
import { wholeOf } from "../fields.ts";
import { timeMs } from "./exact.ts";
import type { Field, FieldType } from "./fields.ts";
import { EACH, type Getter, getterOf, type Path, parsePath } from "./path.ts";
import type { Constant, FieldSpec, LevelsSpec, When } from "./spec.ts";

/** What is read: the record and, with `items`, the element of it (else the record again). */
export type Scoped = (record: unknown, element: unknown) => unknown;

/** The value, or MISFIT. Absent fields are undefined. */
export type Reader = (record: unknown, element: unknown) => unknown;

export const MISFIT: unique symbol = Symbol("does not fit");

export interface FieldReader {
  readonly name: string;
  readonly read: Reader;
  /** `data.p: want a decimal`. */
  readonly misfit: string;
}

/** A path that has passed judgeDeclarative. */
export function pathOf(text: string): Path {
  const path = parsePath(text);
  assert(path !== null, `"${text}" is a path`);
  return path;
}

export function scoped({ fromRoot, steps }: Path): Scoped {
  const get = getterOf(steps);
  return fromRoot ? (record) => get(record) : (_, element) => get(element);
}

/** `prefix`: of the elements' place, for the reason. */
export function fieldReader(name: string, spec: FieldSpec | LevelsSpec, field: Field, prefix: string): FieldReader {
  const text = typeof spec === "string" ? spec : (spec.path ?? "");
  const where = text === "" ? name : text.startsWith("$") ? text : prefix + text;
  const wanted = field.oneOf === undefined ? WANTED[field.type] : `one of ${field.oneOf.join(", ")}`;
  const misfit = `${where}: want ${wanted}`;
  if (field.type === "levels") return { name, read: levelsReader(spec as LevelsSpec), misfit };
  return { name, read: valueReader(spec as FieldSpec, field), misfit };
}

const WANTED: Readonly<Record<FieldType, string>> = {
  decimal: "a decimal",
  whole: "a whole number",
  time: "a time",
  text: "a text",
  id: "a text or a number",
  boolean: "true or false",
  levels: "a list of levels",
  part: "something",
};

function valueReader(spec: FieldSpec, field: Field): Reader {
  const {
    path,
    const: constant,
    values,
    unit = "ms",
    default: standard,
  } = typeof spec === "string" ? { path: spec } : spec;
  if (path === undefined) return () => constant;
  const get = scoped(pathOf(path));
  const convert = values === undefined ? converter(field, unit) : mapped(values);
  const { required } = field;
  return (record, element) => {
    const value = get(record, element);
    if (value === undefined || value === null) return standard ?? (required ? MISFIT : undefined);
    return convert(value);
  };
}

function mapped(values: Readonly<Record<string, Constant>>): Getter {
  const table = new Map(Object.entries(values));
  return (value) => table.get(String(value)) ?? MISFIT;
}

function converter({ type, oneOf }: Field, unit: Parameters<typeof timeMs>[1]): Getter {
  if (oneOf !== undefined) return (value) => (oneOf.includes(value as string) ? value : MISFIT);
  switch (type) {
    case "decimal":
      return (value) => (isDecimal(value) ? value : MISFIT);
    case "whole":
      return (value) => whole(wholeOf(value));
    case "time":
      return (value) => whole(timeMs(value, unit));
    case "boolean":
      return (value) =>
        typeof value === "boolean" ? value : value === "true" || value === "false" ? value === "true" : MISFIT;
    case "text":
    case "id":
      return (value) => (typeof value === "string" && value !== "" ? value : MISFIT);
    case "levels":
    case "part":
      return (value) => value;
  }
}

const whole = (number: number): unknown => (Number.isNaN(number) ? MISFIT : number);

/** Gives `[[price, quantity], ...]`; what the levels hold is judged with the book. */
function levelsReader(spec: LevelsSpec): Reader {
  const { path, price, quantity, when } = typeof spec === "string" ? { path: spec } : spec;
  const { fromRoot, steps } = pathOf(path);
  const get = scoped({ text: path, fromRoot, steps: steps.at(-1) === EACH ? steps.slice(0, -1) : steps });
  const isPlain = price === undefined && quantity === undefined && when === undefined;
  const priceOf = getterOf(pathOf(price ?? "[0]").steps);
  const quantityOf = getterOf(pathOf(quantity ?? "[1]").steps);
  const holds = when === undefined ? () => true : condition(when, () => true);
  return (record, element) => {
    const levels = get(record, element);
    if (levels === undefined || levels === null) return undefined;
    if (!Array.isArray(levels)) return MISFIT;
    if (isPlain) return levels;
    return (levels as readonly unknown[])
      .filter((level) => holds(record, level))
      .map((level) => [priceOf(level), quantityOf(level)]);
  };
}

/** Whether all parts of a filter hold, of those whose path is `taken`. */
export function condition(when: When, taken: (path: Path) => boolean): (record: unknown, element: unknown) => boolean {
  const tests = Object.entries(when)
    .map(([text, wanted]) => ({ path: pathOf(text), wanted: Array.isArray(wanted) ? wanted : [wanted as Constant] }))
    .filter(({ path }) => taken(path))
    .map(({ path, wanted }) => ({ get: scoped(path), is: equality(wanted) }));
  return (record, element) => tests.every(({ get, is }) => is(get(record, element)));
}

/** The record's numbers are texts here (exact.ts). */
function equality(wanted: readonly Constant[]): (value: unknown) => boolean {
  const texts = new Set(wanted.filter((one) => typeof one !== "number").map(String));
  const numbers = new Set(wanted.filter((one) => typeof one === "number"));
  return (value) => {
    if (typeof value === "string")
      return texts.has(value) || (numbers.size > 0 && value !== "" && numbers.has(Number(value)));
    return typeof value === "boolean" && texts.has(String(value));
  };
}
