/** Bad input and faults: each gets a clear answer with a code, and harms no other session. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { GatewayError } from "../../src/lib/errors.ts";
import type { Frame } from "../lib/frame-socket.ts";
import type { NativeClient } from "../lib/native-client.ts";
import { rawTcp } from "../lib/raw-tcp.ts";
import { PATIENT, startTestNode, type TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

const DEPTH = "btcusdt@depth";
const TRADE = "btcusdt@trade";

/** One worker: whoever is harmed by another session would be harmed here. */
let node: TestNode;
let observer: NativeClient;
/** ms from encoding to receipt of every push the observer got. */
const delays: number[] = [];

beforeAll(async () => {
  node = await startTestNode({ simRate: "1000", seed: "31", config: PATIENT });
  observer = await node.native();
  observer.socket.addEventListener("message", ({ data }) => {
    const sentUs = Number(/"sentUs":(\d+)/.exec(String(data))?.[1]);
    if (!Number.isNaN(sentUs)) delays.push(Date.now() - sentUs / 1000);
  });
  await observer.subscribe([DEPTH, TRADE]);
});

afterAll(async () => {
  // Whatever the tests did to others, its streams are whole.
  expect(observer.faults).toEqual([]);
  expect(observer.closed).toBeNull();
  expect(observer.stream(DEPTH).notices).toEqual([]);
  await node?.[Symbol.asyncDispose]();
});

const codeOf = (frame: Frame | undefined) => (frame?.error as { code?: number } | undefined)?.code;
const alive = async (client: NativeClient): Promise<void> => {
  expect(await client.ask({ op: "ping" })).toMatchObject({ ok: true, op: "pong" });
};
/** The observer goes on getting data. */
const observed = async (): Promise<void> => {
  const { length } = observer.stream(DEPTH).pushes;
  await waitFor(() => observer.stream(DEPTH).pushes.length > length + 5, "the observer's stream goes on");
};

const BAD_FRAMES: readonly (readonly [frame: string, code: number])[] = [
  ["", 1001],
  ["hello", 1001],
  ['{"op":"ping"', 1001],
  ['{"op":"ping"}}', 1001],
  ['{"op":"ping",}', 1001],
  ["\u0000", 1001],
  ["[".repeat(30_000), 1001],
  ["null", 1002],
  ["[]", 1002],
  ["17", 1002],
  ['"ping"', 1002],
  ["{}", 1002],
  ['{"op":null}', 1005],
  ['{"op":["ping"]}', 1005],
  ['{"op":"dance"}', 1003],
  ['{"op":"PING"}', 1003],
  ['{"op":"__proto__"}', 1003],
  ['{"op":"ping","id":{}}', 1005],
  [`{"op":"ping","id":"${"x".repeat(300)}"}`, 1005],
  ['{"op":"subscribe"}', 1005],
  ['{"op":"subscribe","channels":"btcusdt@trade"}', 1005],
  ['{"op":"subscribe","channels":[]}', 1005],
  ['{"op":"subscribe","channels":[1]}', 1005],
  ['{"op":"subscribe","channels":["btcusdt@trade"],"cadence":-1}', 1005],
  ['{"op":"subscribe","channels":["btcusdt@trade"],"cadence":"fast"}', 1005],
  ['{"op":"subscribe","channels":["btcusdt@trade"],"since":7}', 1005],
  ['{"op":"subscribe","channels":["btcusdt@trade"],"since":{"btcusdt@trade":{"epoch":1,"seq":"x"}}}', 1005],
  ['{"op":"unsubscribe","channels":{}}', 1005],
  ['{"op":"cadence","channel":"btcusdt@trade"}', 1005],
  ['{"op":"cadence","channel":5,"ms":100}', 1005],
  ['{"op":"resync"}', 1005],
  ['{"op":"cadence","channel":"btcusdt@trade","ms":100}', 1202],
  ['{"op":"resync","channel":"btcusdt@trade"}', 1202],
  ['{"op":"subscribe","channels":["nothing@trade"]}', 1203],
  ['{"op":"subscribe","channels":["btcusdt@nothing"]}', 1203],
  ['{"op":"subscribe","channels":["btc usdt@trade"]}', 1201],
  ['{"op":"subscribe","channels":["constructor"]}', 1203],
  ['{"op":"subscribe","channels":["__proto__@trade"]}', 1201],
];

