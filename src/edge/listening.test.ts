/** Drain and renewed certificates with real workers, sockets and a scripted engine. */
import { afterEach, expect, test } from "bun:test";
import { connect } from "node:tls";
import { peerName, peerNames } from "../../test/lib/peer.ts";
import { waitFor } from "../../test/lib/wait.ts";
import { selfSigned } from "../../test/venue/certificate.ts";
import { type Log, silentLog } from "../lib/log.ts";
import { OLD_MAX, several } from "./listening.ts";
import { type Client, FREE, type Harness, harness, until } from "./testing/harness.ts";
import { clientFrame, closeCode, rawWebSocket, serverFrames, upgradeOf } from "./testing/raw-socket.ts";

let h: Harness;
const more: Harness[] = [];
afterEach(async () => {
  for (const one of [h, ...more.splice(0)]) await one.stop();
});

const subscribe = { id: 1, op: "subscribe", channels: ["a@trade"] };

async function clients(count: number): Promise<Client[]> {
  const all = await Promise.all(Array.from({ length: count }, () => h.client()));
  for (const client of all) await client.ask(subscribe);
  return all;
}

const http = (path: string): string => h.url(path).replace("ws", "http");
const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(http(path), { headers, tls: { rejectUnauthorized: false } });

/** The status of an attempt to upgrade, with the sentence. */
async function upgrade(): Promise<{ status: number; retry: string | null; text: string }> {
  const answer = await get("/ws/quote/v1", {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  });
  return { status: answer.status, retry: answer.headers.get("retry-after"), text: await answer.text() };
}

const drainFrames = ({ frames }: Client) => frames.filter(({ type }) => type === "drain");

// --- drain ----------------------------------------------------------------------------------------------------------

test("listening - a drain tells and closes everybody, refuses new sessions, and REST goes on", async () => {
  h = await harness({ workers: 2, limits: { commands: FREE } });
  const all = await clients(12);
  const done = h.edge.drain(600);
  await until(() => all.some((client) => drainFrames(client).length > 0), "a first notice");
  expect(await upgrade()).toEqual({
    status: 503,
    retry: "1",
    text: '{"error":"the node is stopping: connect again, to another node if there is one","code":1503}',
  });
  expect((await get("/api/v3/ping")).status).toBe(200);
  await done;
  for (const client of all) {
    expect(await client.gone()).toEqual({ code: 1012, reason: "the node is stopping" });
    expect(drainFrames(client)).toHaveLength(1);
  }
  expect(h.edge.counters()).toMatchObject({ sessions: 0, closes: { "1012": 12 } });
  expect((await get("/api/v3/ping")).status).toBe(200);
  expect((await upgrade()).status).toBe(503);
  await until(() => h.edge.counters().errors["1503"] === 2, "both are counted");
});

test("listening - what is published during a drain reaches everybody until the close", async () => {
  h = await harness();
  const all = await clients(8);
  const done = h.edge.drain(500);
  let seq = 0;
  while (all.some(({ closed }) => closed === null)) {
    seq = h.engine.publish("a@trade");
    await Bun.sleep(5);
  }
  await done;
  for (const client of all) {
    const seqs = client.seqs("a@trade");
    expect(seqs).toEqual(seqs.map((_, at) => at + 1));
  }
  expect(seq).toBeGreaterThan(1);
});

test("listening - a drain without sessions is over at once", async () => {
  h = await harness({ workers: 2 });
  await h.edge.drain(60_000);
  expect((await upgrade()).status).toBe(503);
});

