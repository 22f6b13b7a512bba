/** `tidegate load` as a program: against a real node it finds nothing, behind a relay that corrupts it finds everything. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Report } from "../../load/mod.ts";
import { type CliWorld, run } from "../../src/cli/program.ts";
import { type Change, startRelay } from "../lib/corrupting-relay.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { selfSigned } from "../venue/certificate.ts";

setDefaultTimeout(TEST_MS_MAX);
const PROGRAM = join(import.meta.dir, "../../bin/tidegate.ts");
const CHANNELS = "btcusdt@depth,btcusdt@trade,btcusdt@bookTicker";

let node: TestNode;
beforeAll(async () => {
  node = await startTestNode({ simRate: "300" });
});
afterAll(() => node[Symbol.asyncDispose]());

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

const never = (): never => {
  throw new Error("load does not ask for this");
};

/** The command in this process; what it starts by itself are processes. */
async function load(...flags: string[]): Promise<Ended> {
  const said = { out: "", err: "" };
  const err = (text: string): void => {
    said.err += text;
  };
  const world: CliWorld = {
    env: {},
    out: (text) => {
      said.out += text;
    },
    err,
    loadNode: never,
    loadConfigTools: never,
    tailWorld: never,
    loadSurroundings: () => ({
      progress: { write: err, columns: () => null },
      partCommand: [process.execPath, PROGRAM, "load", "--part"],
      onEnd: () => undefined,
      stdin: never,
    }),
  };
  const status = await run(["load", "--warmup", "50ms", ...flags], world);
  return { status, ...said };
}

async function loadReport(...flags: string[]): Promise<{ status: number; report: Report }> {
  const { status, out, err } = await load("--json", ...flags);
  if (out === "") throw new Error(err);
  return { status, report: JSON.parse(out) as Report };
}

const NO_FAULTS = { chain: 0, order: 0, ids: 0, book: 0, frame: 0 };

/**
 * Once both connections have had some frames for which `which` holds, the next one of the first becomes what `make` says:
 * what begins a subscription may overlap, and a lost trade is found by who has it.
 */
function once(which: (text: string) => boolean, make: (text: string) => string[]): Change {
  let done = false;
  const seen = [0, 0];
  return (text, connection) => {
    if (done || !which(text)) return [text];
    seen[connection] = (seen[connection] ?? 0) + 1;
    if (connection > 0 || seen.some((count) => count < 5)) return [text];
    done = true;
    return make(text);
  };
}

test.concurrent("load - a real node, two processes: all connected, everything verified, nothing found", async () => {
  const { status, report } = await loadReport(
    ...["--url", String(node.port), "-c", "30", "--processes", "2", "--subscribe", CHANNELS, "--messages", "3000"],
    ...[
      "--verify",
      "books",
      "--min-connect-success",
      "100%",
      "--max-p99",
      "60000.5",
      "--max-closes",
      "0",
      "--max-gaps",
      "0",
    ],
  );
  expect({ faults: report.faults, samples: report.samples, status }).toEqual({
    faults: NO_FAULTS,
    samples: [],
    status: 0,
  });
  expect(report).toMatchObject({
    dialect: "native",
    processes: 2,
    connections: 30,
    closed: 0,
    reconnects: 0,
    ok: true,
  });
  expect(report.connect).toMatchObject({ attempts: 30, opened: 30, failed: 0, success: 1, failures: {} });
  expect(report.subscribe).toMatchObject({ answered: 30, refused: 0 });
  expect(report.messages).toBeGreaterThanOrEqual(3000);
  expect(report.checked.links).toBe(report.messages);
  for (const many of [report.checked.books, report.checked.compared, report.checked.ids, report.latencyMs.count])
    expect(many).toBeGreaterThan(0);
  expect(report.limits.map(({ limit, met }) => [limit, met])).toEqual([
    ["min-connect-success", true],
    ["max-p99", true],
    ["max-gaps", true],
    ["max-closes", true],
  ]);
});

test.concurrent("load - Binance streams, combined by SUBSCRIBE and raw in the URL", async () => {
  for (const [path, names, ...more] of [
    ["/stream", "btcusdt@depth@100ms,btcusdt@trade,btcusdt@depth20,btcusdt@bookTicker"],
    ["/ws", "btcusdt@depth@100ms,btcusdt@trade,btcusdt@bookTicker", "--by-url"],
    ["/public/stream", "btcusdt@depth@100ms,btcusdt@bookTicker", "--by-url"],
  ] as const) {
    const { status, report } = await loadReport(
      ...["--url", `${node.ws}${path}`, "-c", "10", "--subscribe", names, "--messages", "500", "--verify", "books"],
      ...more,
    );
    expect([path, report.faults, report.samples, status]).toEqual([path, NO_FAULTS, [], 0]);
    expect(report.dialect).toBe("binance");
    expect(report.checked.links).toBeGreaterThan(0);
    expect(report.connect.opened).toBe(10);
  }
});

