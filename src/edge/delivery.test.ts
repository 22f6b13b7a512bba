/** Delivery from the ring against real workers: moves, envelopes, controls, laps, counters. */
import { afterEach, expect, test } from "bun:test";
import { FREE, type Harness, harness, until } from "./testing/harness.ts";

let h: Harness;
afterEach(() => h.stop());

const subscribe = (id: number, ...channels: string[]) => ({ id, op: "subscribe", channels });
const CHANNEL = "btcusdt@trade";

test("delivery - a record of several frames arrives as several, in every envelope in use", async () => {
  h = await harness({ channels: [CHANNEL] });
  const native = await h.client();
  const [raw, combined] = [await h.client("/ws"), await h.client("/stream")];
  await native.ask(subscribe(1, CHANNEL));
  await native.ask(subscribe(2, `spot:${CHANNEL}`));
  for (const client of [raw, combined]) await client.ask({ id: 1, method: "SUBSCRIBE", params: [CHANNEL] });
  h.engine.publish(CHANNEL, { frames: 3 });
  const payload = '"type":"items","prev":null,"seq":1,"data":[1]}';
  await until(() => combined.texts.length === 4 && raw.texts.length === 4 && native.texts.length === 8, "all came");
  expect(raw.texts.slice(1)).toEqual(new Array(3).fill(`{${payload}`));
  expect(combined.texts.slice(1)).toEqual(new Array(3).fill(`{"stream":"${CHANNEL}","data":{${payload}}`));
  expect(native.texts.filter((text) => text === `{"channel":"${CHANNEL}",${payload}`).length).toBe(3);
  expect(native.texts.filter((text) => text === `{"channel":"spot:${CHANNEL}",${payload}`).length).toBe(3);
});

test("delivery - one channel under several Binance names is several independent streams", async () => {
  h = await harness({ channels: ["btcusdt@depth"], limits: { commands: FREE } });
  const client = await h.client("/stream");
  const ask = (id: number, method: string, params: string[]) => client.ask({ id, method, params });
  await ask(1, "SUBSCRIBE", ["btcusdt@depth", "btcusdt@depth@100ms"]);
  h.engine.publish("btcusdt@depth");
  h.engine.tick(0b100101);
  await client.until((c) => c.texts.length === 3);
  expect(
    client.frames
      .slice(1)
      .map(({ stream }) => stream)
      .sort(),
  ).toEqual(["btcusdt@depth", "btcusdt@depth@100ms"]);
  await ask(2, "UNSUBSCRIBE", ["btcusdt@depth"]);
  h.engine.publish("btcusdt@depth");
  h.engine.tick(0b100101);
  await client.until((c) => c.texts.length === 5);
  expect(client.frames.at(-1)?.stream).toBe("btcusdt@depth@100ms");
  expect((await client.ask({ id: 3, method: "LIST_SUBSCRIPTIONS" })).result).toEqual(["btcusdt@depth@100ms"]);
});

test("delivery - streams of the URL run without a reply, the unknown are ignored", async () => {
  h = await harness({ channels: [CHANNEL, "ethusdt@trade"] });
  const raw = await h.client(`/ws/${CHANNEL}/nobody@trade`);
  const combined = await h.client(`/stream?streams=${CHANNEL}/ethusdt@trade/${CHANNEL}`);
  await until(() => h.engine.received("join").length >= 3, "they were asked for");
  await raw.ask({ id: 1, method: "LIST_SUBSCRIPTIONS" });
  await combined.ask({ id: 1, method: "LIST_SUBSCRIPTIONS" });
  h.engine.publish(CHANNEL);
  await until(() => raw.texts.length === 2 && combined.texts.length === 2, "each has got it once");
  expect(combined.frames[1]?.stream).toBe(CHANNEL);
});

