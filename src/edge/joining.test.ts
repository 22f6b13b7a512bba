/** Joining against real workers and real clients: order, no loss, no doubling, replies, limits. */
import { afterEach, expect, test } from "bun:test";
import { RUNGS } from "../ring/messages.ts";
import { type Client, FREE, type Harness, harness, until } from "./testing/harness.ts";

let h: Harness;
afterEach(() => h.stop());

const subscribe = (id: number, ...channels: string[]) => ({ id, op: "subscribe", channels });

test("joining - the reply precedes the snapshot, the snapshot the stream", async () => {
  h = await harness();
  h.engine.publish("a@trade");
  h.engine.publish("a@trade");
  const client = await h.client();
  const reply = await client.ask(subscribe(1, "a@trade"));
  expect(reply.channels).toEqual({ "a@trade": { epoch: "e1", seq: 2, cadence: 0, recovered: false } });
  h.engine.publish("a@trade");
  await client.until((c) => c.seqs("a@trade").length === 2);
  expect(client.frames[0]).toEqual(reply);
  expect(client.frames[1]).toMatchObject({ channel: "a@trade", type: "snapshot", seq: 2 });
  expect(client.frames[2]).toMatchObject({ channel: "a@trade", type: "items", prev: 2, seq: 3 });
});

test("joining - a known channel without data is running at once", async () => {
  h = await harness();
  const client = await h.client();
  const reply = await client.ask(subscribe(1, "a@trade"));
  expect(reply.channels?.["a@trade"]).toMatchObject({ seq: null });
  h.engine.publish("a@trade");
  await client.until((c) => c.seqs("a@trade").length === 1);
  expect(client.frames[1]).toMatchObject({ prev: null, seq: 1 });
});

test("joining - nothing is lost or doubled for clients that join and leave under load, on two workers", async () => {
  h = await harness({ workers: 2, limits: { commands: FREE } });
  const names = ["a@trade", "b@trade", "c@trade"];
  let publishing = true;
  const load = (async () => {
    while (publishing) {
      for (const name of names) for (let i = 0; i < 3; i++) h.engine.publish(name);
      await Bun.sleep(1);
    }
  })();
  const clients: Client[] = [];
  for (let i = 0; i < 40; i++) {
    const client = await h.client();
    clients.push(client);
    client.send(subscribe(1, ...names));
    if (i % 3 === 0) {
      client.send({ id: 2, op: "unsubscribe", channels: ["b@trade"] });
      client.send(subscribe(3, "b@trade"));
    }
  }
  await until(() => clients.every((c) => (c.reply(1) ?? c.reply(3)) !== undefined), "all have joined");
  const seq = () => h?.engine.channels.get("a@trade")?.seq ?? 0;
  const joinedAt = seq();
  await until(() => seq() > joinedAt + 100, "it goes on for all of them");
  publishing = false;
  await load;
  const end = Object.fromEntries(names.map((name) => [name, h.engine.channels.get(name)!.seq]));
  await until(() => clients.every((c) => names.every((n) => c.seqs(n).at(-1) === end[n])), "all have the last seq");
  for (const client of clients) {
    for (const name of names) {
      let have: number | null = null;
      for (const frame of client.frames.filter((f) => f.channel === name)) {
        if (frame.type === "items" && have !== null) expect(frame.prev).toBe(have);
        have = frame.seq!;
      }
    }
  }
});

test("joining - one request serves everybody who waits for a topic", async () => {
  h = await harness({ limits: { commands: FREE } });
  h.engine.hold = true;
  const clients = await Promise.all(Array.from({ length: 20 }, () => h.client()));
  for (const client of clients) client.send(subscribe(1, "a@trade"));
  await until(() => h.engine.held.length > 0, "a request came");
  for (const client of clients) await client.ask({ id: 2, op: "ping" });
  expect(h.engine.received("join").length).toBe(1);
  h.engine.release();
  for (const client of clients) await client.until((c) => c.reply(1) !== undefined);
});

test("joining - a turn that has no time for all who wait leaves the rest for the next answer", async () => {
  h = await harness({ limits: { commands: FREE, joinTurnMsMax: 0 } });
  h.engine.publish("a@trade");
  h.engine.hold = true;
  const clients = await Promise.all(Array.from({ length: 50 }, () => h.client()));
  for (const client of clients) client.send(subscribe(1, "a@trade"));
  for (const client of clients) await client.ask({ id: 2, op: "ping" });
  h.engine.release();
  for (const client of clients) await client.until((c) => c.reply(1) !== undefined);
  expect(h.engine.received("join").length).toBeGreaterThanOrEqual(3);
  h.engine.publish("a@trade");
  for (const client of clients) {
    await client.until((c) => c.seqs("a@trade").at(-1) === 2);
    expect(client.seqs("a@trade")).toEqual([1, 2]);
  }
});

