/** The bus over NATS with much of something: large messages, many topics, many shards, many publications at once. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { BusMessage, Head, StateReply } from "../../src/bus/bus.ts";
import { seal } from "../../src/bus/envelope.ts";
import { split } from "../../src/bus/nats/parts.ts";
import { subjectOf } from "../../src/bus/subject.ts";
import type { Level } from "../../src/channel/types.ts";
import { type NatsServer, startNats } from "../lib/services/mod.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { natsBusFixture } from "./bus-nats-fixture.ts";
import { Pair } from "./bus-pair.ts";
import { ScriptedOwner, topicOf } from "./bus-scripted.ts";

const TRADES = "btcusdt@trade";
const DEPTH = "btcusdt@depth";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ jetstream: false, settings: ["max_payload: 65536"] });
}, TEST_MS_MAX);
afterAll(() => server.stop());

const fixtureOf = (defaults = {}) => natsBusFixture(() => server.url, { batch: 100, ...defaults });
const levels = (count: number): Level[] => Array.from({ length: count }, (_, i) => [`${100_000 + i}.5`, `${i}.25`]);

test("nats bus - what is larger than the server takes arrives whole and in its place", async () => {
  const fixture = fixtureOf();
  const [one, two] = [await fixture.node(), await fixture.node()];
  const seen: BusMessage[] = [];
  const heads: Head[] = [];
  two.subscribe(topicOf(DEPTH), (message) => seen.push(message));
  two.heads((head) => heads.push(head));
  const owner = new ScriptedOwner({ bus: one });
  const data = { bids: levels(20_000), asks: levels(5) };
  const large: StateReply = {
    ...{ ...owner.header(), channel: "large", user: "", seq: 1, provides: [], after: null, time: 1 },
    ...{ state: { type: "snapshot", data }, history: [], stale: false },
  };
  one.serve("large", ({ channel }) => (channel === "large" ? large : null));
  await fixture.settle();

  const before = owner.publish(DEPTH);
  const big = { ...owner.make(DEPTH), type: "delta" as const, data };
  one.publish(owner.header(), topicOf(DEPTH), big);
  const after = owner.publish(DEPTH);
  const last = Array.from({ length: 5000 }, (_, i): [string, string, number] => [`symbol${i}@trade`, "", i]);
  one.head({ ...owner.makeHead(true), last });
  await fixture.settle();
  expect(seen.flatMap((message) => message.publications)).toEqual([before, big, after]);
  expect(heads.map((head) => head.last.length)).toEqual([5000]);
  expect(await two.request({ channel: "large", user: "", since: null })).toEqual(large);
  // 400 KB and more of each through 64 KiB at a time.
  expect(one.status().counters.messagesOut).toBeGreaterThan(15);
  expect(two.status().counters.refusedIncomplete).toBe(0);
  await fixture.close();
});

test(
  "nats bus - a message in parts that is dropped, or comes without its beginning, is counted whole and healed",
  async () => {
    const fixture = fixtureOf({ batch: 1000, windowBytes: 1024, heldBytesMax: 100_000 });
    const [one, two, stranger] = [await fixture.node(), await fixture.node(), await fixture.node()];
    const pair = new Pair(one, two, { historyMax: 100 });
    const trades = pair.follow(TRADES);
    pair.owner.publish(TRADES);
    await pair.same(trades);
    const [first, seen] = [one.status().counters.publicationsOut, two.status().counters.publicationsIn];
    for (let i = 0; i < 1000; i++) pair.owner.publish(TRADES);
    await pair.same(trades);
    await fixture.settle();
    const { dropped, publicationsOut } = one.status().counters;
    expect(dropped).toBeGreaterThan(0);
    expect(dropped + publicationsOut - first).toBe(1000);
    // Nothing counts as sent that cannot be put together there.
    expect(two.status().counters.publicationsIn - seen).toBe(publicationsOut - first);

    const before = two.status().counters.refusedIncomplete;
    const parts = split(seal("message", JSON.stringify("x".repeat(200)), 1), 100, { sender: 1, message: 1 }, 1);
    const subject = subjectOf(fixture.cluster, topicOf(TRADES));
    for (const part of parts.slice(1)) stranger.link.connection?.publish(subject, part);
    pair.owner.publish(TRADES);
    await pair.same(trades);
    await fixture.settle();
    expect(two.status().counters.refusedIncomplete).toBe(before + 1);
    expect(trades.runs.map((run) => run.cause)).toEqual(["first", "heal"]);
    pair.close();
    await fixture.close();
  },
  TEST_MS_MAX,
);

test("nats bus - publications of one turn travel together, up to `batch`, and leave after `linger` by themselves", async () => {
  const fixture = fixtureOf({ lingerMs: 20 });
  const [one, two] = [await fixture.node(), await fixture.node()];
  const seen: BusMessage[] = [];
  two.subscribe(topicOf(TRADES), (message) => seen.push(message));
  await fixture.settle();
  const owner = new ScriptedOwner({ bus: one });
  for (let i = 0; i < 250; i++) owner.publish(TRADES);
  const other = new ScriptedOwner({ bus: one, shard: "shard-2" });
  other.publish(TRADES);
  await waitFor(() => seen.length >= 4, "they leave by themselves");
  expect(seen.map(({ shard, publications }) => [shard, publications.length])).toEqual([
    ["shard-1", 100],
    ["shard-1", 100],
    ["shard-1", 50],
    ["shard-2", 1],
  ]);
  await fixture.close();
});

test("nats bus - HEADs of 2,500 shards travel together, behind the publications made before them", async () => {
  const fixture = fixtureOf({ lingerMs: 100, headLingerMs: 20 });
  const [one, two] = [await fixture.node(), await fixture.node()];
  const order: string[] = [];
  let heads = 0;
  two.subscribe(topicOf(TRADES), () => order.push("publication"));
  two.heads((head) => {
    if (heads++ === 0) order.push(head.shard);
  });
  await fixture.settle();
  const owners = Array.from({ length: 2500 }, (_, i) => new ScriptedOwner({ bus: one, shard: `shard-${i}` }));
  await fixture.settle();
  const before = one.status().counters.messagesOut;
  owners[0]?.publish(TRADES);
  for (const owner of owners) owner.head(true);
  await waitFor(() => heads === 2500, "every HEAD arrives");
  expect(order).toEqual(["publication", "shard-0"]);
  // One publication, and the HEADs in parts of 64 KiB.
  expect(one.status().counters.messagesOut - before).toBeLessThan(20);
  await fixture.close();
});

test(
  "nats bus - two nodes with 2,000 topics: all arrive in order, also after a reconnect, and none that nobody wants",
  async () => {
    const fixture = fixtureOf();
    const [one, two] = [await fixture.node(), await fixture.node()];
    const channels = Array.from({ length: 2000 }, (_, i) => `s${i}@trade`);
    const seen = new Map<string, number[]>();
    const subscriptions = channels.map((channel) => {
      seen.set(channel, []);
      return two.subscribe(topicOf(channel), ({ publications }) => {
        for (const p of publications) seen.get(p.channel)?.push(p.seq);
      });
    });
    await fixture.settle();
    const owner = new ScriptedOwner({ bus: one });
    const sent = new Map<string, number[]>(channels.map((channel) => [channel, []]));
    const publish = (): void => {
      for (const channel of channels) sent.get(channel)?.push(owner.publish(channel).seq);
    };
    publish();
    publish();
    await fixture.settle();
    expect(seen).toEqual(sent);

    await two.link.connection?.close();
    await waitFor(() => two.status().reconnects >= 1, "it is back");
    await fixture.settle();
    publish();
    await fixture.settle();
    expect(seen).toEqual(sent);

    expect(two.status().subjects).toBe(2005);
    for (const subscription of subscriptions) subscription.close();
    await fixture.settle();
    expect(two.status().subjects).toBe(5);
    const { messagesIn } = two.status().counters;
    publish();
    await fixture.settle();
    expect(two.status().counters.messagesIn).toBe(messagesIn);
    expect(seen).not.toEqual(sent);
    await fixture.close();
  },
  TEST_MS_MAX,
);

test("nats bus - what no other node wants is not even written, from the first moment on that one does it is", async () => {
  const fixture = fixtureOf();
  const [one, two] = [await fixture.node(), await fixture.node()];
  const near: BusMessage[] = [];
  one.subscribe(topicOf(TRADES), (message) => near.push(message));
  await fixture.settle();
  const owner = new ScriptedOwner({ bus: one });
  for (let i = 0; i < 100; i++) owner.publish(TRADES);
  await fixture.settle();
  expect(near).toHaveLength(100);
  expect(one.status().counters.publicationsOut).toBe(0);
  expect([one.wanted(topicOf(TRADES)), one.wanted("fanout.other")]).toEqual([true, false]);

  // The answer says how far it reaches; everything behind it arrives.
  const seen: number[] = [];
  two.subscribe(topicOf(TRADES), ({ publications }) => seen.push(...publications.map((p) => p.seq)));
  const asked = two.request({ channel: TRADES, user: "", since: null });
  const end = performance.now() + 50;
  while (performance.now() < end) {
    owner.publish(TRADES);
    await Bun.sleep(0);
  }
  const from = (await asked)?.seq ?? 0;
  await fixture.settle();
  const behind = seen.filter((seq) => seq > from);
  expect(behind).toEqual(Array.from({ length: (owner.lastOf(TRADES) ?? 0) - from }, (_, i) => from + 1 + i));
  await fixture.close();
});

test("nats bus - a topic that cannot be a subject stays on its node, counted", async () => {
  const fixture = fixtureOf();
  const bus = await fixture.node();
  const seen: BusMessage[] = [];
  bus.subscribe("bad topic", (message) => seen.push(message));
  const owner = new ScriptedOwner({ bus });
  bus.publish(owner.header(), "bad topic", owner.make(TRADES));
  await fixture.settle();
  expect(seen).toHaveLength(1);
  expect(bus.status().counters.badTopics).toBe(1);
  expect(bus.status().subjects).toBe(5);
  await fixture.close();
});

test("nats bus - a shard's HEAD is made by its newest owner after the question, and only by it", async () => {
  const fixture = fixtureOf();
  const [one, two, three] = [await fixture.node(), await fixture.node(), await fixture.node()];
  const [former, owner] = [new ScriptedOwner({ bus: one }), new ScriptedOwner({ bus: two, token: 2 })];
  former.stopServing();
  one.serve(
    "shard-1",
    () => null,
    () => former.makeHead(true),
  );
  await fixture.settle();
  expect((await three.headOf("shard-1", 1000)).token).toBe(1);
  owner.stopServing();
  two.serve(
    "shard-1",
    () => null,
    () => owner.makeHead(true),
  );
  owner.head();
  await fixture.settle();
  owner.publish(TRADES);
  const asked = three.headOf("shard-1", 1000);
  owner.publish(TRADES);
  const head = await asked;
  expect([head.token, head.last]).toEqual([2, [[TRADES, "", 1001]]]);
  // Its own node need not ask anybody, the former owner's knows better than to believe itself.
  expect((await two.headOf("shard-1", 1000)).token).toBe(2);
  expect((await one.headOf("shard-1", 1000)).token).toBe(2);
  const nobody = await three.headOf("shard-9", 50).catch((error: { code?: string }) => error.code);
  expect(nobody).toBe("BUS_NO_ANSWER");
  await fixture.close();
});