test("delivery - SET_PROPERTY switches the envelope of every stream, under way or running, losing nothing", async () => {
  h = await harness({ channels: [CHANNEL, "ethusdt@trade"], limits: { commands: FREE } });
  const client = await h.client("/ws");
  await client.ask({ id: 1, method: "SUBSCRIBE", params: [CHANNEL] });
  let publishing = true;
  const load = (async () => {
    while (publishing) {
      for (let i = 0; i < 5; i++) h.engine.publish(CHANNEL);
      await Bun.sleep(1);
    }
  })();
  expect(await client.ask({ id: 2, method: "GET_PROPERTY", params: ["combined"] })).toEqual({ result: false, id: 2 });
  for (let id = 3; id < 23; id++) {
    const value = id % 2 === 1;
    expect(await client.ask({ id, method: "SET_PROPERTY", params: ["combined", value] })).toEqual({ result: null, id });
    const next = client.texts.length;
    await client.until((c) => c.texts.length > next + 2);
    expect(client.frames[next]?.stream).toBe(value ? CHANNEL : undefined);
  }
  h.engine.hold = true;
  client.send({ id: 30, method: "SUBSCRIBE", params: ["ethusdt@trade"] });
  await client.ask({ id: 31, method: "SET_PROPERTY", params: ["combined", true] });
  h.engine.release();
  await client.until((c) => c.reply(30) !== undefined);
  publishing = false;
  await load;
  h.engine.publish("ethusdt@trade");
  await client.until((c) => c.frames.some(({ stream }) => stream === "ethusdt@trade"));
  const seqs = () =>
    client.frames
      .filter(({ stream }) => stream === undefined || stream === CHANNEL)
      .map(({ stream, data, seq }) => (stream === undefined ? seq : (data as { seq: number }).seq))
      .filter((seq) => seq !== undefined);
  const last = h.engine.publish(CHANNEL);
  await until(() => seqs().at(-1) === last, "the end came");
  expect(seqs()).toEqual(Array.from(seqs(), (_, at) => seqs()[0]! + at));
}, 20_000);

test("moves - a change of cadence keeps the chain exact, and its end is told", async () => {
  h = await harness({ limits: { commands: FREE } });
  for (let i = 0; i < 3; i++) h.engine.publish("a@trade");
  const [client, other] = [await h.client(), await h.client()];
  await client.ask(subscribe(1, "a@trade"));
  await other.ask(subscribe(1, "a@trade"));
  const reply = await client.ask({ id: 2, op: "cadence", channel: "a@trade", ms: 100 });
  expect(reply.ok).toBe(true);
  await until(() => h.engine.received("move").length === 1, "the move was asked for");
  h.engine.publish("a@trade");
  // Bit 1 is 50 ms: not the target, so nothing moves.
  h.engine.tick(0b11);
  h.engine.publish("a@trade");
  h.engine.tick(0b101);
  h.engine.publish("a@trade");
  h.engine.publish("a@trade");
  h.engine.tick(0b101);
  await client.until((c) => c.seqs("a@trade").at(-1) === 7);
  expect(client.seqs("a@trade")).toEqual([3, 4, 5, 7]);
  expect(client.frames.filter(({ type }) => type === "cadence")).toMatchObject([{ channel: "a@trade", ms: 100 }]);
  await other.until((c) => c.seqs("a@trade").at(-1) === 7);
  expect(other.seqs("a@trade")).toEqual([3, 4, 5, 6, 7]);
  // Back to real time: any TICK will do.
  await client.ask({ id: 3, op: "subscribe", channels: ["a@trade"] });
  await until(() => h.engine.received("move").length === 2, "the move back was asked for");
  h.engine.tick(0b11);
  await until(() => h.engine.topic("a@trade", 100) === undefined, "the slow topic is left");
  h.engine.publish("a@trade");
  await client.until((c) => c.seqs("a@trade").at(-1) === 8);
  expect((await client.ask({ id: 4, op: "subscriptions" })).channels?.["a@trade"]).toMatchObject({
    cadence: 0,
    seq: 8,
  });
});

test("moves - under load no move loses or doubles anything", async () => {
  h = await harness({ limits: { commands: FREE } });
  h.engine.publish("a@trade");
  const clients = await Promise.all(Array.from({ length: 10 }, () => h.client()));
  for (const client of clients) await client.ask(subscribe(1, "a@trade"));
  let publishing = true;
  const load = (async () => {
    for (let at = 0; publishing; at++) {
      h.engine.publish("a@trade");
      if (at % 5 === 4) h.engine.tick(at % 10 === 9 ? 0b111 : 0b11);
      await Bun.sleep(1);
    }
  })();
  const moved = (client: (typeof clients)[number]) => client.frames.some(({ type }) => type === "cadence");
  // A busy machine may take several rounds in one turn, which is one move or none.
  for (let round = 0; round < 12 || !clients.every(moved); round++) {
    expect(round).toBeLessThan(300);
    for (const [at, client] of clients.entries()) {
      client.send({ id: 10 + round, op: "cadence", channel: "a@trade", ms: [0, 50, 100][(round + at) % 3] });
    }
    await Bun.sleep(20);
  }
  publishing = false;
  await load;
  h.engine.tick(0b111);
  const last = h.engine.channels.get("a@trade")!.seq;
  await until(() => clients.every((c) => c.seqs("a@trade").at(-1) === last), "all stand at the last seq");
  for (const client of clients) {
    let have: number | null = null;
    for (const frame of client.frames.filter(({ channel, seq }) => channel === "a@trade" && seq !== undefined)) {
      if (have !== null) expect(frame.prev).toBe(have);
      have = frame.seq!;
    }
  }
}, 30_000);

