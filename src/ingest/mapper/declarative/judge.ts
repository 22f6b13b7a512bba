/**
 * Judges a declarative mapper as it stands in a configuration: fields of its kind, paths, constants and units.
 *
 * Takes what may be wrong anywhere: types have been judged by the schema, and what it has told is passed over here.
 */
import { isDecimal } from "../../../channel/decimal.ts";
import { nearest } from "../../../lib/nearest.ts";
import { FIELDS, type Field } from "./fields.ts";
import { hasEach, parsePath } from "./path.ts";
import { DECLARATIVE_KINDS } from "./spec.ts";

export interface Fault {
  /** Inside the mapper. */
  readonly path: readonly string[];
  readonly message: string;
}

type Raw = Readonly<Record<string, unknown>>;
type Tell = (path: readonly string[], message: string) => void;

const isRaw = (value: unknown): value is Raw => typeof value === "object" && value !== null && !Array.isArray(value);

export function judgeDeclarative(mapper: Raw): readonly Fault[] {
  const faults: Fault[] = [];
  const tell: Tell = (path, message) => faults.push({ path, message });
  if (typeof mapper.items === "string" && parsePath(mapper.items) === null) tell(["items"], wantPath(mapper.items));
  judgeWhen(mapper.when, ["when"], tell);
  const kind = DECLARATIVE_KINDS.find((one) => one === mapper.kind);
  if (kind === undefined || !isRaw(mapper.fields)) return faults;
  const known = FIELDS[kind];
  for (const [name, field] of Object.entries(known)) {
    if (field.required && !Object.hasOwn(mapper.fields, name)) {
      tell(["fields", name], `is missing, want where the ${name} of a ${kind} stands`);
    }
  }
  for (const [name, spec] of Object.entries(mapper.fields)) {
    const field = Object.hasOwn(known, name) ? known[name] : undefined;
    if (field !== undefined) judgeField(spec, field, ["fields", name], tell);
    else tell(["fields", name], `a ${kind} has no such field${suggestion(name, Object.keys(known))}`);
  }
  if (kind === "depth" && !("bids" in mapper.fields) && !("asks" in mapper.fields)) {
    tell(["fields"], "want bids, asks or both");
  }
  return faults;
}

function judgeField(spec: unknown, field: Field, at: readonly string[], tell: Tell): void {
  if (typeof spec === "string") {
    judgePath(spec, at, tell, field.type === "levels");
    return;
  }
  if (!isRaw(spec)) return;
  if (field.type === "levels") judgeLevels(spec, at, tell);
  else judgeValue(spec, field, at, tell);
}

function judgeLevels(spec: Raw, at: readonly string[], tell: Tell): void {
  for (const name of ["const", "values", "unit", "default"]) {
    if (name in spec) tell([...at, name], "a list of levels has none: want path, price, quantity and when");
  }
  judgePath(spec.path, [...at, "path"], tell, true);
  judgePath(spec.price, [...at, "price"], tell);
  judgePath(spec.quantity, [...at, "quantity"], tell);
  judgeWhen(spec.when, [...at, "when"], tell);
}

function judgeValue(spec: Raw, field: Field, at: readonly string[], tell: Tell): void {
  for (const name of ["price", "quantity", "when"])
    if (name in spec) tell([...at, name], "only bids and asks have that");
  if ("path" in spec === "const" in spec) tell(at, "want either path or const");
  judgePath(spec.path, [...at, "path"], tell);
  if (field.type === "part" && Object.keys(spec).some((name) => name !== "path")) {
    tell(at, "is taken as it stands: want a path alone");
    return;
  }
  if ("unit" in spec && field.type !== "time") tell([...at, "unit"], "only times have a unit");
  judgeConstant(spec.const, field, [...at, "const"], tell);
  judgeConstant(spec.default, field, [...at, "default"], tell);
  if (!isRaw(spec.values)) return;
  for (const [from, to] of Object.entries(spec.values)) judgeConstant(to, field, [...at, "values", from], tell);
}

const WANTED: Readonly<Record<Field["type"], string>> = {
  decimal: 'a decimal as text, such as "0.10"',
  whole: "a whole number",
  time: "a time as a whole number",
  text: "a text",
  id: "a text or a number",
  boolean: "true or false",
  levels: "a list",
  part: "a path",
};

/** Constants are ours already: of the field's own type, times in ms. */
function judgeConstant(value: unknown, { type, oneOf }: Field, at: readonly string[], tell: Tell): void {
  if (value === undefined) return;
  if (oneOf !== undefined) {
    if (!oneOf.includes(String(value))) tell(at, `${JSON.stringify(value)} is wrong, want one of ${oneOf.join(", ")}`);
    return;
  }
  const fits =
    type === "decimal"
      ? isDecimal(value)
      : type === "whole" || type === "time"
        ? Number.isSafeInteger(value)
        : type === "boolean"
          ? typeof value === "boolean"
          : type === "id" || typeof value === "string";
  if (!fits) tell(at, `${JSON.stringify(value)} is wrong, want ${WANTED[type]}`);
}

function judgeWhen(when: unknown, at: readonly string[], tell: Tell): void {
  if (!isRaw(when)) return;
  for (const path of Object.keys(when)) judgePath(path, [...at, path], tell);
}

function judgePath(text: unknown, at: readonly string[], tell: Tell, each = false): void {
  if (typeof text !== "string" || text === "") return;
  const path = parsePath(text);
  if (path === null) tell(at, wantPath(text));
  else if (hasEach(path) && !each) tell(at, `${JSON.stringify(text)} has [*], which only items, bids and asks have`);
  else if (path.steps.slice(0, -1).some((step) => typeof step === "symbol")) {
    tell(at, `${JSON.stringify(text)} has [*] inside, want it at the end`);
  }
}

const wantPath = (text: string): string =>
  `${JSON.stringify(text)} is wrong, want a path such as data.p, levels[0], $.time or data["a.b"]`;

function suggestion(name: string, known: readonly string[]): string {
  const close = nearest(name, known);
  return close === null ? `: want ${known.join(", ")}` : `, did you mean ${JSON.stringify(close)}?`;
}
