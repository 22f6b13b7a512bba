/** The program as a person starts it: processes, exit statuses, signals, pipes. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { TempFolder } from "../lib/temp-folder.ts";
import { waitFor } from "../lib/wait.ts";

const root = resolve(import.meta.dir, "../..");
const program = [process.execPath, "--max-http-header-size=131072", join(root, "bin", "tidegate.ts")];

/** The test's own environment without settings that would change the program under test. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TIDEGATE_")));

class Program {
  out = "";
  err = "";
  readonly process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #ends: Promise<unknown>;

  constructor(args: readonly string[], more: Record<string, string> = {}) {
    this.process = Bun.spawn([...program, ...args], {
      cwd: tmpdir(),
      env: { ...env, ...more },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#ends = Promise.all([this.#read("out", this.process.stdout), this.#read("err", this.process.stderr)]);
  }

  async #read(name: "out" | "err", stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) this[name] += decoder.decode(bytes, { stream: true });
  }

  /** The exit status, when everything it said was read. */
  async status(): Promise<number> {
    const status = await this.process.exited;
    await this.#ends;
    return status;
  }

  until(condition: (program: Program) => boolean, what: string): Promise<void> {
    return waitFor(
      () => condition(this) || this.process.exitCode !== null,
      () => `${what}: stdout ${this.out}, stderr ${this.err}`,
    );
  }
}

async function serving(...flags: string[]): Promise<{ node: Program; url: string; admin: string }> {
  const node = new Program([
    "serve",
    "--port",
    "0",
    "--admin-port",
    "0",
    "--workers",
    "1",
    "--drain-seconds",
    "0",
    "--log-format",
    "json",
    ...flags,
  ]);
  await node.until(({ out }) => out.includes("node is up"), "the node comes up");
  const line = node.out.split("\n").find((text) => text.includes("node is up"));
  const { public: url, admin } = JSON.parse(line ?? "{}") as { public: string; admin: string };
  return { node, url, admin };
}

let shared: Awaited<ReturnType<typeof serving>>;
beforeAll(async () => {
  shared = await serving();
});
afterAll(async () => {
  shared.node.process.kill("SIGTERM");
  await shared.node.status();
});

const tail = (...args: string[]): Program => new Program(["tail", "--url", shared.url, ...args]);

test("cli - tail --json prints pushes as they came, one a line, and nothing else on stdout", async () => {
  const program = tail("--json", "-n", "4", "btcusdt@depth");
  expect(await program.status()).toBe(0);
  const pushes = program.out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(pushes.map(({ type }) => type)).toEqual(["snapshot", "delta", "delta", "delta"]);
  expect(new Set(pushes.map(({ channel }) => channel))).toEqual(new Set(["btcusdt@depth"]));
});

test("cli - tail without a terminal prints plain lines", async () => {
  const program = tail("-n", "3", "btcusdt@bookTicker", "btcusdt@depth");
  expect(await program.status()).toBe(0);
  const lines = program.out.trimEnd().split("\n");
  expect(lines.length).toBeGreaterThanOrEqual(3);
  for (const line of lines)
    expect(line).toMatch(/^\d\d:\d\d:\d\d\.\d{3} btcusdt@\w+ .*bid [\d.]+ x [\d.]+ {2}ask [\d.]+ x /);
});

test("cli - tail says which channels are unknown, goes on with the others, and ends with 1 if there is none", async () => {
  const some = tail("--json", "-n", "1", "btcusdx@depth", "ethusdt@bookTicker");
  expect(await some.status()).toBe(0);
  const none = tail("btcusdx@depth", "nothing@here");
  expect(await none.status()).toBe(1);
  expect(none.err).toContain("btcusdx@depth: unknown channel (1203): did you mean btcusdt@depth?");
  expect(none.err).toContain("nothing@here: unknown channel (1203): symbols here are btcusdt,");
  expect(none.out).toBe("");
});

test("cli - tail ends with 0 on Ctrl-C, and when its pipe is closed", async () => {
  const interrupted = tail("--json", "btcusdt@depth");
  await interrupted.until(({ out }) => out.includes("\n"), "a first push");
  interrupted.process.kill("SIGINT");
  expect(await interrupted.status()).toBe(0);
  const [bun = "", ...args] = program;
  const words = [bun, ...args, "tail", "--url", shared.url, "--json", "btcusdt@depth"].map((word) => `'${word}'`);
  const piped = Bun.spawn(["bash", "-c", `${words.join(" ")} | head -n 1; echo "status \${PIPESTATUS[0]}"`], {
    env,
    stdin: "ignore",
    stderr: "pipe",
  });
  const said = await new Response(piped.stdout).text();
  expect(said).toMatch(/^\{"channel":"btcusdt@depth",.*\}\nstatus 0\n$/);
  expect(await new Response(piped.stderr).text()).not.toContain("EPIPE");
});

