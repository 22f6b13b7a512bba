/** `tidegate config ...`: what is printed, and the exit status. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../program.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-config-"));
afterAll(() => rmSync(folder, { recursive: true }));
const sample = join(import.meta.dir, "../../../test/fixtures/original-sample.json");

function file(name: string, document: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(document));
  return path;
}

async function config(args: readonly string[], stdin = "") {
  const said = { out: "", err: "" };
  const nothing = (): never => {
    throw new Error("this test needs no node");
  };
  const status = await run(["config", ...args], {
    env: {},
    out(text) {
      said.out += text;
    },
    err(text) {
      said.err += text;
    },
    loadNode: nothing,
    loadConfigTools: () => import("./tools.ts"),
    tailWorld: nothing,
    loadSurroundings: () => ({
      progress: { write: nothing, columns: nothing },
      partCommand: [],
      onEnd: nothing,
      stdin: () => new Blob([stdin]).stream() as ReadableStream<Uint8Array<ArrayBuffer>>,
    }),
  });
  return { status, ...said };
}

const DOCUMENT = {
  datasource: [
    {
      type: "nats",
      name: "n",
      properties: { servers: "nats://me:s3cret@127.0.0.1:4222", password: "s3cret", reconnect_time_wait: 2 },
    },
  ],
  routes: [
    {
      id: "trades",
      data_source: "n",
      mappings: [
        { mapper: "acme", source_topic: "md.trade.{symbol}", fanout_topic: "t.{symbol}", ws_topic: "{symbol}@trade" },
        { mapper: "json", source_topic: "news", fanout_topic: "news", ws_topic: "announcement" },
      ],
    },
  ],
  mappers: [
    {
      name: "acme",
      kind: "trade",
      when: { e: "t" },
      fields: { symbol: "s", time: "T", price: "p", quantity: "q", side: { const: "buy" } },
    },
  ],
  instruments: [{ spelling: "BTC/USDT" }],
};
const document = file("routes.json", DOCUMENT);
const trade = JSON.stringify({ e: "t", s: "BTCUSDT", T: 5, p: "1.50", q: "2" });

test("config validate - the original sample is valid", async () => {
  const said = "2 data sources, 1 route, 3 mappings, 3 topics, 0 mappers, 0 instruments";
  expect(await config(["validate", sample])).toEqual({ status: 0, out: `${sample}: valid: ${said}\n`, err: "" });
});

test("config validate - mistakes by line, column and path, warnings apart, also as JSON", async () => {
  const path = file("bad.json", { ...DOCUMENT, routs: [], topics: [{ topic: "x y" }] });
  const { status, out } = await config(["validate", path]);
  expect(status).toBe(1);
  expect(out.split("\n")[0]).toBe(`${path}: 2 mistakes`);
  expect(out).toMatch(/\n {2}1:\d+ routs: no such field, did you mean "routes"\?\n/);
  expect(out).toMatch(/\n {2}1:\d+ topics\[0\]\.topic: "x y" is wrong/);
  const json = await config(["validate", "--json", path]);
  expect(json.status).toBe(1);
  expect(JSON.parse(json.out)).toMatchObject({ valid: false, mistakes: [{ line: 1 }, { line: 1 }], warnings: [] });
});

test("config validate - what a broker would refuse at start is a mistake, what it does not know a warning", async () => {
  const source = { type: "kafka", name: "k", properties: { "auto.offset.reset": "first", "grup.id": "x" } };
  const { status, out } = await config(["validate", file("kafka.json", { datasource: [source] })]);
  expect(status).toBe(1);
  expect(out).toMatch(/ datasource\[0\]\.properties: .*"(bootstrap\.servers|auto\.offset\.reset)"/);
  expect(out).toMatch(/ datasource\[0\]\.properties\["grup\.id"\]: .*did you mean "group\.id"\? \(a warning\)\n/);
});

test("config show - filled in, without secrets", async () => {
  const { status, out } = await config(["show", document]);
  expect(status).toBe(0);
  expect(out).not.toContain("s3cret");
  expect(JSON.parse(out)).toMatchObject({
    datasource: [{ version: 1, properties: { servers: "nats://***@127.0.0.1:4222", password: "***" } }],
    instruments: [{ market: "spot", base: "BTC", status: "trading" }],
  });
});

test("config schema - the text of docs/config.schema.json (else run npm run docs)", async () => {
  const { out } = await config(["schema"]);
  const page = await Bun.file(join(import.meta.dir, "../../../docs/config.schema.json")).text();
  expect(page === out).toBe(true);
});

test("config dry-run - a record becomes updates of a route's channels", async () => {
  const { status, out } = await config(["dry-run", document, "--topic", "md.trade.btcusdt"], trade);
  expect(status).toBe(0);
  expect(out).toBe(
    `record 1: 1 update\n  btcusdt@trade  trade items, time 5\n    [{"id":"","t":-1,"price":"1.50","quantity":"2","side":"buy","time":5}]\n`,
  );
  const news = await config(["dry-run", document, "--route", "trades", "--topic", "news"], '{"text":\n"hello"}');
  expect(news.out).toContain('  announcement  json value, time 0\n    {"json":"{\\"text\\": \\"hello\\"}"}');
});

test("config - a byte order mark is no mistake; a comment is one, with its place", async () => {
  const path = join(folder, "marked.json");
  writeFileSync(path, `\uFEFF${JSON.stringify(DOCUMENT)}`);
  expect((await config(["show", path])).status).toBe(0);
  expect(await config(["validate", path])).toMatchObject({
    status: 0,
    out: expect.stringContaining("marked.json: valid"),
  });
  writeFileSync(path, '{\n  "topics": [] // none\n}');
  const { status, out } = await config(["validate", path]);
  expect([status, out.split("\n")[1]]).toEqual([
    1,
    "  2:16 not JSON: comments are not allowed in JSON: leave this one out",
  ]);
});

test("config dry-run - and why it becomes nothing", async () => {
  const records = [trade.replace('"t"', '"x"'), trade.replace("1.50", "1,50"), "{"].join("\n");
  const { status, out } = await config(["dry-run", document, "--topic", "md.trade.btcusdt"], records);
  expect(status).toBe(1);
  expect(out.split("\n")).toEqual([
    "record 1: skipped as filtered: no mapping takes it: a filter does not hold, or it is of another interval or kind",
    "record 2: malformed: p: want a decimal",
    "record 3: malformed: not JSON",
    "",
  ]);
  const other = await config(["dry-run", document, "--json", "--topic", "md.trade.ethusdt"], trade);
  expect(other).toEqual({
    status: 0,
    out: '{"skipped":"unmatched","advice":"list its symbol in instruments"}\n',
    err: "",
  });
});

test("config dry-run - one mapper alone, and what cannot be run", async () => {
  const alone = await config(["dry-run", document, "--mapper", "acme"], trade);
  expect([alone.status, alone.out.includes("btcusdt@trade")]).toEqual([0, true]);
  const refusal = async (...args: string[]) => {
    const { status, out, err } = await config(["dry-run", document, ...args]);
    expect([status, out]).toEqual([2, ""]);
    return err;
  };
  expect(await refusal()).toBe("tidegate: --topic: say on which topic the record came: md.trade.{symbol}, news\n");
  expect(await refusal("--topic", "nws")).toContain("--topic nws is none of md.trade.{symbol}, news");
  expect(await refusal("--route", "trade")).toBe('tidegate: no route "trade", did you mean "trades"?\n');
  expect(await refusal("--mapper", "acne")).toBe('tidegate: no mapper "acne", did you mean "acme"?\n');
  expect(await refusal("--mapper", "acme", "--route", "trades")).toContain("exclude each other");
});

test("config - a wrong command line is one line and status 2", async () => {
  for (const args of [
    [],
    ["validate"],
    ["validate", join(folder, "none.json")],
    ["nonsense"],
    ["show", document, "--default-market", "A"],
  ]) {
    const { status, err } = await config(args);
    expect([args, status, err.split("\n").length]).toEqual([args, 2, 2]);
  }
});
