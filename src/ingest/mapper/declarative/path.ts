/**
 * Paths into a record: `data.p`, `levels[0]`, `data["a.b"].c`; `$.x` begins at the whole record, `[*]` is each element of
 * a list. Compiled once to a function.
 */
import type { JsonPath } from "../../../lib/json-scan.ts";

export const EACH: unique symbol = Symbol("each element");

export type Step = string | number | typeof EACH;

export interface Path {
  readonly text: string;
  /** It begins at the whole record, also where there is an element. */
  readonly fromRoot: boolean;
  readonly steps: readonly Step[];
}

const NAME = /[^.[\]"$\s][^.[\]"\s]*/y;
const BRACKET = /\[(?:(\*)|(\d{1,9})|("(?:[^"\\]|\\.)*"))\]/y;

/** Null: not a path. */
export function parsePath(text: string): Path | null {
  const fromRoot = text.startsWith("$");
  let at = fromRoot ? 1 : 0;
  const steps: Step[] = [];
  while (at < text.length) {
    const bracket = matchAt(BRACKET, text, at);
    if (bracket !== null) {
      const step = bracketStep(bracket);
      if (step === null) return null;
      steps.push(step);
      at += bracket[0].length;
      continue;
    }
    if (at > 0 && text[at] !== ".") return null;
    if (at > 0) at++;
    const name = matchAt(NAME, text, at);
    if (name === null) return null;
    steps.push(name[0]);
    at += name[0].length;
  }
  return text === "" ? null : { text, fromRoot, steps };
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function bracketStep([, each, index, quoted]: RegExpExecArray): Step | null {
  if (each !== undefined) return EACH;
  if (index !== undefined) return Number(index);
  try {
    return JSON.parse(quoted ?? "null") as string;
  } catch {
    return null;
  }
}

export const hasEach = ({ steps }: Path): boolean => steps.includes(EACH);

/** What stands at the path in a JSON value; undefined if nothing does. */
export type Getter = (value: unknown) => unknown;

const step = (value: unknown, name: string | number): unknown =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string | number, unknown>>)[name] : undefined;

/** Of a path without `[*]`. */
export function getterOf(steps: readonly Step[]): Getter {
  const names = steps as readonly (string | number)[];
  const [a, b, c] = names;
  if (a === undefined) return (value) => value;
  if (b === undefined) return (value) => step(value, a);
  if (c === undefined) return (value) => step(step(value, a), b);
  return (value) => {
    let at = value;
    for (const name of names) at = step(at, name);
    return at;
  };
}

export interface Element {
  readonly value: unknown;
  /** Where it stands in the record. */
  readonly path: JsonPath;
}

/** The elements of a list at a path, which may hold `[*]` more than once; null if there is no list. */
export function elementsOf(record: unknown, { steps }: Path): readonly Element[] | null {
  // `data` means the same as `data[*]`.
  const all: readonly Step[] = steps.at(-1) === EACH ? steps : [...steps, EACH];
  let elements: readonly Element[] = [{ value: record, path: [] }];
  for (const one of all) {
    const next: Element[] = [];
    for (const { value, path } of elements) {
      if (one !== EACH) next.push({ value: step(value, one), path: [...path, one] });
      else if (!Array.isArray(value)) return null;
      else for (const [index, inner] of value.entries()) next.push({ value: inner, path: [...path, index] });
    }
    elements = next;
  }
  return elements;
}
