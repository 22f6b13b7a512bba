import { expect, test } from "bun:test";
import { type CliWorld, run } from "./program.ts";
import type { StartNode } from "./serve.ts";

async function cli(args: string[], startNode?: StartNode, more: Partial<CliWorld> = {}) {
  const said = { out: "", err: "" };
  const world: CliWorld = {
    env: { TIDEGATE_COMMIT: "abcdef0123456789" },
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
    loadNode: async () => {
      if (startNode === undefined) throw new Error("this test starts no node");
      return startNode;
    },
    loadConfigTools: () => {
      throw new Error("this test looks at no configuration");
    },
    tailWorld: () => {
      throw new Error("this test tails nothing");
    },
    loadSurroundings: () => {
      throw new Error("this test puts no load on anything");
    },
    ...more,
  };
  return { status: await run(args, world), ...said };
}

/** One line on stderr, nothing on stdout, status 2. */
async function refusal(...args: string[]): Promise<string> {
  const { status, out, err } = await cli(args);
  expect([status, out]).toEqual([2, ""]);
  expect(err).toMatch(/^tidegate: [^\n]+\n$/);
  return err.trim();
}

test("command line - version says version, Bun and commit", async () => {
  const { status, out } = await cli(["version"]);
  expect(status).toBe(0);
  expect(out).toMatch(/^tidegate \d+\.\d+\.\d+ \(bun [\d.]+, commit abcdef012345\)\n$/);
});

test("command line - help of every command ends with examples, and no command at all is help", async () => {
  for (const args of [[], ["--help"], ["serve", "--help"], ["tail", "-h"], ["drain", "--help"]]) {
    const { status, out, err } = await cli(args);
    expect([status, err]).toEqual([0, ""]);
    expect(out).toContain("Usage: tidegate");
    expect(out).toContain("Examples:");
  }
});

test("command line - a mistyped command or flag gets a suggestion", async () => {
  expect(await refusal("sreve")).toBe("tidegate: unknown command 'sreve' (Did you mean serve?)");
  expect(await refusal("serve", "--prot", "1")).toBe("tidegate: unknown option '--prot' (Did you mean --port?)");
  expect(await refusal("tail", "x", "--jsno")).toBe("tidegate: unknown option '--jsno' (Did you mean --json?)");
});

test("command line - help is a command too, and a mistake says whose help tells more", async () => {
  for (const [args, usage] of [
    [["help"], "Usage: tidegate [options]"],
    [["help", "tail"], "Usage: tidegate tail"],
    [["config", "help", "show"], "Usage: tidegate config show"],
  ] as const) {
    const { status, out, err } = await cli([...args]);
    expect([status, err]).toEqual([0, ""]);
    expect(out).toContain(usage);
  }
  expect(await refusal("tail")).toEndWith("(tidegate tail --help tells more)");
  expect(await refusal("config", "validate")).toEndWith("(tidegate config validate --help tells more)");
  expect(await refusal("config")).toBe(
    "tidegate: config: say what: validate, schema, show, dry-run (tidegate config --help tells more)",
  );
});

test("command line - what could not be printed is a failure", async () => {
  const asked: string[] = [];
  const stdout = { settled: async () => void asked.push("settled"), fault: "no space left" };
  const { status, err } = await cli(["version"], undefined, { stdout });
  expect([status, err, asked]).toEqual([1, "tidegate: cannot write the output: no space left\n", ["settled"]]);
});

test("command line - a wrong value or number of arguments says what is wanted", async () => {
  expect(await refusal("serve", "--port", "abc")).toContain(
    '--port: "abc" is wrong, want a whole number from 0 to 65535',
  );
  expect(await refusal("serve", "--port")).toContain("--port <N>");
  expect(await refusal("serve", "extra")).toContain("too many arguments");
  expect(await refusal("serve", "--config", "/does/not/exist.json")).toContain("--config /does/not/exist.json");
  expect(await refusal("serve", "--replay", "/does/not/exist")).toContain(
    "--replay: /does/not/exist is no file that exists",
  );
  expect(await refusal("tail")).toContain("missing required argument 'channel'");
  expect(await refusal("tail", "x", "--cadence", "-1")).toContain("Want a whole number from 0 on");
  expect(await refusal("tail", "x", "--url", "ftp://h")).toContain("--url");
});

test("command line - serve ends with 0 when the node has ended", async () => {
  const seen: unknown[] = [];
  const flags = ["--port", "0", "--admin-port", "0", "--workers", "2", "--log-level", "silent"];
  const { status, err } = await cli(["serve", ...flags], async (config) => {
    seen.push(config.workers, config.source);
    const never = async () => void seen.push("asked for");
    return { publicUrl: null, adminUrl: null, done: Promise.resolve(), drain: never, reload: never };
  });
  expect([status, err]).toEqual([0, ""]);
  expect(seen).toEqual([2, { kind: "sim", rate: 1000, seed: 1 }]);
});

test("command line - a port in use is one line that names the port and the flag, status 1", async () => {
  const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  try {
    const none: StartNode = () => Promise.reject(new Error("was started"));
    const asPublic = await cli(["serve", "--port", `${taken.port}`, "--admin-port", "0"], none);
    expect(asPublic.status).toBe(1);
    expect(asPublic.err).toMatch(new RegExp(`^tidegate: port ${taken.port} .*in use.*--port.*\\n$`));
    const asAdmin = await cli(["serve", "--port", "0", "--admin-port", `${taken.port}`], none);
    expect(asAdmin.status).toBe(1);
    expect(asAdmin.err).toMatch(new RegExp(`^tidegate: port ${taken.port} .*in use.*--admin-port.*\\n$`));
  } finally {
    taken.stop(true);
  }
});
