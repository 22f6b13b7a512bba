/** The listener and the limits of a session against a real worker: paths, bad input, rates, slow readers. */
import { afterEach, expect, test } from "bun:test";
import { FREE, type Harness, harness, until } from "./testing/harness.ts";
import { clientFrame, closeCode, rawSocket, rawWebSocket, serverFrames, upgradeOf } from "./testing/raw-socket.ts";
import { ScriptedEngine } from "./testing/scripted-engine.ts";

let h: Harness;
afterEach(() => h.stop());

const get = (path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${h.edge.port}${path}`, init);
const subscribe = (id: number, ...channels: string[]) => ({ id, op: "subscribe", channels });

test("listener - an unknown path is a 404 that names the known ones", async () => {
  h = await harness();
  const response = await get("/nowhere");
  expect(response.status).toBe(404);
  const body = (await response.json()) as { error: string; paths: string[] };
  expect(body.error).toContain("unknown path /nowhere");
  expect(body.paths).toContain("/ws/quote/v1");
  const raw = rawSocket(h.edge.port, upgradeOf("/wsx"));
  await until(() => raw.text().includes("\r\n\r\n"), "an answer");
  expect(raw.text()).toStartWith("HTTP/1.1 404");
  raw.socket.destroy();
});

test("listener - a plain GET on a WebSocket path is a 426 with a sentence", async () => {
  h = await harness();
  for (const path of ["/ws", "/ws/quote/v1", "/stream?streams=", "/ws/btcusdt@trade"]) {
    const response = await get(path);
    expect(response.status).toBe(426);
    expect(((await response.json()) as { error: string }).error).toContain("WebSocket");
  }
});

test("listener - every Binance path upgrades, whatever it names", async () => {
  h = await harness();
  for (const path of ["/ws", "/ws/0", "/ws/anything/else@all", "/stream", "/stream?streams=", "/stream-spot/ws/0"]) {
    const client = await h.client(path);
    const reply = await client.ask({ method: "LIST_SUBSCRIPTIONS", id: 7 });
    expect(reply).toEqual({ result: [], id: 7 });
  }
});

test("listener - a malformed handshake is a 400, a bad URL option too", async () => {
  h = await harness();
  for (const request of [
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    upgradeOf("/ws?timeUnit=hour"),
    "\x00\x01garbage\r\n\r\n",
  ]) {
    const raw = rawSocket(h.edge.port, request);
    await until(() => raw.text().includes("\r\n\r\n"), "an answer");
    expect(raw.text()).toStartWith("HTTP/1.1 400");
    raw.socket.destroy();
  }
});

test("listener - REST goes to main and back", async () => {
  h = await harness({ limits: { restMsMax: 1500 } });
  const response = await get("/api/v3/depth?symbol=BTCUSDT&limit=5");
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ path: "/api/v3/depth", query: "symbol=BTCUSDT&limit=5" });
  const posted = await get("/api/v3/ping", { method: "POST" });
  expect([posted.status, await posted.json()]).toMatchObject([405, { code: -1000, msg: "only GET is answered here" }]);
  h.engine.hold = true;
  expect((await get("/api/v3/time")).status).toBe(503);
  await until(() => h.edge.counters().limited.restMsMax === 1, "it is counted");
});

test("listener - too many REST requests at once are 429", async () => {
  h = await harness({ limits: { restInFlightMax: 2, restMsMax: 20_000 } });
  h.engine.hold = true;
  const first = [get("/api/v3/a"), get("/api/v3/b")];
  await until(() => h.engine.held.length === 2, "two wait");
  expect((await get("/api/v3/c")).status).toBe(429);
  await until(() => h.edge.counters().limited.restInFlightMax === 1, "it is counted");
  h.engine.release();
  for (const response of await Promise.all(first)) expect(response.status).toBe(200);
});

test("limits - a frame over 64 KiB closes 1009, one of 64 KiB does not", async () => {
  h = await harness();
  for (const size of [65_537, 1_000_000]) {
    const client = await h.client();
    client.send("x".repeat(size));
    expect((await client.gone()).code).toBe(1009);
  }
  const fits = await h.client();
  fits.send("x".repeat(65_536));
  await fits.until((c) => c.frames.some((frame) => frame.error?.code === 1001));
  await until(() => h.edge.counters().closes["1009"] === 2, "they are counted");
});

test("limits - bad frames get an error and harm nobody", async () => {
  h = await harness();
  const client = await h.client();
  for (const frame of [
    "{",
    "[]",
    "null",
    '"text"',
    "42",
    '{"op":"fly"}',
    '{"op":"subscribe","channels":7}',
    "\u0000",
  ]) {
    const before = client.frames.length;
    client.send(frame);
    await client.until((c) => c.frames.length === before + 1);
    expect(client.frames.at(-1)?.error?.code).toBeGreaterThan(1000);
  }
  client.socket.send(new Uint8Array([1, 2, 3]));
  await client.until((c) => c.frames.at(-1)?.error?.code === 1004);
  const binance = await h.client("/ws");
  binance.socket.send(new Uint8Array([1, 2, 3]));
  await binance.until((c) => c.frames.length === 1);
  expect(binance.frames[0]?.error).toBeDefined();
  expect((await client.ask({ id: 1, op: "ping" })).ok).toBe(true);
});

test("limits - text that is not UTF-8 closes that session alone", async () => {
  h = await harness();
  const client = await h.client();
  const raw = await rawWebSocket(h.edge.port, "/ws/quote/v1");
  const frame = Buffer.from(clientFrame(1, "ab"));
  frame[6] = 0xff;
  raw.socket.write(frame);
  await until(() => raw.closedAfterMs() !== null, "it is closed");
  expect((await client.ask({ id: 1, op: "ping" })).ok).toBe(true);
});

test("limits - native: 1,024 subscriptions, the next is an error of its channel", async () => {
  const channels = Array.from({ length: 1030 }, (_, i) => `s${i}@trade`);
  h = await harness({ channels, limits: { commands: FREE } });
  const client = await h.client();
  await client.ask(subscribe(1, ...channels.slice(0, 1020)));
  const reply = await client.ask(subscribe(2, ...channels.slice(1018, 1030)));
  expect(Object.keys(reply.channels!).length).toBe(6);
  expect(reply.errors?.map(({ code }) => code)).toEqual(new Array(6).fill(1301));
  await client.ask({ id: 3, op: "unsubscribe", channels: ["s0@trade"] });
  expect(Object.keys((await client.ask(subscribe(4, "s1029@trade"))).channels!)).toEqual(["s1029@trade"]);
});

test("limits - Binance: too many streams refuse the whole command", async () => {
  const names = Array.from({ length: 6 }, (_, i) => `s${i}usdt@trade`);
  h = await harness({ channels: names, limits: { subscriptionsMax: 4, commands: FREE } });
  const client = await h.client("/ws");
  const ask = (id: number, method: string, params?: string[]) => client.ask({ id, method, ...(params && { params }) });
  expect(await ask(1, "SUBSCRIBE", names.slice(0, 3))).toEqual({ result: null, id: 1 });
  expect((await ask(2, "SUBSCRIBE", names.slice(2))).error).toEqual({
    code: 4,
    msg: "Too many subscriptions",
  } as never);
  expect((await ask(3, "LIST_SUBSCRIPTIONS")).result).toEqual(names.slice(0, 3));
});

test("limits - native: over 50 commands a second error 1302, then close 1008", async () => {
  h = await harness();
  const client = await h.client();
  for (let id = 0; id < 120; id++) client.send({ id, op: "ping" });
  await client.until((c) => c.frames.length === 120);
  const refused = client.frames.filter((frame) => frame.error?.code === 1302);
  expect(refused.length).toBeGreaterThan(10);
  expect(refused.at(-1)?.id).toBe(119);
  expect(client.closed).toBeNull();
  for (let id = 120; id < 400; id++) client.send({ id, op: "ping" });
  expect(await client.gone()).toEqual({ code: 1008, reason: "Too many requests" });
});

test("limits - Binance: the sixth frame within a second closes 1008, pings and pongs count", async () => {
  h = await harness();
  const client = await h.client("/ws");
  for (let id = 1; id <= 5; id++) client.send({ method: "LIST_SUBSCRIPTIONS", id });
  await client.until((c) => c.frames.length === 5);
  client.send({ method: "LIST_SUBSCRIPTIONS", id: 6 });
  expect(await client.gone()).toEqual({ code: 1008, reason: "Too many requests" });
  const raw = await rawWebSocket(h.edge.port, "/ws");
  for (let i = 0; i < 3; i++) raw.socket.write(Buffer.concat([clientFrame(9, "p"), clientFrame(10, "")]));
  await until(() => closeCode(raw) === 1008, "closed for pings");
  raw.socket.destroy();
});

test("limits - 10,000 subscribe commands harm nobody else", async () => {
  const channels = Array.from({ length: 2000 }, (_, i) => `s${i}@trade`);
  h = await harness({ channels: ["a@trade", ...channels] });
  const victim = await h.client();
  await victim.ask(subscribe(1, "a@trade"));
  const attacker = await h.client();
  let done = false;
  let arrived = 0;
  const probe = (async () => {
    while (!done) {
      const seq = h.engine.publish("a@trade");
      await victim.until((c) => c.seqs("a@trade").at(-1) === seq);
      arrived++;
      await Bun.sleep(5);
    }
  })();
  for (let id = 0; id < 10_000; id++) attacker.send(subscribe(id, `s${id % 2000}@trade`));
  expect((await attacker.gone()).code).toBe(1008);
  await until(() => arrived > 3, "the victim goes on");
  done = true;
  await probe;
  expect(victim.seqs("a@trade")).toEqual(Array.from(victim.seqs("a@trade"), (_, i) => i + 1));
}, 30_000);

test("limits - a reader that stops gets snapshots as it takes them, and loses none", async () => {
  const channels = Array.from({ length: 150 }, (_, i) => `s${i}@trade`);
  // It stops for longer than a slow reader may.
  h = await harness({ channels, ringBytes: 32 * 1024 * 1024, limits: { outboxAgeMaxMs: 60_000 } });
  h.engine.padding = "x".repeat(100_000);
  for (const name of channels) h.engine.publish(name);
  const raw = await rawWebSocket(h.edge.port, "/ws/quote/v1");
  raw.socket.pause();
  raw.socket.write(clientFrame(1, JSON.stringify(subscribe(1, ...channels))));
  // 15 MB are asked for; what the kernel and the outbox hold is far less, so the rest must wait.
  await until(() => h.engine.received("join").length >= 16, "snapshots were asked for");
  await Bun.sleep(300);
  expect(h.engine.received("join").length).toBeLessThan(150);
  raw.socket.resume();
  const snapshots = () => serverFrames(raw).filter(({ payload }) => payload.includes('"type":"snapshot"')).length;
  await until(() => raw.bytes().length > 15_000_000, "15 MB arrived");
  await until(() => snapshots() === 150, "every snapshot arrived");
  expect(closeCode(raw)).toBeNull();
  raw.socket.destroy();
}, 30_000);

test("limits - a reader that never reads is closed at outboxBytesMax, the others go on", async () => {
  h = await harness({ limits: { outboxBytesHigh: 64 * 1024, outboxBytesMax: 256 * 1024 } });
  const client = await h.client();
  await client.ask(subscribe(1, "a@trade"));
  const raw = await rawWebSocket(h.edge.port, "/ws/quote/v1");
  raw.socket.write(clientFrame(1, JSON.stringify(subscribe(1, "a@trade"))));
  await until(() => raw.text().includes('"ok":true'), "it has joined");
  raw.socket.pause();
  const pad = `,"${"x".repeat(20_000)}"`;
  // Whether the slow policy was in time, or Bun has closed the socket and says 1006.
  for (let i = 1; h.edge.counters().closes["4008"] === undefined; i++) {
    expect([i < 3000, h.edge.counters().closes["1006"]]).toEqual([true, undefined]);
    h.engine.publish("a@trade", { pad });
    await Bun.sleep(2);
  }
  const last = h.engine.publish("a@trade");
  await client.until((c) => c.seqs("a@trade").at(-1) === last);
  expect(client.seqs("a@trade")).toEqual(Array.from({ length: last }, (_, i) => i + 1));
  raw.socket.destroy();
}, 20_000);

test("heartbeat - the node pings after silence, a pong is life, and silence is closed 4009", async () => {
  h = await harness({ limits: { pingAfterMs: 200, idleMsMax: 1500 } });
  const client = await h.client();
  const raw = await rawWebSocket(h.edge.port, "/ws/quote/v1");
  await until(() => serverFrames(raw).some(({ opcode }) => opcode === 9), "a ping came");
  await until(() => closeCode(raw) === 4009, "silence is closed");
  expect(client.closed).toBeNull();
  expect((await client.ask({ id: 1, op: "ping" })).ok).toBe(true);
  raw.socket.destroy();
});

test("listener - a port in use is one sentence, before any worker starts", async () => {
  h = await harness();
  const engine = new ScriptedEngine([]);
  const { startEdge } = await import("./supervisor.ts");
  const { DEFAULT_EDGE_CONFIG } = await import("./config.ts");
  const { systemClock } = await import("../lib/clock.ts");
  const { silentLog } = await import("../lib/log.ts");
  const second = startEdge({
    config: { ...DEFAULT_EDGE_CONFIG, port: h.edge.port },
    ring: engine.shared,
    readers: engine.ring,
    workers: 1,
    clock: systemClock(),
    log: silentLog,
    onMessage: () => undefined,
    onWorkerGone: () => undefined,
  });
  expect(second).rejects.toMatchObject({
    code: "PORT_IN_USE",
    message: `port ${h.edge.port} on 127.0.0.1 is in use: choose another one`,
  });
});
