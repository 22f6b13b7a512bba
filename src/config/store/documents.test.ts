import { expect, test } from "bun:test";
import { dynamicContext } from "../../dynamic-context.ts";
import { systemClock } from "../../lib/clock.ts";
import { silentLog } from "../../lib/log.ts";
import { Documents } from "./documents.ts";

/** A document; `blanks` make it so big that it is parsed in a worker. */
const topicsAt = (rate: number, blanks = 0): string =>
  JSON.stringify({ topics: [{ topic: "a@trade", rate }] }) + " ".repeat(blanks);

test("documents - a small document that comes while a big one is judged is the last word", async () => {
  const documents = new Documents({ name: "x", context: dynamicContext(), clock: systemClock(), log: silentLog });
  await documents.first(topicsAt(1));
  const rates: unknown[] = [];
  documents.changed = ({ running }) => void rates.push(running.topics[0]?.rate);
  const offers = [topicsAt(2, 200_000), topicsAt(3)].map((text) => documents.offer(() => Promise.resolve(text)));
  expect(await Promise.all(offers)).toEqual([true, true]);
  expect(rates).toEqual([2, 3]);
});

test("documents - a refusal and its end are told once each", async () => {
  const lines: string[] = [];
  const log = { ...silentLog, error: (line: string) => lines.push(line), info: (line: string) => lines.push(line) };
  const documents = new Documents({ name: "x", context: dynamicContext(), clock: systemClock(), log });
  await documents.first(topicsAt(1));
  for (const text of ["[]x", "[]x", topicsAt(1), topicsAt(1)]) await documents.offer(() => Promise.resolve(text));
  expect(lines).toEqual([
    "the new configuration is refused, the old one stays: line 1: not JSON: want nothing more behind the value",
    "the configuration is sound again",
  ]);
  expect(documents.status().error).toBeNull();
});
