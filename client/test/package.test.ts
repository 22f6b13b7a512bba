/** The package as its users get it: built, packed, installed; in Node, in Bun, in a browser's bundle; its README's examples. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createContext, runInContext } from "node:vm";
import { startPlayingNode } from "../../test/lib/playing-node.ts";
import { TempFolder } from "../../test/lib/temp-folder.ts";
import type { TestNode } from "../../test/lib/test-node.ts";
import { TEST_MS_MAX } from "../../test/lib/wait.ts";

// npm, tsc and several runtimes are started here.
setDefaultTimeout(2 * TEST_MS_MAX);

const here = resolve(import.meta.dir, "..");
const modules = resolve(here, "../node_modules");
const folder = new TempFolder();
const home = join(folder.path, "consumer");
const installed = join(home, "node_modules", "tidegate-client");
let node: TestNode;

/** Runs a command to its end; what it says, or an error with it. */
async function run(cwd: string, ...command: string[]): Promise<string> {
  const env = { ...process.env, PATH: `${join(modules, ".bin")}:${process.env.PATH}`, NO_COLOR: "1" };
  const child = Bun.spawn(command, { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status !== 0) throw new Error(`${command.join(" ")} ended with ${status}:\n${out}${err}`);
  return out;
}

const examples = (): string[] =>
  [...readFileSync(join(here, "README.md"), "utf8").matchAll(/```ts\n(.*?)```/gs)].map(([, code = ""]) =>
    code.replaceAll("ws://127.0.0.1:8080", node.ws),
  );

beforeAll(async () => {
  // Built in a folder of its own, so that nothing is written into the checkout.
  const copy = join(folder.path, "client");
  for (const name of ["src", "package.json", "tsconfig.build.json", "README.md", "LICENSE"])
    cpSync(join(here, name), join(copy, name), { recursive: true });
  await run(copy, "npm", "pack", "--loglevel=error", "--pack-destination", folder.path);
  mkdirSync(home);
  writeFileSync(join(home, "package.json"), '{"name":"consumer","private":true,"type":"module"}');
  const archive = join(folder.path, readdirSync(folder.path).find((name) => name.endsWith(".tgz")) ?? "none");
  // What an installation comes to, for a package without dependencies.
  mkdirSync(installed, { recursive: true });
  await run(installed, "tar", "-xzf", archive, "--strip-components=1");
  node = await startPlayingNode(folder);
});

afterAll(async () => {
  folder[Symbol.dispose]();
  await node?.[Symbol.asyncDispose]();
});

test("client package - holds the code, its types, the README and the licence, and nothing else", () => {
  const files = readdirSync(installed, { recursive: true }).map(String).sort();
  expect(files.filter((name) => !name.startsWith("dist"))).toEqual(["LICENSE", "README.md", "package.json"]);
  const built = files.filter((name) => name.startsWith("dist/"));
  expect(built).toContain("dist/mod.js");
  expect(built.filter((name) => !/\.(js|d\.ts)$/.test(name) || name.includes(".test."))).toEqual([]);
  expect(built.filter((name) => name.endsWith(".js")).length).toBe(built.length / 2);
  const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  expect(manifest).not.toHaveProperty("dependencies");
  expect(readFileSync(join(installed, "LICENSE"), "utf8")).toBe(readFileSync(resolve(here, "../LICENSE"), "utf8"));
});

const consumer = (url: string): string => `
import { connect } from "tidegate-client";
const client = connect("${url}", process.argv[2] === "ws" ? { WebSocket: (await import(process.argv[3])).WebSocket } : {});
const depth = client.subscribe("btcusdt@depth");
let trades = 0;
for await (const update of client.subscribe("btcusdt@trade")) {
  trades += update.type === "gap" ? 0 : update.data.length;
  if (trades > 3 && depth.state === "fresh") break;
}
console.log(JSON.stringify({ state: depth.state, bid: depth.book.bestBid, crossed: depth.book.crossed }));
client.close();
`;

const works = (said: string): void => {
  expect(JSON.parse(said)).toEqual({
    state: "fresh",
    bid: [expect.stringMatching(/^\d+\.\d+$/), expect.stringMatching(/^\d+\.\d+$/)],
    crossed: false,
  });
};

test("client package - runs on Node, with a WebSocket that is given and with that of Node, and on Bun", async () => {
  writeFileSync(join(home, "consumer.mjs"), consumer(node.ws));
  const ws = join(modules, "ws", "wrapper.mjs");
  works(await run(home, "node", "consumer.mjs", "ws", ws));
  works(await run(home, process.execPath, "consumer.mjs"));
  const major = Number((await run(home, "node", "-p", "process.versions.node")).split(".")[0]);
  if (major >= 22) works(await run(home, "node", "consumer.mjs"));
  else {
    works(await run(home, "node", "--no-warnings", "--experimental-websocket", "consumer.mjs"));
    const failure = await run(home, "node", "consumer.mjs").catch(String);
    expect(failure).toContain("this runtime has no WebSocket");
    expect(failure).toContain("connect(url, { WebSocket })");
  }
});

test("client package - every example of its README has the types that it says, and runs", async () => {
  const all = examples();
  expect(all.length).toBeGreaterThan(5);
  for (const [at, code] of all.entries()) writeFileSync(join(home, `example${at}.ts`), code);
  writeFileSync(
    join(home, "types.ts"),
    `import { connect, type Candle, type Client, type Trade, type WindowTicker } from "tidegate-client";
    const client: Client = connect("ws://node");
    const window: WindowTicker | null = client.subscribe("usdm:btcusdt@ticker_4h").value;
    const name: string = "btcusdt@depth";
    for await (const update of client.subscribe(name)) if (update.type === "items") console.log(update.data, window);
    for await (const update of client.subscribe("btcusdt@trade")) {
      const trades: readonly Trade[] = update.type === "gap" ? [] : update.data;
      // @ts-expect-error only items and gaps
      if (update.type === "value") console.log(trades);
    }
    for await (const update of client.subscribe("btcusdt@kline_1m")) {
      const candles: readonly Candle[] = update.type === "gap" ? [] : update.data;
      console.log(candles);
    }
    // @ts-expect-error a book is no value
    client.subscribe("btcusdt@depth").value;
    // @ts-expect-error trades have no book
    client.subscribe("btcusdt@trade").book;
    // @ts-expect-error no such event
    client.on("nothing", () => undefined);
    client.on("lost", ({ retryMs }) => retryMs.toFixed());`,
  );
  const options = {
    target: "ES2022",
    module: "NodeNext",
    lib: ["ES2022", "DOM"],
    types: [],
    strict: true,
    noEmit: true,
  };
  writeFileSync(join(home, "tsconfig.json"), JSON.stringify({ compilerOptions: options, include: ["*.ts"] }));
  await run(home, "tsc", "-p", home);
  const said = await Promise.all(all.map((_, at) => run(home, process.execPath, `example${at}.ts`)));
  expect(said.map((text) => text.trim().length > 0)).toEqual(all.map(() => true));
  expect(said.join("")).toContain("1203 nothing@trade: unknown channel (1203)");
  expect(said.at(-1)).toBe("true\nfalse\n");
});

/** What a page has. */
const pageGlobals = { URL, console, performance, setTimeout, clearTimeout, queueMicrotask };

test("client package - a browser's bundle of it imports nothing, and runs with what a page has", async () => {
  writeFileSync(
    join(home, "page.ts"),
    'import { connect } from "tidegate-client"; connect("ws://node").subscribe("a@b");',
  );
  const built = await Bun.build({
    entrypoints: [join(home, "page.ts")],
    target: "browser",
    format: "iife",
    minify: true,
  });
  expect([built.logs.map(String), built.outputs.length]).toEqual([[], 1]);
  const code = (await built.outputs[0]?.text()) ?? "";
  expect(new Bun.Transpiler({ loader: "js" }).scanImports(code)).toEqual([]);
  // A page can afford it: some 8 KB.
  expect(Bun.gzipSync(code).length).toBeLessThan(12 * 1024);
  const urls: string[] = [];
  class PageSocket {
    constructor(url: string) {
      urls.push(url);
    }
  }
  const page = createContext({ ...pageGlobals, setTimeout: () => 0, WebSocket: PageSocket });
  runInContext("globalThis.process = globalThis.Bun = globalThis.Buffer = globalThis.require = undefined", page);
  runInContext(code, page);
  expect(urls).toEqual(["ws://node/ws/quote/v1"]);
});
