/** Every configuration that the documentation shows is one that a node would take, and its samples become what it says. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import Ajv2020 from "ajv/dist/2020";
import { Glob } from "bun";
import { validate } from "../../cli/config/tools.ts";
import { createDryRun } from "../../dry-run.ts";
import { dynamicContext } from "../../dynamic-context.ts";
import { configJsonSchema } from "./json-schema.ts";
import { parseDynamic } from "./parse.ts";
import { FIELDS } from "./schema.ts";

const root = join(import.meta.dir, "../../..");
const pages = ["docs/configuration.md", "docs/sources.md", "docs/operations.md", "docs/limits.md"];
pages.push(...new Glob("docs/sources/*.md").scanSync({ cwd: root }));
/** On a machine that is busy with much else. */
const BUSY_MS = 60_000;
const files = ["deploy/tidegate.json", "test/fixtures/original-sample.json"];

const BLOCK = /```json\n(.*?)\n```/gs;

interface Shown {
  readonly page: string;
  readonly text: string;
}

/** Blocks that are a document: all their fields are its fields. Parts of one are none. */
async function documents(): Promise<Shown[]> {
  const shown: Shown[] = [];
  for (const page of pages) {
    const content = await Bun.file(join(root, page)).text();
    for (const [, text = ""] of content.matchAll(BLOCK)) {
      const value = jsonOf(page, text);
      if (typeof value !== "object" || value === null) continue;
      const fields = Object.keys(value);
      if (fields.length > 0 && fields.every((field) => FIELDS.includes(field))) shown.push({ page, text });
    }
  }
  for (const file of files) shown.push({ page: file, text: await Bun.file(join(root, file)).text() });
  return shown;
}

/** Of pages about other things also null: a block may leave out what does not matter there. */
function jsonOf(page: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (/sources|configuration/.test(page)) throw new Error(`${page}: a block is no JSON: ${text}`, { cause: error });
    return null;
  }
}

test(
  "documentation - every configuration it shows passes `config validate`, without a warning",
  async () => {
    const shown = await documents();
    for (const page of pages.filter((one) => one.startsWith("docs/sources"))) {
      expect([page, shown.some((one) => one.page === page)]).toEqual([page, true]);
    }
    for (const { page, text } of shown) {
      const { text: said, isValid } = await validate(page, text, "spot", true);
      expect([page, isValid, said]).toEqual([page, true, '{"valid":true,"mistakes":[],"warnings":[]}\n']);
    }
  },
  BUSY_MS,
);

test("documentation - the JSON Schema takes what it shows, and refuses what is wrong", async () => {
  const check = new Ajv2020({ allowUnionTypes: true }).compile(configJsonSchema(dynamicContext()));
  for (const { page, text } of await documents()) {
    expect([page, check(JSON.parse(text)), check.errors]).toEqual([page, true, null]);
  }
  for (const wrong of [
    { routs: [] },
    { datasource: [{ type: "kafka" }] },
    { datasource: [{ type: "kafka", name: "k", properties: { "fetch.min.bytes": {} } }] },
    { topics: [{ topic: "a@b", rate: 0 }] },
    { limits: { subscriptionsMax: "many" } },
  ]) {
    expect([wrong, check(wrong)]).toEqual([wrong, false]);
  }
});

const SAMPLE = /```json\n([^`]*)\n```\n\n```json sample --route (\S+) --topic (\S+)\n(.*?)\n```/gs;

test(
  "documentation - samples become updates of the channels their page shows",
  async () => {
    const content = await Bun.file(join(root, "docs/sources.md")).text();
    const samples = [...content.matchAll(SAMPLE)];
    expect(samples).toHaveLength(1);
    for (const [, document = "", route = "", topic = "", record = ""] of samples) {
      const parsed = parseDynamic(document, dynamicContext());
      if ("mistakes" in parsed) throw new Error(JSON.stringify(parsed.mistakes));
      const result = createDryRun(parsed.config, { route, topic }, "spot")(record);
      if (!("updates" in result)) throw new Error(JSON.stringify(result));
      expect(result.faults).toEqual([]);
      for (const { channel, kind, type, time, data } of result.updates) {
        expect(content).toContain(`  ${channel}  ${kind} ${type}, time ${time}\n    ${JSON.stringify(data)}\n`);
      }
    }
  },
  BUSY_MS,
);