test("joining - subscribing twice is one stream, one snapshot and a clear reply", async () => {
  h = await harness();
  h.engine.publish("a@trade");
  const client = await h.client();
  await client.ask(subscribe(1, "a@trade"));
  h.engine.publish("a@trade");
  await client.until((c) => c.seqs("a@trade").at(-1) === 2);
  const again = await client.ask(subscribe(2, "a@trade"));
  expect(again.channels?.["a@trade"]).toMatchObject({ epoch: "e1", seq: 2 });
  h.engine.publish("a@trade");
  await client.until((c) => c.seqs("a@trade").at(-1) === 3);
  expect(client.seqs("a@trade")).toEqual([1, 2, 3]);
});

test("joining - subscribing twice while waiting answers both commands with one stream", async () => {
  h = await harness();
  h.engine.publish("a@trade");
  h.engine.hold = true;
  const client = await h.client();
  client.send(subscribe(1, "a@trade"));
  client.send(subscribe(2, "a@trade", "b@trade"));
  await until(() => h.engine.held.length === 2, "both requests came");
  h.engine.release();
  await client.until((c) => c.reply(1) !== undefined && c.reply(2) !== undefined);
  expect(Object.keys(client.reply(2)!.channels!)).toEqual(["a@trade", "b@trade"]);
  h.engine.publish("a@trade");
  await client.until((c) => c.seqs("a@trade").at(-1) === 2);
  expect(client.seqs("a@trade")).toEqual([1, 2]);
});

test("joining - the reply waits for the last known stream, and bad ones come back in errors", async () => {
  h = await harness();
  h.engine.publish("a@trade");
  const client = await h.client();
  const reply = await client.ask(subscribe(1, "nobody@trade", "a@trade", "b ad", "busy@trade"));
  expect(Object.keys(reply.channels!)).toEqual(["a@trade"]);
  expect(reply.errors?.map(({ channel, code }) => [channel, code]).sort()).toEqual([
    ["b ad", 1201],
    ["busy@trade", 1501],
    ["nobody@trade", 1203],
  ]);
});

test("joining - since fills up to the stream", async () => {
  h = await harness();
  for (let i = 0; i < 5; i++) h.engine.publish("a@trade");
  const client = await h.client();
  const since = { "a@trade": { epoch: "e1", seq: 2 } };
  const reply = await client.ask({ ...subscribe(1, "a@trade"), since });
  expect(reply.channels?.["a@trade"]).toMatchObject({ seq: 5, recovered: true });
  h.engine.publish("a@trade");
  await client.until((c) => c.seqs("a@trade").length === 4);
  expect(client.seqs("a@trade")).toEqual([3, 4, 5, 6]);
});

test("joining - unsubscribing while waiting cancels, and main is told when the late answer comes", async () => {
  h = await harness();
  h.engine.publish("a@trade");
  h.engine.hold = true;
  const client = await h.client();
  client.send(subscribe(1, "a@trade"));
  await until(() => h.engine.held.length === 1, "the request came");
  const reply = await client.ask({ id: 2, op: "unsubscribe", channels: ["a@trade"] });
  expect(reply.ok).toBe(true);
  expect(client.reply(1)?.channels).toEqual({});
  h.engine.release();
  await until(() => h.engine.received("leave").length === 1, "the topic is left");
  h.engine.publish("a@trade");
  await client.ask({ id: 3, op: "ping" });
  expect(client.seqs("a@trade")).toEqual([]);
});

test("joining - an unanswered request is made again, and the late answer is ignored", async () => {
  h = await harness({ limits: { askAgainMs: 150 } });
  h.engine.publish("a@trade");
  h.engine.hold = true;
  const client = await h.client();
  client.send(subscribe(1, "a@trade"));
  await until(() => h.engine.held.length === 2, "it was asked again");
  const [late, now] = h.engine.held.splice(0, 2);
  h.engine.hold = false;
  late!();
  await client.ask({ id: 2, op: "ping" });
  expect(client.reply(1)).toBeUndefined();
  now!();
  await client.until((c) => c.seqs("a@trade").length === 1);
  expect(client.reply(1)?.ok).toBe(true);
  expect(client.seqs("a@trade")).toEqual([1]);
});

test("joining - unsubscribing from nothing is fine, and the last session of a topic leaves it", async () => {
  h = await harness();
  const client = await h.client();
  expect((await client.ask({ id: 1, op: "unsubscribe", channels: ["a@trade"] })).ok).toBe(true);
  await client.ask(subscribe(2, "a@trade"));
  await client.ask({ id: 3, op: "unsubscribe", channels: ["a@trade"] });
  await until(() => h.engine.received("leave").length === 1, "leave after unsubscribe");
  await client.ask(subscribe(4, "a@trade"));
  client.socket.close();
  await until(() => h.engine.received("leave").length === 2, "leave after close");
});

test("joining - 200 big snapshots are paced by the outbox, and all arrive", async () => {
  const channels = Array.from({ length: 200 }, (_, i) => `s${i}@trade`);
  h = await harness({ channels, ringBytes: 32 * 1024 * 1024 });
  h.engine.padding = "x".repeat(100_000);
  for (const name of channels) h.engine.publish(name);
  const client = await h.client();
  const reply = await client.ask(subscribe(1, ...channels));
  expect(Object.keys(reply.channels!).length).toBe(200);
  await client.until((c) => channels.every((name) => c.seqs(name).length === 1));
  expect(client.closed).toBeNull();
});