test.concurrent("load - jittery clients come back with since: chains, trades and books whole", async () => {
  const { status, report } = await loadReport(
    ...["--url", String(node.port), "-c", "20", "--subscribe", CHANNELS, "--jitter", "200ms/1s", "--duration", "3s"],
    ...["--verify", "books"],
  );
  expect([report.faults, report.samples, status]).toEqual([NO_FAULTS, [], 0]);
  expect(report.reconnects).toBeGreaterThan(10);
  expect(report.subscribe.recovered).toBeGreaterThan(10);
  expect(report.closed).toBe(0);
});

test.concurrent("load - slow sessions read what they may and no more", async () => {
  const { status, report } = await loadReport(
    ...["--url", String(node.port), "-c", "20", "--slow", "50%", "--slow-rate", "2kB/s", "--subscribe", CHANNELS],
    ...["--duration", "4s"],
  );
  expect([report.faults, report.samples, status]).toEqual([NO_FAULTS, [], 0]);
  const { latencyMs, slowLatencyMs, bytes } = report;
  expect(slowLatencyMs.count).toBeGreaterThan(0);
  expect(slowLatencyMs.count).toBeLessThan(latencyMs.count / 2);
  expect(bytes).toBeGreaterThan(0);
});

test.concurrent("load - a relay that loses, doubles and changes frames is found out each time, and the status says so", async () => {
  const relayed = (kind: string) => (text: string) => text.startsWith(`{"channel":"btcusdt@${kind}"`);
  const isDelta = (text: string): boolean => text.startsWith('{"channel":"btcusdt@depth","type":"delta"');
  const crossed = (text: string): string[] => {
    const push = JSON.parse(text) as { data: { bids: [string, string][] } };
    push.data.bids.push(["99999999", "1"]);
    return [JSON.stringify(push)];
  };
  const cases: readonly (readonly [string, Change, keyof typeof NO_FAULTS])[] = [
    ["btcusdt@depth", once(isDelta, () => []), "chain"],
    ["btcusdt@depth", once(isDelta, crossed), "book"],
    ["btcusdt@trade", once(relayed("trade"), () => []), "chain"],
    ["btcusdt@trade", once(relayed("trade"), (text) => [text, text]), "order"],
    ["btcusdt@bookTicker", once(relayed("bookTicker"), () => []), "chain"],
    ["btcusdt@bookTicker", once(relayed("bookTicker"), (text) => [text.slice(0, -2)]), "frame"],
  ];
  for (const [channel, change, kind] of cases) {
    using relay = startRelay(node.ws, change);
    const { status, report } = await loadReport(
      ...[
        "--url",
        String(relay.port),
        "-c",
        "2",
        "--subscribe",
        channel,
        "--fail-fast",
        "--duration",
        "20s",
        "--verify",
        "books",
      ],
    );
    expect([channel, kind, report.faults[kind] > 0, status, report.ok]).toEqual([channel, kind, true, 1, false]);
    expect(report.samples.length).toBeGreaterThan(0);
  }
});

test.concurrent("load - the same in the Binance dialect: a hole in U, a lost and a doubled trade", async () => {
  const lose: Change = once(
    (text) => text.includes('"e":"depthUpdate"'),
    () => [],
  );
  const isTrade = (text: string): boolean => text.includes('"e":"trade"');
  for (const [stream, change, kind] of [
    ["btcusdt@depth@100ms", lose, "chain"],
    ["btcusdt@trade", once(isTrade, () => []), "ids"],
    ["btcusdt@trade", once(isTrade, (text) => [text, text]), "ids"],
  ] as const) {
    using relay = startRelay(node.ws, change);
    const { status, report } = await loadReport(
      ...[
        "--url",
        `127.0.0.1:${relay.port}/stream`,
        "-c",
        "2",
        "--subscribe",
        stream,
        "--fail-fast",
        "--duration",
        "20s",
      ],
    );
    expect([stream, kind, report.faults[kind] > 0, status]).toEqual([stream, kind, true, 1]);
  }
});

test.concurrent("load - a missed limit is status 1, for people with the word MISSED", async () => {
  const { status, out } = await load(
    ...["--url", String(node.port), "-c", "2", "--subscribe", "btcusdt@trade", "--duration", "500ms"],
    ...["--min-rate", "100000000"],
  );
  expect(status).toBe(1);
  expect(out).toMatch(/^MISSED --min-rate 100000000: \d/m);
  expect(out).toMatch(/^FAULTS +none$/m);
});

test.concurrent("load - refusals and failures are counted by why", async () => {
  const { status, report } = await loadReport(
    ...["--url", String(node.port), "-c", "3", "--subscribe", "nobody@trade", "--duration", "300ms"],
  );
  expect([status, report.subscribe.refused]).toEqual([0, 3]);
  expect(report.subscribe.refusals).toEqual({ "1203 unknown channel nobody@trade": 3 });

  const closed = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = closed;
  closed.stop(true);
  const nobody = await loadReport("--url", String(port), "-c", "3", "--subscribe", "btcusdt@trade", "--no-reconnect");
  expect([nobody.status, nobody.report.connect.success]).toEqual([1, 0]);
  expect(nobody.report.connect.failures).toEqual({ ECONNREFUSED: 3 });
});