test.concurrent("faults - every malformed command is refused with its code, and the session goes on", async () => {
  const client = await node.native();
  for (const [at, [frame, code]] of BAD_FRAMES.entries()) {
    client.send(frame);
    await waitFor(() => client.others.length === at + 1, `an answer to ${frame.slice(0, 80)}`);
    const answer = client.others[at];
    expect([frame.slice(0, 80), codeOf(answer)]).toEqual([frame.slice(0, 80), code]);
    expect(String((answer?.error as Frame | undefined)?.message).length).toBeGreaterThan(5);
  }
  await alive(client);
  await waitFor(async () => (await node.metric("tidegate_errors_total", 'code="1001"')) >= 7, "errors are counted");
});

test.concurrent("faults - binary frames are refused in both dialects, frames over 64 KiB close 1009", async () => {
  const client = await node.native();
  client.send(new Uint8Array([1, 2, 3]));
  await waitFor(() => codeOf(client.others[0]) === 1004, "a binary frame is refused");
  // As big as it may be.
  client.send(`{"op":"ping","id":"big"}${" ".repeat(64 * 1024 - 24)}`);
  await waitFor(() => client.others.some(({ id }) => id === "big"), "a frame of 64 KiB is read");
  client.send("x".repeat(1024 * 1024));
  expect((await client.untilClosed()).code).toBe(1009);

  const binance = await node.binance("/ws/btcusdt@trade");
  binance.send(new Uint8Array([1, 2, 3]));
  await waitFor(() => binance.others.length > 0, "a binary frame is refused");
  expect(codeOf(binance.others[0])).toBeGreaterThanOrEqual(0);
  await waitFor(() => binance.of("").length > 1, "events go on");
  binance.send(new Uint8Array(1024 * 1024));
  expect((await binance.untilClosed()).code).toBe(1009);
  await waitFor(async () => (await node.metric("tidegate_closes_total", 'code="1009"')) >= 2, "closes are counted");
});

test.concurrent("faults - 10,000 subscribe commands: the sender is refused, then closed; the others get everything in time", async () => {
  const before = delays.length;
  const flooder = await node.native();
  for (let id = 0; id < 10_000; id++) flooder.send({ id, op: "subscribe", channels: [`flood${id}@trade`, TRADE] });
  expect(await flooder.untilClosed()).toEqual({ code: 1008, reason: "Too many requests" });
  const codes = new Set(flooder.others.map(codeOf));
  expect(codes.has(1302)).toBe(true);
  await observed();
  const during = delays.slice(before).sort((a, b) => a - b);
  expect(during.length).toBeGreaterThan(5);
  expect(during[Math.floor(during.length * 0.9)] ?? Number.POSITIVE_INFINITY).toBeLessThan(2000);
  expect(observer.faults).toEqual([]);
});

test.concurrent("faults - subscribing, moving and leaving as fast as allowed harms nobody", async () => {
  const client = await node.native();
  const streams = ["trade", "depth", "bookTicker", "depth20", "ticker"].map((stream) => `ethusdt@${stream}`);
  for (let round = 0; round < 8; round++) {
    client.send({ op: "subscribe", channels: streams, cadence: [0, 100, 50][round % 3] });
    client.send({ op: "cadence", channel: "ethusdt@depth", ms: 250 });
    client.send({ op: "resync", channel: "ethusdt@depth" });
    client.send({ op: "unsubscribe", channels: streams });
  }
  await alive(client);
  const { channels } = (await client.ask({ op: "subscriptions" })) as { channels: object };
  expect(channels).toEqual({});
  const after = client.strays;
  await observed();
  await observed();
  expect(client.strays).toBe(after);
  await client.subscribe(streams);
  await waitFor(() => client.stream("ethusdt@depth").pushes.length > 3, "it can begin anew");
  expect(client.faults).toEqual([]);
});

test.concurrent("faults - half-open handshakes are closed within seconds, and harm nobody meanwhile", async () => {
  const request = "GET /ws/quote/v1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n";
  const half = Array.from({ length: 100 }, (_, at) => rawTcp(node.port, ["", "GET /ws", request][at % 3]));
  const dripping = rawTcp(node.port, request);
  const all = [...half, dripping];
  const drip = setInterval(() => dripping.write("X-Drip: 1\r\n"), 1000);
  try {
    const client = await node.native();
    expect((await client.ask({ op: "ping" })).ok).toBe(true);
    const closed = () => all.every((tcp) => tcp.closedAfterMs() !== null);
    await waitFor(closed, () => `closed: ${all.map((tcp) => tcp.closedAfterMs())}`, 30_000);
    expect((await client.ask({ op: "ping" })).ok).toBe(true);
  } finally {
    clearInterval(drip);
    for (const tcp of all) tcp.end();
  }
  for (const tcp of all) expect(tcp.closedAfterMs()).toBeGreaterThan(4000);
});