test("moves - unsubscribing or closing while a move is pending leaves both topics", async () => {
  h = await harness();
  const client = await h.client();
  await client.ask(subscribe(1, "a@trade", "b@trade"));
  for (const channel of ["a@trade", "b@trade"]) await client.ask({ id: 2, op: "cadence", channel, ms: 3000 });
  await client.ask({ id: 3, op: "unsubscribe", channels: ["a@trade"] });
  client.socket.close();
  await until(() => h.engine.received("move").length === 2, "both moves were asked for");
  h.engine.tick(0xff);
  await until(() => h.engine.received("leave").length === 4, "everything is left");
  expect(h.engine.topic("a@trade")).toBeUndefined();
  expect(h.engine.topic("b@trade", 3000)).toBeUndefined();
});

test("control - closeTopic closes its sessions with the code, and nobody else", async () => {
  h = await harness();
  const [a, b] = [await h.client(), await h.client()];
  await a.ask(subscribe(1, "a@trade", "c@trade"));
  await b.ask(subscribe(1, "b@trade", "c@trade"));
  h.engine.control((topic) => ({ do: "closeTopic", topic, code: 1012, reason: "a is over" }), "a@trade");
  expect(await a.gone()).toEqual({ code: 1012, reason: "a is over" });
  h.engine.publish("c@trade");
  await b.until((c) => c.seqs("c@trade").length === 1);
  expect(b.closed).toBeNull();
});

test("control - closeStale closes who saw it turn stale, not who joined it stale", async () => {
  h = await harness({ channels: [CHANNEL], limits: { commands: FREE } });
  const join = async () => {
    const client = await h.client("/ws");
    await client.ask({ id: 1, method: "SUBSCRIBE", params: [CHANNEL] });
    return client;
  };
  const stale = () => h.engine.control((topic) => ({ do: "stale", topic }), CHANNEL);
  const closeStale = () =>
    h.engine.control((topic) => ({ do: "closeStale", topic, code: 1012, reason: "stale" }), CHANNEL);
  const before = await join();
  closeStale();
  stale();
  const during = await join();
  // Main repeats it after a lap of another worker.
  stale();
  const left = await join();
  await left.ask({ id: 2, method: "UNSUBSCRIBE", params: [CHANNEL] });
  closeStale();
  expect((await before.gone()).code).toBe(1012);
  expect((await during.ask({ id: 2, method: "LIST_SUBSCRIPTIONS" })).result).toEqual([CHANNEL]);
  h.engine.control((topic) => ({ do: "fresh", topic }), CHANNEL);
  closeStale();
  stale();
  closeStale();
  expect((await during.gone()).code).toBe(1012);
  expect(left.closed).toBeNull();
});

test("control - a new epoch is what replies name from then on", async () => {
  h = await harness();
  h.engine.publish("a@trade");
  const client = await h.client();
  await client.ask(subscribe(1, "a@trade"));
  h.engine.control((topic) => ({ do: "epoch", topic, epoch: "e2" }), "a@trade");
  h.engine.publish("a@trade");
  await client.until((c) => c.seqs("a@trade").at(-1) === 2);
  expect((await client.ask(subscribe(2, "a@trade"))).channels?.["a@trade"]).toMatchObject({ epoch: "e2", seq: 2 });
});

test("laps - a worker that was overtaken catches up, losing and doubling nothing", async () => {
  h = await harness({ ringBytes: 64 * 1024, silentMsMax: 10_000 });
  const client = await h.client();
  await client.ask(subscribe(1, "a@trade", "b@trade"));
  h.engine.publish("b@trade");
  for (let round = 0; round < 2; round++) {
    await h.stall();
    h.engine.overrun("a@trade");
    h.engine.publish("a@trade");
    const last = h.engine.publish("a@trade");
    await client.until((c) => c.seqs("a@trade").at(-1) === last);
    await until(() => h.edge.counters().laps === round + 1, "the lap is counted");
  }
  h.engine.publish("b@trade");
  await client.until((c) => c.seqs("b@trade").length === 2);
  const seqs = client.seqs("a@trade");
  expect(seqs).toEqual(Array.from(seqs, (_, at) => at + 1));
  expect(h.engine.gone).toEqual([]);
});

