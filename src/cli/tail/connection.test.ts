import { afterEach, expect, test } from "bun:test";
import type { ServerWebSocket } from "bun";
import type { ChannelPush } from "../../../client/src/frames.ts";
import { type Connection, openConnection } from "./connection.ts";

type Frame = Record<string, unknown>;

/** A server that says what the test tells it to, and what a connection made of it. */
class Stage {
  readonly seen: string[] = [];
  readonly commands: Frame[] = [];
  readonly #server: Bun.Server<undefined>;
  readonly #connection: Connection;
  #socket: ServerWebSocket<undefined> | null = null;
  #waiting: (() => void)[] = [];

  constructor(...channels: string[]) {
    this.#server = Bun.serve<undefined>({
      port: 0,
      fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 400 })),
      websocket: {
        open: (socket) => {
          this.#socket = socket;
        },
        message: (_, text) => {
          const command = JSON.parse(String(text)) as Frame;
          if (command.op === "ping") return;
          this.commands.push(command);
          this.#stir();
        },
      },
    });
    const note = (text: string): void => {
      this.seen.push(text);
      this.#stir();
    };
    this.#connection = openConnection(
      { url: `ws://127.0.0.1:${this.#server.port}/`, channels, cadence: null, ca: null },
      {
        connected: () => note("connected"),
        lost: (reason, _, first) => note(`lost ${first ? "never connected" : reason}`),
        refused: (channel, code) => note(`refused ${channel} ${code}`),
        push: (push: ChannelPush, _, restart) =>
          note(`${push.type} ${"seq" in push ? push.seq : "-"}${restart ? " restart" : ""}`),
        broken: (push) => note(`broken ${push.type}`),
        drain: ({ afterMs }) => note(`drain ${afterMs}`),
        odd: (frame) => note(`odd ${frame}`),
      },
    );
  }

  say(...frames: (Frame | string)[]): void {
    for (const frame of frames) this.#socket?.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  hangUp(): void {
    this.#socket?.close(1012, "restart");
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #stir(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async close(): Promise<void> {
    this.#connection.close();
    await this.#server.stop(true);
  }
}

const stages: Stage[] = [];
afterEach(async () => {
  for (const stage of stages.splice(0)) await stage.close();
});

async function stage(...channels: string[]): Promise<Stage> {
  const made = new Stage(...channels);
  stages.push(made);
  await made.until(() => made.commands.length === 1);
  return made;
}

const at = { time: 1, sentUs: 1 };
const none = { bids: [], asks: [] };
const snapshot = (seq: number): Frame => ({
  channel: "b@depth",
  type: "snapshot",
  epoch: "k1",
  seq,
  ...at,
  data: none,
});
const delta = (prev: number, seq: number): Frame => ({
  channel: "b@depth",
  type: "delta",
  prev,
  seq,
  ...at,
  data: none,
});
const items = (prev: number, seq: number): Frame => ({
  channel: "b@trade",
  type: "items",
  prev,
  seq,
  ...at,
  data: [1],
});
const running = (channel: string, seq: number, id = 1): Frame => ({
  id,
  ok: true,
  channels: { [channel]: { epoch: "k1", seq, cadence: 0, recovered: false } },
});

test("tail connection - subscribes in real time and shows what comes", async () => {
  const on = await stage("b@depth", "b@trade");
  expect(on.commands[0]).toEqual({ id: 1, op: "subscribe", channels: ["b@depth", "b@trade"] });
  on.say(running("b@depth", 10), snapshot(10), delta(10, 11), delta(10, 11), { type: "drain", afterMs: 9 }, "[]");
  await on.until(() => on.seen.includes("odd []"));
  expect(on.seen).toEqual(["connected", "snapshot 10", "delta 11", "drain 9", "odd []"]);
});

test("tail connection - a break in a book's chain is told once and a snapshot is asked for, which mends it", async () => {
  const on = await stage("b@depth");
  on.say(running("b@depth", 10), snapshot(10), delta(12, 13), delta(13, 14), delta(14, 15));
  await on.until(() => on.commands.length === 2);
  expect(on.commands[1]).toMatchObject({ op: "resync", channel: "b@depth" });
  on.say(snapshot(16), delta(16, 17), delta(18, 19));
  await on.until(() => on.commands.length === 3);
  expect(on.seen.slice(1)).toEqual(["snapshot 10", "broken delta", "snapshot 16", "delta 17", "broken delta"]);
});

test("tail connection - missing items are asked for from what it has", async () => {
  const on = await stage("b@trade");
  on.say(running("b@trade", 10), items(10, 12), items(13, 14));
  await on.until(() => on.commands.length === 3);
  expect(on.commands.slice(1)).toMatchObject([
    { op: "unsubscribe", channels: ["b@trade"] },
    { op: "subscribe", channels: ["b@trade"], since: { "b@trade": { epoch: "k1", seq: 12 } } },
  ]);
  on.say({ id: 2, ok: true, channels: ["b@trade"] }, running("b@trade", 14, 3), items(12, 14), items(14, 15));
  await on.until(() => on.seen.includes("items 15"));
  expect(on.seen.slice(1)).toEqual(["items 12", "broken items", "items 14", "items 15"]);
});

test("tail connection - after a lost connection it subscribes again from where it stood", async () => {
  const on = await stage("b@depth", "b@trade");
  on.say(running("b@depth", 10), snapshot(10));
  await on.until(() => on.seen.includes("snapshot 10"));
  on.hangUp();
  await on.until(() => on.commands.length === 2);
  expect(on.seen.slice(2)).toEqual(["lost closed 1012 restart", "connected"]);
  expect(on.commands[1]).toMatchObject({ op: "subscribe", since: { "b@depth": { epoch: "k1", seq: 10 } } });
  on.say(delta(10, 12));
  await on.until(() => on.seen.includes("delta 12"));
});

test("tail connection - a refused channel is told, and not asked for again", async () => {
  const on = await stage("b@depth", "foo@bar");
  on.say({ ...running("b@depth", 10), errors: [{ channel: "foo@bar", code: 1203, message: "unknown channel" }] });
  await on.until(() => on.seen.includes("refused foo@bar 1203"));
  on.hangUp();
  await on.until(() => on.commands.length === 2);
  expect(on.commands[1]?.channels).toEqual(["b@depth"]);
});

test("tail connection - a node that is not there is tried again until it is", async () => {
  const probe = Bun.serve({ port: 0, fetch: () => new Response("no socket here") });
  const lost: boolean[] = [];
  const twice = Promise.withResolvers<void>();
  const connection = openConnection(
    { url: `ws://127.0.0.1:${probe.port}/`, channels: ["a"], cadence: 100, ca: null },
    {
      connected: () => twice.reject(new Error("connected to something that is no gateway")),
      lost(reason, retryMs, first) {
        expect(reason).toContain("101");
        expect(retryMs).toBeGreaterThan(0);
        if (lost.push(first) === 2) twice.resolve();
      },
      refused: () => undefined,
      push: () => undefined,
      broken: () => undefined,
      drain: () => undefined,
      odd: () => undefined,
    },
  );
  await twice.promise;
  connection.close();
  await probe.stop(true);
  expect(lost).toEqual([true, true]);
});
