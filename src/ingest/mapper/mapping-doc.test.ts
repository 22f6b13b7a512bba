/** docs/mapping.md: every example in it is true, and every mapper has one. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { symbolOf } from "../../channel/name.ts";
import { createMapper, mapperNames } from "./mod.ts";

const text = await Bun.file(join(import.meta.dir, "../../../docs/mapping.md")).text();
const learn = (market: string, spelling: string): string =>
  (market === "spot" ? "" : `${market}:`) + symbolOf(spelling);

const SECTION = /^### (.+)$/gm;
const EXAMPLE = /```json record\n(.*?)\n```\n\n```json updates\n(.*?)\n```/gs;

/** Examples by the mapper whose section they stand in; a section may be of two. */
function examples(): { names: string[]; record: string; updates: unknown }[] {
  const heads = [...text.matchAll(SECTION)].map((match) => ({ at: match.index, names: match[1]!.split(", ") }));
  return [...text.matchAll(EXAMPLE)].map((match) => ({
    names: heads.findLast(({ at }) => at < match.index)?.names ?? [],
    record: match[1]!,
    updates: JSON.parse(match[2]!) as unknown,
  }));
}

test("mapping document - every example is what its mapper says", () => {
  for (const { names, record, updates } of examples()) {
    const said = names.map((name) => createMapper(name, { learn, window: 1000 }).map(record));
    expect(said).toContainEqual(updates as never);
  }
});

test("mapping document - every mapper that is not for our own sources has an example", () => {
  const shown = new Set(examples().flatMap(({ names }) => names));
  expect(mapperNames.filter((name) => !shown.has(name))).toEqual(["typed"]);
});