test("laps - who is waiting while the worker is overtaken gets its snapshot, and moves go on", async () => {
  h = await harness({ ringBytes: 64 * 1024, silentMsMax: 10_000 });
  const [client, joiner] = [await h.client(), await h.client()];
  await client.ask(subscribe(1, "a@trade", "b@trade"));
  await client.ask({ id: 2, op: "cadence", channel: "b@trade", ms: 3000 });
  await until(() => h.engine.received("move").length === 1, "the move was asked for");
  h.engine.hold = true;
  joiner.send(subscribe(1, "a@trade", "c@trade"));
  await until(() => h.engine.held.length === 2, "the joins were asked for");
  await h.stall();
  h.engine.release();
  h.engine.publish("b@trade");
  h.engine.tick(0xff);
  h.engine.overrun("a@trade");
  await joiner.until((c) => c.reply(1) !== undefined);
  await until(() => {
    h.engine.tick(0xff);
    return client.frames.some(({ type }) => type === "cadence");
  }, "the move, asked for again, is done");
  h.engine.publish("b@trade");
  h.engine.tick(0xff);
  const last = h.engine.publish("a@trade");
  for (const one of [client, joiner]) {
    await one.until((c) => c.seqs("a@trade").at(-1) === last);
    const seqs = one.seqs("a@trade");
    expect(seqs).toEqual(Array.from(seqs, (_, at) => seqs[0]! + at));
  }
  await client.until((c) => c.seqs("b@trade").at(-1) === 2);
  expect(client.seqs("b@trade")).toEqual([1, 2]);
});

test("laps - what cannot be caught up exactly closes its sessions 1012", async () => {
  h = await harness({ ringBytes: 64 * 1024, channels: [CHANNEL] });
  h.engine.lost = true;
  const client = await h.client("/ws");
  const idle = await h.client("/ws");
  await client.ask({ id: 1, method: "SUBSCRIBE", params: [CHANNEL] });
  await h.stall();
  h.engine.overrun(CHANNEL);
  expect((await client.gone()).code).toBe(1012);
  expect((await idle.ask({ id: 1, method: "LIST_SUBSCRIPTIONS" })).result).toEqual([]);
});

test("laps - lapped again before it is repaired: everybody is closed 1001 and a new worker serves", async () => {
  h = await harness({ ringBytes: 64 * 1024, silentMsMax: 10_000 });
  const [client, idle] = [await h.client(), await h.client()];
  await client.ask(subscribe(1, "a@trade"));
  h.engine.hold = true;
  await h.stall();
  h.engine.overrun("a@trade");
  await until(() => h.engine.received("lapped").length === 1, "repair was asked for");
  await h.stall();
  h.engine.overrun("a@trade");
  expect((await client.gone()).code).toBe(1001);
  expect((await idle.gone()).code).toBe(1001);
  h.engine.held.length = 0;
  h.engine.hold = false;
  await until(() => h.engine.gone.length === 1 && h.edge.ready === 1, "a new worker listens");
  const again = await h.client();
  await again.ask(subscribe(1, "a@trade"));
});

test("counters - deliveries, errors, closes and latency are counted, and posted every second", async () => {
  h = await harness();
  const clients = await Promise.all(Array.from({ length: 3 }, () => h.client()));
  for (const client of clients) await client.ask(subscribe(1, "a@trade", "b@trade", "nobody@trade"));
  for (let i = 0; i < 10; i++) h.engine.publish("a@trade");
  clients[0]!.send("{");
  await clients[0]!.until((c) => c.frames.some(({ error }) => error?.code === 1001));
  for (const client of clients) await client.until((c) => c.seqs("a@trade").at(-1) === 10);
  clients[2]!.socket.close(1000);
  await until(() => h.edge.counters().sessions === 2, "counted");
  const counters = h.edge.counters();
  // 3 replies, 30 publications, 1 error.
  expect(counters.delivered).toBe(34);
  expect(counters.deliveredBytes).toBeGreaterThan(34 * 40);
  expect(counters.subscriptions).toBe(4);
  expect(counters.rungSessions).toEqual([4, 0, 0, 0, 0, 0, 0, 0]);
  expect(counters.errors).toEqual({ "1001": 1, "1203": 3 });
  expect(counters.closes).toEqual({ "1000": 1 });
  expect(counters.latency.trade?.counts.reduce((sum, n) => sum + n, 0)).toBe(30);
  expect(counters.latency.trade?.sumUs).toBeGreaterThan(0);
});