test.concurrent("faults - unknown paths, plain GET on a WebSocket path and bad upgrades get a JSON error", async () => {
  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(node.http + path, init);
    expect(response.headers.get("content-type"), path).toContain("application/json");
    return { status: response.status, text: await response.text() };
  };
  for (const path of ["/", "/nothing", "/wsx", "/ws/../nothing", "/api/v4/ping", "/%00"]) {
    const { status, text } = await get(path);
    expect([path, status]).toEqual([path, 404]);
    expect(text).toContain("/ws/quote/v1");
  }
  for (const path of ["/ws", "/ws/btcusdt@trade", "/stream", "/ws/quote/v1"]) {
    const { status, text } = await get(path);
    expect([path, status]).toEqual([path, 426]);
    expect(text).toContain("WebSocket");
  }
  const { status } = await get("/ws/quote/v1", { headers: { upgrade: "websocket", connection: "upgrade" } });
  expect(status).toBe(400);
  const admin = await fetch(`${node.admin}/nothing`);
  expect([admin.status, ((await admin.json()) as { error: object }).error]).toMatchObject([
    404,
    { message: "no such path" },
  ]);
});

test.concurrent("faults - a port in use is one clear error, and leaves nothing behind", async () => {
  const refusal = async (flags: Record<string, string>): Promise<GatewayError> => {
    try {
      await using _ = await startTestNode({ synthetic: "channels=1,rate=1", ...flags });
    } catch (error) {
      if (error instanceof GatewayError) return error;
      throw error;
    }
    throw new Error("the node has started");
  };
  const busy = await refusal({ port: String(node.port) });
  expect([busy.code, busy.message]).toEqual([
    "PORT_IN_USE",
    `port ${node.port} on 127.0.0.1 is in use: choose another one`,
  ]);
  const adminPort = new URL(node.admin).port;
  // A free port that the failed start must give back.
  const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = free;
  free.stop(true);
  const busyAdmin = await refusal({ port: String(port), adminPort });
  expect(busyAdmin.message).toContain(`${adminPort}`);
  expect(busyAdmin.message).toContain("--admin-port");
  await using again = await startTestNode({ synthetic: "channels=1,rate=1,size=200", port: String(port) });
  const client = await again.native();
  await client.subscribe(["c0"]);
  await waitFor(() => client.stream("c0").pushes.length > 0, "the port serves");
});

for (const fault of ["throw", "spin"] as const) {
  test.concurrent(`faults - a worker that ${fault}s is replaced, its clients are closed, the others never notice`, async () => {
    await using two = await startTestNode({
      synthetic: "channels=2,rate=50,size=200",
      workers: "2",
      watchdogMs: "1500",
    });
    const edge = two.node.parts.edge!;
    const join = () =>
      Promise.all(
        Array.from({ length: 24 }, async () => {
          const client = await two.native();
          await client.subscribe(["c0", "c1"]);
          return client;
        }),
      );
    const clients = await join();
    edge.post(0, { is: "inject", fault, ms: 10_000 });
    await waitFor(() => clients.some(({ closed }) => closed !== null), "the worker's clients are closed");
    await waitFor(() => edge.workers()[0]?.restarts === 1 && edge.workers()[0]?.up === true, "a new worker is up");
    // Everybody is closed, or goes on getting data: nobody is left with a socket that nobody serves.
    const counts = clients.map((client) => client.stream("c1").pushes.length);
    const goesOn = (client: NativeClient, at: number) => client.stream("c1").pushes.length > (counts[at] ?? 0) + 10;
    await waitFor(
      () => clients.every((client, at) => client.closed !== null || goesOn(client, at)),
      () =>
        `all are closed or served; ${clients.filter((c, at) => !c.closed && !goesOn(c, at)).length} are neither, ${JSON.stringify(edge.workers())}`,
    );
    const lost = clients.filter(({ closed }) => closed !== null);
    const kept = clients.filter(({ closed }) => closed === null);
    expect(kept.length).toBeGreaterThan(0);
    for (const { closed } of lost) expect([1001, 1006]).toContain(closed?.code ?? 0);
    const next = await join();
    await waitFor(() => next.every((client) => client.stream("c0").pushes.length > 5), "new clients get data");
    for (const client of [...kept, ...next]) {
      expect(client.faults).toEqual([]);
      expect(client.closed).toBeNull();
      for (const { pushes } of client.streams.values()) {
        // Nothing was left out: in real time each push follows the one before.
        pushes.slice(1).forEach((push, at) => {
          expect(push.prev ?? null).toBe(pushes[at]?.seq ?? null);
        });
      }
    }
    expect(await two.metric("tidegate_worker_restarts_total")).toBe(1);
    const { ready, parts } = await two.readiness();
    expect([ready, parts.edge?.state]).toEqual([true, "ok"]);
  });
}
