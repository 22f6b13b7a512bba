/** docs/mapping.md: every example in it is true, and every mapper has one. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { symbolOf } from "../../channel/name.ts";
import { DECLARATIVE_KINDS, type DeclarativeSpec, FIELDS, judgeDeclarative } from "./declarative/mod.ts";
import { createMapper, mapperNames } from "./mod.ts";

const text = await Bun.file(join(import.meta.dir, "../../../docs/mapping.md")).text();
const learn = (market: string, spelling: string): string =>
  (market === "spot" ? "" : `${market}:`) + symbolOf(spelling);

const SECTION = /^### (.+)$/gm;
const DECLARED = /```json mapper\n(.*?)\n```/gs;
const EXAMPLE = /```json record\n(.*?)\n```\n\n```json updates\n(.*?)\n```/gs;

interface Example {
  /** Of the section it stands in, which may be of two; of one in which mappers are declared, the last of these. */
  readonly names: readonly string[];
  readonly declared: readonly DeclarativeSpec[];
  readonly record: string;
  readonly updates: unknown;
}

function examples(): Example[] {
  const heads = [...text.matchAll(SECTION)].map((match) => ({ at: match.index, names: match[1]!.split(", ") }));
  const mappers = [...text.matchAll(DECLARED)].map((match) => ({
    at: match.index,
    spec: JSON.parse(match[1]!) as DeclarativeSpec,
  }));
  return [...text.matchAll(EXAMPLE)].map((match) => {
    const isBefore = ({ at }: { readonly at: number }): boolean => at < match.index;
    const head = heads.findLast(isBefore);
    const mapper = mappers.findLast(isBefore);
    const updates = JSON.parse(match[2]!) as unknown;
    const isDeclared = mapper !== undefined && text.slice(mapper.at, match.index).split("```").length === 3;
    if (isDeclared) return { names: [mapper.spec.name], declared: [mapper.spec], record: match[1]!, updates };
    return { names: head?.names ?? [], declared: [], record: match[1]!, updates };
  });
}

test("mapping document - every example is what its mapper says", () => {
  for (const { names, declared, record, updates } of examples()) {
    for (const spec of declared) expect([spec.name, judgeDeclarative(spec as never)]).toEqual([spec.name, []]);
    const said = names.map((name) => createMapper(name, { learn, window: 1000 }, declared).map(record));
    expect(said).toContainEqual(updates as never);
  }
});

test("mapping document - every mapper that is not for our own sources has an example", () => {
  const shown = new Set(examples().flatMap(({ names }) => names));
  expect(mapperNames.filter((name) => !shown.has(name))).toEqual(["typed"]);
  expect(examples().flatMap(({ declared }) => declared)).toHaveLength([...text.matchAll(DECLARED)].length);
});

test("mapping document - the table of declarative fields has them all", () => {
  const row = (kind: string): string[] => {
    const line = text.split("\n").find((one) => one.startsWith(`| \`${kind}\` |`)) ?? "";
    return [...line.matchAll(/`([A-Za-z]+)`/g)].map((one) => one[1]!);
  };
  for (const kind of DECLARATIVE_KINDS) {
    const named = new Set([...row(kind), "symbol", "market"]);
    expect([kind, Object.keys(FIELDS[kind]).filter((name) => !named.has(name))]).toEqual([kind, []]);
  }
});