test("joining - resync sends a fresh snapshot, and only to who asked", async () => {
  h = await harness();
  h.engine.publish("a@trade");
  const [client, other] = [await h.client(), await h.client()];
  await client.ask(subscribe(1, "a@trade"));
  await other.ask(subscribe(1, "a@trade"));
  const reply = await client.ask({ id: 2, op: "resync", channel: "a@trade" });
  expect(reply.channels?.["a@trade"]).toMatchObject({ seq: 1 });
  h.engine.publish("a@trade");
  await client.until((c) => c.seqs("a@trade").at(-1) === 2);
  await other.until((c) => c.seqs("a@trade").at(-1) === 2);
  expect(client.seqs("a@trade")).toEqual([1, 1, 2]);
  expect(other.seqs("a@trade")).toEqual([1, 2]);
  expect((await client.ask({ id: 3, op: "resync", channel: "b@trade" })).error?.code).toBe(1202);
});

test("joining - subscriptions lists what runs and what is on its way", async () => {
  h = await harness();
  h.engine.publish("a@trade");
  const client = await h.client();
  await client.ask(subscribe(1, "a@trade"));
  h.engine.hold = true;
  client.send(subscribe(2, "b@trade"));
  const list = await client.ask({ id: 3, op: "subscriptions" });
  expect(list.channels?.["a@trade"]).toMatchObject({ seq: 1, epoch: "e1" });
  expect(list.channels?.["b@trade"]).toMatchObject({ seq: null });
});

test("joining - a topic that runs here serves later joiners with its latest frame, without asking main", async () => {
  h = await harness();
  h.engine.later = "latest";
  h.engine.publish("a@trade");
  const first = await h.client();
  await first.ask(subscribe(1, "a@trade"));
  const second = await h.client();
  await second.ask(subscribe(1, "a@trade"));
  await second.until((c) => c.frames.length === 2);
  expect(second.frames[1]).toMatchObject({ type: "snapshot", seq: 1 });
  h.engine.publish("a@trade");
  await first.until((c) => c.seqs("a@trade").at(-1) === 2);
  const third = await h.client();
  const reply = await third.ask(subscribe(1, "a@trade"));
  expect(reply.channels?.["a@trade"]).toMatchObject({ seq: 2, epoch: "e1" });
  await third.until((c) => c.frames.length === 2);
  expect(third.frames[1]).toMatchObject({ type: "items", prev: 1, seq: 2 });
  expect(h.engine.received("join").length).toBe(1);
  h.engine.publish("a@trade");
  await third.until((c) => c.seqs("a@trade").at(-1) === 3);
});

test("joining - where a position is all it takes, later joiners get no frame; after the last has left main is asked again", async () => {
  h = await harness();
  h.engine.later = "position";
  h.engine.publish("a@trade");
  const first = await h.client();
  await first.ask(subscribe(1, "a@trade"));
  h.engine.publish("a@trade");
  await first.until((c) => c.seqs("a@trade").at(-1) === 2);
  const second = await h.client();
  const reply = await second.ask(subscribe(1, "a@trade"));
  expect(reply.channels?.["a@trade"]).toMatchObject({ seq: 2 });
  h.engine.publish("a@trade");
  await second.until((c) => c.seqs("a@trade").length === 1);
  expect(second.frames[1]).toMatchObject({ prev: 2, seq: 3 });
  for (const client of [first, second]) await client.ask({ id: 2, op: "unsubscribe", channels: ["a@trade"] });
  await first.ask(subscribe(3, "a@trade"));
  expect(h.engine.received("join").length).toBe(2);
});

test("joining - an answer that finds nobody leaves nothing behind for those who come when others have moved there", async () => {
  h = await harness();
  h.engine.later = "position";
  h.engine.publish("a@trade");
  const [mover, gone, late] = [await h.client(), await h.client(), await h.client()];
  await mover.ask(subscribe(1, "a@trade"));
  h.engine.hold = true;
  gone.send({ ...subscribe(1, "a@trade"), cadence: 1000 });
  await until(() => h.engine.held.length === 1, "the join is with main");
  mover.send({ id: 2, op: "cadence", channel: "a@trade", ms: 1000 });
  await until(() => h.engine.held.length === 2, "the move keeps the topic");
  await gone.ask({ id: 2, op: "unsubscribe", channels: ["a@trade"] });
  h.engine.release();
  h.engine.publish("a@trade");
  h.engine.tick(1 << RUNGS.indexOf(1000));
  await mover.until((c) => c.frames.some(({ type }) => type === "cadence"));
  const reply = await late.ask({ ...subscribe(3, "a@trade"), cadence: 1000 });
  expect(reply.channels).toMatchObject({ "a@trade": { seq: 2, cadence: 1000 } });
});