test("listening - a client that does not read is no obstacle, and one that leaves by itself ends the drain early", async () => {
  h = await harness();
  const [first] = await clients(1);
  const stuck = await Bun.connect({
    hostname: "127.0.0.1",
    port: h.edge.port,
    socket: { data: (socket) => void socket.pause() },
  });
  stuck.write(
    "GET /ws/quote/v1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await until(() => h.edge.counters().sessions === 2, "both are counted");
  const done = h.edge.drain(600_000);
  // The first place is the one that is closed first, 60 s from now; whoever leaves is not waited for.
  await until(() => drainFrames(first!).length === 1, "the notice");
  first!.socket.close();
  stuck.end();
  stuck.terminate();
  await done;
});

test("listening - who has not taken what waits for it gets that first, and then the close", async () => {
  h = await harness({ limits: { outboxAgeMaxMs: 60_000 } });
  const raw = await rawWebSocket(h.edge.port, "/ws/quote/v1");
  raw.socket.write(clientFrame(1, JSON.stringify(subscribe)));
  await until(() => raw.text().includes('"ok":true'), "it has joined");
  raw.socket.pause();
  const pad = `,"${"x".repeat(50_000)}"`;
  let last = 0;
  for (let at = 0; at < 40; at++) last = h.engine.publish("a@trade", { pad });
  await until(() => h.edge.counters().delivered >= 41, "all of it was published");
  let drained = false;
  const done = h.edge.drain(0).then(() => {
    drained = true;
  });
  await until(() => h.edge.counters().closes["1012"] === 1, "it is closed");
  expect(drained).toBe(false);
  raw.socket.resume();
  await done;
  await until(() => closeCode(raw) === 1012, "the close came");
  const frames = serverFrames(raw).filter(({ opcode }) => opcode === 1);
  expect(frames.filter(({ payload }) => payload.includes(`"seq":${last},`))).toHaveLength(1);
  expect(frames.at(-1)!.payload.toString()).toContain('"type":"drain"');
});

test("listening - a worker that dies while draining changes nothing for the others, and the new one takes nobody", async () => {
  h = await harness({ workers: 2, limits: { commands: FREE } });
  const all = await clients(20);
  const done = h.edge.drain(1500);
  h.edge.post(0, { is: "inject", fault: "throw", ms: 0 });
  await done;
  const codes = await Promise.all(all.map(async (client) => (await client.gone()).code));
  expect(codes).toContain(1012);
  for (const code of codes) expect([1001, 1006, 1012]).toContain(code);
  await until(() => h.edge.ready === 2, "the worker is replaced");
  for (let at = 0; at < 20; at++) expect((await upgrade()).status).toBe(503);
  expect((await get("/api/v3/ping")).status).toBe(200);
});

test("listening - on a shared port a draining node makes room, and the other one takes who comes", async () => {
  h = await harness({ config: { sharePort: true } });
  const all = await clients(5);
  const { port } = h.edge;
  const other = await harness({ config: { sharePort: true, port } });
  more.push(other);
  const done = h.edge.drain(300);
  await until(() => all.every((client) => drainFrames(client).length === 1), "everybody is told");
  for (let at = 0; at < 20; at++) {
    const client = await other.client();
    expect(client.socket.readyState).toBe(WebSocket.OPEN);
  }
  await done;
  await until(() => other.edge.counters().sessions === 20, "all are with the other node");
});

// --- certificates ---------------------------------------------------------------------------------------------------

const [one, two] = [selfSigned("one"), selfSigned("two")];

/** New connections get this certificate and no other. */
function shows(name: string): Promise<void> {
  const only = async () => [...(await peerNames(h.edge.port))].join() === name;
  return waitFor(only, `the only certificate is ${name}`);
}

test("listening - wss and https, and a plain request to a WebSocket path is told which scheme", async () => {
  h = await harness({ config: { tls: one } });
  const [client] = await clients(1);
  h.engine.publish("a@trade");
  await client!.until(({ frames }) => frames.some(({ seq }) => seq === 1), "a publication");
  expect(await (await get("/api/v3/depth?symbol=A")).json()).toEqual({ path: "/api/v3/depth", query: "symbol=A" });
  expect(await (await get("/ws/quote/v1")).text()).toContain("connect with wss://");
  expect(await peerName(h.edge.port)).toBe("one");
});

test("listening - a reader over TLS that never reads is closed, the others go on", async () => {
  h = await harness({ config: { tls: one }, limits: { outboxBytesHigh: 64 * 1024, outboxBytesMax: 256 * 1024 } });
  const [client] = await clients(1);
  const stuck = connect({ port: h.edge.port, host: "127.0.0.1", rejectUnauthorized: false });
  stuck.on("error", () => undefined);
  stuck.write(upgradeOf("/ws/quote/v1"));
  stuck.write(clientFrame(1, JSON.stringify(subscribe)));
  await until(() => h.edge.counters().subscriptions === 2, "it has joined");
  stuck.pause();
  const pad = `,"${"x".repeat(20_000)}"`;
  for (let at = 0; h.edge.counters().sessions === 2; at++) {
    expect(at).toBeLessThan(5000);
    h.engine.publish("a@trade", { pad });
    await Bun.sleep(2);
  }
  const last = h.engine.publish("a@trade");
  await client!.until((one) => one.seqs("a@trade").at(-1) === last);
  expect(client!.seqs("a@trade")).toEqual(Array.from({ length: last }, (_, at) => at + 1));
  stuck.destroy();
});

test("listening - a renewed certificate: old sessions miss nothing, new ones see it on every worker", async () => {
  h = await harness({ workers: 2, config: { tls: one }, limits: { commands: FREE } });
  const before = await clients(10);
  const publishing = setInterval(() => h.engine.publish("a@trade"), 2);
  try {
    h.edge.renew(two, 1000);
    await until(() => h.engine.channels.get("a@trade")!.seq! > 20, "publications meanwhile");
    await shows("two");
    before.push(...(await clients(10)));
  } finally {
    clearInterval(publishing);
  }
  const last = h.engine.publish("a@trade");
  for (const client of before) {
    await client.until((one) => one.seqs("a@trade").at(-1) === last, "the last publication");
    const seqs = client.seqs("a@trade").map(Number);
    expect(seqs).toEqual(seqs.map((_, at) => seqs[0]! + at));
    expect(client.closed).toBeNull();
  }
  expect(before[0]!.seqs("a@trade")[0]).toBe(1);
  // The old listeners are empty now; the new ones go on.
  for (const client of before.splice(0, 10)) client.socket.close();
  await until(() => h.edge.counters().sessions === 10, "the old sessions are gone");
  const after = h.engine.publish("a@trade");
  for (const client of before) await client.until((one) => one.seqs("a@trade").at(-1) === after, "and still");
});

test("listening - a worker that is started again has the renewed certificate", async () => {
  h = await harness({ config: { tls: one } });
  h.edge.renew(two, 1000);
  h.edge.post(0, { is: "inject", fault: "throw", ms: 0 });
  await until(() => h.engine.gone.length === 1 && h.edge.ready === 1, "a new worker");
  await shows("two");
});

test("listening - with too many old listeners the oldest one's sessions are drained, the others stay", async () => {
  h = await harness({ config: { tls: one } });
  const groups: Client[] = [];
  for (let at = 0; at <= OLD_MAX + 1; at++) {
    groups.push(...(await clients(1)));
    if (at > OLD_MAX) break;
    const name = `number ${at}`;
    h.edge.renew(selfSigned(name), 100);
    // The next client must find the new listener.
    await shows(name);
  }
  expect(await groups[0]!.gone()).toEqual({ code: 1012, reason: "the certificate was renewed" });
  expect(drainFrames(groups[0]!)).toHaveLength(1);
  await until(() => h.edge.counters().limited.oldListeners === 1, "it is counted");
  const seq = h.engine.publish("a@trade");
  for (const client of groups.slice(1)) {
    await client.until((one) => one.seqs("a@trade").at(-1) === seq, "everybody else is served");
  }
});

test("listening - a certificate that cannot be served is logged, and the old one stays", async () => {
  const errors: string[] = [];
  const log: Log = { ...silentLog, error: (message) => void errors.push(message), child: () => log };
  h = await harness({ config: { tls: one }, log });
  const [client] = await clients(1);
  h.edge.renew({ cert: "nonsense", key: "nonsense" }, 1000);
  await until(() => errors.length > 0, "a line in the log");
  expect(errors).toEqual(["a listener with the new certificate cannot be opened"]);
  expect(await peerName(h.edge.port)).toBe("one");
  h.engine.publish("a@trade");
  await client!.until(({ frames }) => frames.some(({ seq }) => seq === 1), "a publication");
});

// --- publishing to several ------------------------------------------------------------------------------------------

test("listening - publishing to several says what was sent, wherever it was", () => {
  const heard: string[] = [];
  const one = (name: string, result: number) => ({
    publish(topic: string, text: string) {
      heard.push(`${name} ${topic} ${text}`);
      return result;
    },
  });
  expect(several([one("a", 0), one("b", 7)]).publish("t", "x")).toBe(7);
  expect(several([one("a", 7), one("b", 0)]).publish("t", "x")).toBe(7);
  expect(several([one("a", -1), one("b", 0)]).publish("t", "x")).toBe(-1);
  expect(several([one("a", -1), one("b", 5)]).publish("t", "x")).toBe(5);
  expect(several([one("a", 5), one("b", -1)]).publish("t", "x")).toBe(5);
  expect(heard.slice(0, 2)).toEqual(["a t x", "b t x"]);
});