test("cli - tail of a node that is not there says so, and what to do", async () => {
  const closed = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = closed;
  closed.stop(true);
  const program = new Program(["tail", "btcusdt@depth"], { TIDEGATE_URL: `${port}` });
  await program.until(({ err }) => err.includes("\n"), "a word about the node");
  expect(program.err).toStartWith(`cannot reach ws://127.0.0.1:${port}/ws/quote/v1 (`);
  expect(program.err).toContain("npm start");
  program.process.kill("SIGINT");
  expect(await program.status()).toBe(0);
});

test.concurrent("cli - a reader that comes late gets all of the output; a full disk is told, with status 1", async () => {
  const sample = join(root, "test", "fixtures", "original-sample.json");
  const record = '{"symbol":"BTCUSDT","price":"1","quantity":"1","side":"buy","time":1}\n';
  const count = 5000;
  const late = Bun.spawn([...program, "config", "dry-run", sample, "--topic", "fanout.trade.btcusdt"], {
    env,
    stdin: new Blob([record.repeat(count)]),
    stdout: "pipe",
    stderr: "inherit",
  });
  const full = Bun.spawn(["sh", "-c", `exec "$@" > /dev/full`, "sh", ...program, "version"], { env, stderr: "pipe" });
  expect([await full.exited, await new Response(full.stderr).text()]).toEqual([
    1,
    expect.stringMatching(/^tidegate: cannot write the output: ENOSPC[^\n]*\n$/),
  ]);
  const text = await new Response(late.stdout).text();
  expect([await late.exited, text.match(/^record \d+: 1 update$/gm)?.length]).toEqual([0, count]);
});

test.concurrent("cli - a recording of nothing ends with 1", async () => {
  using folder = new TempFolder();
  const out = join(folder.path, "nothing.txt");
  const program = new Program(["record", "ws://127.0.0.1:1/", "--out", out, "--seconds", "1"]);
  expect(await program.status()).toBe(1);
  expect(program.err).toContain("ws://127.0.0.1:1/: upstream is not connected: Failed to connect\n");
  expect(program.err).toEndWith("tidegate: nothing was recorded: ws://127.0.0.1:1/ sent nothing\n");
});

test("cli - a second node on the same port is refused in one line, and the first one does not notice", async () => {
  const { port } = new URL(shared.url);
  const second = new Program(["serve", "--port", port, "--admin-port", "0"]);
  expect(await second.status()).toBe(1);
  expect(second.err).toMatch(new RegExp(`^tidegate: port ${port} [^\\n]*--port[^\\n]*\\n$`));
  expect((await fetch(`${shared.admin}/readyz`)).status).toBe(200);
});

test("cli - admin answers, and the ports stand in the log", async () => {
  expect(await (await fetch(`${shared.admin}/healthz`)).json()).toMatchObject({ status: "ok" });
  await waitFor(async () => {
    const metrics = await (await fetch(`${shared.admin}/metrics`)).text();
    return (
      /^tidegate_delivered_total [1-9]/m.test(metrics) && /^tidegate_records_total\{source="sim"\} [1-9]/m.test(metrics)
    );
  }, "metrics count what was delivered");
});

test("cli - wrong flags, variables and files end with 2 and one line, before anything starts", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-cli-"));
  try {
    const config = join(folder, "c.json");
    await Bun.write(config, '{"prot":1}');
    const recording = join(folder, "feed");
    await Bun.write(recording, "this is no recording\n");
    const wrong: [args: string[], more: Record<string, string>, says: RegExp][] = [
      [["serve", "--prot", "1"], {}, /unknown option '--prot' \(Did you mean --port\?\)/],
      [["serve"], { TIDEGATE_WORKERS: "many" }, /TIDEGATE_WORKERS: "many" is wrong, want a whole number/],
      [["serve", "--config", config], {}, /prot: no such field, did you mean "port"\?/],
      [["serve", "--port", "0", "--admin-port", "0", "--replay", recording, "--log-level", "silent"], {}, /feed/],
      [["nonsense"], {}, /unknown command 'nonsense'/],
    ];
    const programs = wrong.map(([args, more]) => new Program(args, more));
    for (const [at, program] of programs.entries()) {
      expect([wrong[at]?.[0], await program.status(), program.out]).toEqual([wrong[at]?.[0], 2, ""]);
      expect(program.err).toMatch(/^tidegate: [^\n]+\n$/);
      expect(program.err).toMatch(wrong[at]?.[2] ?? /$^/);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("cli - SIGTERM stops a node in order, with status 0 and its clients closed", async () => {
  const { node, url } = await serving("--sim-rate", "100");
  const client = new WebSocket(`${url.replace("http", "ws")}/ws/quote/v1`);
  const closed = Promise.withResolvers<number>();
  client.onclose = ({ code }) => closed.resolve(code);
  await new Promise<void>((open) => {
    client.onopen = () => open();
  });
  node.process.kill("SIGTERM");
  expect(await node.status()).toBe(0);
  expect(await closed.promise).toBe(1012);
  expect(node.out).toContain('"msg":"stopping"');
  expect(node.err).toBe("");
});