test.concurrent("load - Ctrl-C ends it with a report; without a terminal progress is plain lines", async () => {
  const child = Bun.spawn(
    [
      process.execPath,
      PROGRAM,
      "load",
      "--url",
      String(node.port),
      "-c",
      "4",
      "--processes",
      "2",
      "--subscribe",
      "btcusdt@trade",
      "--duration",
      "10m",
    ],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  const out = new Response(child.stdout).text();
  let err = "";
  const decoder = new TextDecoder();
  void (async () => {
    for await (const chunk of child.stderr) err += decoder.decode(chunk, { stream: true });
  })();
  await waitFor(
    () => /^4\/4 open .*faults 0 {2}\d:\d\d\/10:00$/m.test(err),
    () => `a line of progress: ${err}`,
  );
  child.kill("SIGINT");
  expect(await child.exited).toBe(0);
  expect(await out).toMatch(/^connections +4 opened, 0 failed \(100 %\)$/m);
  expect(err).not.toContain("\x1b");
});

test.concurrent("load - closes by code; connections that were closed come back unless told not to", async () => {
  let connections = 0;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, self) => (self.upgrade(request) ? undefined : new Response("no", { status: 400 })),
    websocket: {
      open: () => {
        connections += 1;
      },
      message(socket) {
        socket.send('{"id":1,"ok":true,"channels":{"x@trade":{"epoch":"k","seq":1,"cadence":0,"recovered":false}}}');
        socket.close(4008, "too slow");
      },
    },
  });
  const flags = [
    "--url",
    String(server.port),
    "-c",
    "2",
    "--subscribe",
    "x@trade",
    "--duration",
    "2s",
    "--warmup",
    "10ms",
  ];
  const stays = await loadReport(...flags, "--no-reconnect", "--max-closes", "1");
  expect([connections, stays.report.closes, stays.status]).toEqual([2, { "4008 too slow": 2 }, 1]);
  const back = await loadReport(...flags);
  expect(back.report.reconnects).toBeGreaterThan(0);
  expect(back.report.closed).toBeGreaterThan(2);
  await server.stop(true);
});

test.skipIf(process.platform !== "linux")(
  "load - connections come from the source addresses they are given",
  async () => {
    const from = new Map<string, number>();
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request, self) {
        const address = self.requestIP(request)?.address ?? "";
        from.set(address, (from.get(address) ?? 0) + 1);
        return self.upgrade(request) ? undefined : new Response("no", { status: 400 });
      },
      websocket: {
        message(socket) {
          socket.send('{"id":1,"ok":true,"channels":{"x@trade":{"epoch":"k","seq":1,"cadence":0,"recovered":false}}}');
        },
      },
    });
    const flags = ["--url", String(server.port), "-c", "6", "--subscribe", "x@trade", "--duration", "100ms"];
    const { report } = await loadReport(...flags, "--local-address", "127.0.0.2-127.0.0.4");
    expect(report.connect.opened).toBe(6);
    expect([...from].sort()).toEqual([
      ["127.0.0.2", 2],
      ["127.0.0.3", 2],
      ["127.0.0.4", 2],
    ]);
    await server.stop(true);
  },
);

test.concurrent("load - wss: a certificate is checked, against --ca too, unless told not to", async () => {
  const { key, cert } = selfSigned();
  using folder = new TempFolder();
  const ca = folder.write("ca.pem", cert);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { key, cert },
    fetch: (request, self) => (self.upgrade(request) ? undefined : new Response("no", { status: 400 })),
    websocket: {
      message(socket) {
        socket.send('{"id":1,"ok":true,"channels":{"x@trade":{"epoch":"k","seq":1,"cadence":0,"recovered":false}}}');
      },
    },
  });
  const flags = ["--url", `wss://127.0.0.1:${server.port}`, "-c", "2", "--subscribe", "x@trade", "--duration", "300ms"];
  for (const [more, opened] of [
    [["--no-reconnect"], 0],
    [["--ca", ca], 2],
    [["--insecure"], 2],
  ] as const) {
    const { status, report } = await loadReport(...flags, ...more);
    expect([more[0], report.connect.opened, report.subscribe.answered, status]).toEqual([
      more[0],
      opened,
      opened,
      opened === 0 ? 1 : 0,
    ]);
  }
  await server.stop(true);
});

test("load - wrong flags are one line and status 2", async () => {
  for (const [flags, sentence] of [
    [[], "--subscribe: say which channels"],
    [["--subscribe", "x@trade", "--slow", "200%"], '--slow: "200%" is not a share'],
    [["--subscribe", "x@depth,x@depth@100ms", "--url", "ws://127.0.0.1:1/ws"], "look the same on a raw connection"],
    [
      ["--subscribe", "x@trade", "--ca", "/nowhere/ca.pem", "--url", "wss://127.0.0.1:1"],
      "--ca: cannot read /nowhere/ca.pem",
    ],
  ] as const) {
    const { status, err } = await load(...flags);
    expect([status, err]).toEqual([2, expect.stringContaining(sentence)]);
    expect(err.trim().split("\n")).toHaveLength(1);
  }
});
