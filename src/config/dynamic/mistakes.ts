/**
 * Mistakes in a document: collected by path, said in sentences, and found in the text at the end.
 *
 * At the limit: so many are collected as a person may read (MISTAKES_MAX), the others are counted in one more line; only
 * the first SUGGESTIONS_MAX are given a "did you mean", because looking for that takes time.
 */
import type { z } from "zod";
import { type JsonPath, Lines, spotsOf } from "../../lib/json-scan.ts";
import { nearest } from "../../lib/nearest.ts";
import type { Mistake } from "./types.ts";

export const MISTAKES_MAX = 1000;
const SUGGESTIONS_MAX = 100;
const KNOWN_MAX = 2000;
const VALUE_LENGTH_MAX = 60;

interface Found {
  readonly path: JsonPath;
  readonly message: string;
}

export class Mistakes {
  readonly #found: Found[] = [];
  readonly #known = new Set<string>();
  #suggestions = 0;
  #more = 0;

  get any(): boolean {
    return this.#found.length > 0;
  }

  /** The same one again changes nothing: two checks may come to it. */
  add(path: JsonPath, message: string): void {
    const key = `${JSON.stringify(path)} ${message}`;
    if (this.#known.has(key)) return;
    if (this.#known.size < MISTAKES_MAX) this.#known.add(key);
    if (this.#found.length < MISTAKES_MAX) this.#found.push({ path, message });
    else this.#more++;
  }

  /** `no data source "x", did you mean "y"?` */
  unknown(path: JsonPath, what: string, name: string, known: readonly string[]): void {
    this.add(path, `no ${what} ${JSON.stringify(name)}${this.#suggestion(name, known)}`);
  }

  unknownField(path: JsonPath, name: string, known: readonly string[]): void {
    this.add([...path, name], `no such field${this.#suggestion(name, known) || ": remove it"}`);
  }

  /** `value`: as it stands in the document; undefined if nothing does. */
  wrong(path: JsonPath, value: unknown, wanted: string): void {
    this.add(path, value === undefined ? `is missing, want ${wanted}` : `${said(value)} is wrong, want ${wanted}`);
  }

  /** What zod found in `value`, which stands at `path`. */
  addIssues(issues: readonly z.core.$ZodIssue[], schema: z.core.$ZodType, value: unknown, path: JsonPath): void {
    for (const issue of issues) this.#issue(issue, schema, value, path);
  }

  /** All of them, with their places in the document's text. */
  located(text: string): readonly Mistake[] {
    const spots = spotsOf(text, this.#found.map(placeOf));
    const lines = new Lines(text);
    const all = this.#found.map(({ path, message }, index) => ({
      path: pathText(path),
      message,
      ...lines.of(spots[index]?.start ?? 0),
    }));
    all.sort((a, b) => a.line - b.line || a.column - b.column);
    if (this.#more > 0) all.push({ path: "", message: `and ${this.#more} mistakes more`, line: 1, column: 1 });
    return all;
  }

  #issue(issue: z.core.$ZodIssue, schema: z.core.$ZodType, value: unknown, path: JsonPath): void {
    const inner = issue.path.map((step) => (typeof step === "symbol" ? String(step) : step));
    const at = [...path, ...inner];
    const found = inner.reduce<unknown>(
      (object, step) => (object as Record<string, unknown> | undefined)?.[step],
      value,
    );
    if (issue.code === "unrecognized_keys") {
      const known = fieldsAt(schema, inner);
      for (const key of issue.keys) this.unknownField(at, key, known);
    } else if (issue.code === "invalid_union") {
      const branch = branchOf(issue.errors);
      if (branch.length === 0) this.wrong(at, found, issue.message);
      for (const one of branch) this.#issue({ ...one, path: [...issue.path, ...one.path] }, schema, value, path);
    } else this.wrong(at, found, issue.message);
  }

  #suggestion(name: string, known: readonly string[]): string {
    if (++this.#suggestions > SUGGESTIONS_MAX || name.length > VALUE_LENGTH_MAX) return "";
    const close = nearest(name, known.slice(0, KNOWN_MAX));
    return close === null ? "" : `, did you mean ${JSON.stringify(close)}?`;
  }
}

/** Faults of the branch that was meant: with the fewest, and none of the value as a whole; none if it fits no branch. */
function branchOf(branches: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] {
  const meant = branches.filter((issues) =>
    issues.every((issue) => issue.path.length > 0 || issue.code === "unrecognized_keys"),
  );
  return meant.toSorted((a, b) => a.length - b.length)[0] ?? [];
}

/** Names of the fields of the object at `path`; of a union's objects, all. */
function fieldsAt(schema: z.core.$ZodType, path: JsonPath): readonly string[] {
  const { def } = schema._zod as { readonly def: Definition };
  if (def.innerType !== undefined) return fieldsAt(def.innerType, path);
  if (def.in !== undefined) return fieldsAt(def.in, path);
  if (def.options !== undefined) return [...new Set(def.options.flatMap((option) => fieldsAt(option, path)))];
  const [step, ...rest] = path;
  if (step === undefined) return Object.keys(def.shape ?? {});
  const inside = def.element ?? def.valueType ?? def.shape?.[String(step)];
  return inside === undefined ? [] : fieldsAt(inside, rest);
}

/** Of zod's definitions what leads inwards. */
interface Definition {
  readonly innerType?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
  readonly options?: readonly z.core.$ZodType[];
  readonly element?: z.core.$ZodType;
  readonly valueType?: z.core.$ZodType;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
}

const PLAIN = /^[A-Za-z_$][\w$-]*$/;

/** `routes[0].mappings[2].mapper`, `datasource[0].properties["group.id"]`. */
export function pathText(path: JsonPath): string {
  return path
    .map((step, index) => {
      if (typeof step === "number") return `[${step}]`;
      if (!PLAIN.test(step)) return `[${JSON.stringify(step)}]`;
      return index === 0 ? step : `.${step}`;
    })
    .join("");
}

function said(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > VALUE_LENGTH_MAX ? `${text.slice(0, VALUE_LENGTH_MAX)}...` : text;
}

const placeOf = ({ path }: Found): JsonPath => path;

/** `routes[0].data_source (line 7): no data source "x"`, of the whole document `line 7: not JSON`. */
export function mistakeText({ path, message, line }: Mistake): string {
  return path === "" ? `line ${line}: ${message}` : `${path} (line ${line}): ${message}`;
}

const TOLD_MAX = 10;

/** Several on one line. */
export function mistakesText(mistakes: readonly Mistake[]): string {
  const more = mistakes.length > TOLD_MAX ? `; and ${mistakes.length - TOLD_MAX} more` : "";
  return mistakes.slice(0, TOLD_MAX).map(mistakeText).join("; ") + more;
}
