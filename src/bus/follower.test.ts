import { expect, test } from "bun:test";
import type { Publication } from "../channel/types.ts";
import type { Clock } from "../lib/clock.ts";
import { createFakeClock, nextTurn } from "../lib/fake-clock.ts";
import { ERRORS } from "../protocol/codes.ts";
import { BUS_VERSION, type Bus, type Head, type StateReply } from "./bus.ts";
import { UNAVAILABLE, UNKNOWN_CHANNEL } from "./chain.ts";
import { type ChannelConsumer, createFollower } from "./follower.ts";
import { createMemoryBus } from "./memory.ts";

const HEAD: Head = {
  version: BUS_VERSION,
  shard: "s1",
  token: 1,
  epoch: "e1",
  offset: null,
  source: "connected",
  provides: [],
  full: true,
  last: [],
};
const EMPTY: StateReply = {
  version: BUS_VERSION,
  shard: "s1",
  token: 1,
  epoch: "e1",
  channel: "c0",
  user: "",
  seq: null,
  provides: [],
  after: null,
  state: null,
  time: 0,
  history: [],
  stale: false,
};
const publication = (seq: number, prev: number | null): Publication => ({
  type: "items",
  data: [],
  channel: "c0",
  user: "",
  kind: "json",
  seq,
  prev,
  time: 0,
  receivedUs: 0,
});

function recorder(): ChannelConsumer & { calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    state: (reply, cause) => calls.push(`state ${cause} ${reply.seq}`),
    publication: (p) => calls.push(String(p.seq)),
    stale: (reason) => calls.push(`stale ${reason}`),
    fresh: () => calls.push("fresh"),
    unavailable: (code) => calls.push(`unavailable ${code}`),
  };
}

const topicOf = (): string => "t";

test("follower - its codes are those of the protocol's table", () => {
  expect(UNKNOWN_CHANNEL).toBe(ERRORS.UNKNOWN_CHANNEL.code);
  expect(UNAVAILABLE).toBe(ERRORS.UNAVAILABLE.code);
});

test("follower - a stall of its own node is not held against the shards", async () => {
  const fake = createFakeClock();
  let ahead = 0;
  const clock: Clock = { ...fake, monotonicMs: () => fake.monotonicMs() + ahead };
  const bus = createMemoryBus({ clock });
  bus.serve("s1", () => EMPTY);
  const follower = createFollower({ bus, clock, topicOf, random: () => 0.5 });
  const consumer = recorder();
  follower.follow("c0", consumer);
  bus.head(HEAD);
  await nextTurn();
  // The loop stood still for ten seconds: the timer comes late, the HEADs wait behind it.
  ahead += 10_000;
  fake.advance(300);
  expect(consumer.calls).toEqual(["state first null"]);
  fake.advance(2300);
  expect(consumer.calls).toEqual(["state first null", "stale no-head"]);
  follower.close();
  expect(fake.pending).toBe(0);
});

test("follower - a shard that falls silent and comes back is logged once each", async () => {
  const clock = createFakeClock();
  const lines: string[] = [];
  const bus = createMemoryBus({ clock });
  bus.serve("s1", () => EMPTY);
  const log = { warn: (fields: object, message: string) => lines.push(`${message} ${JSON.stringify(fields)}`) };
  const follower = createFollower({ bus, clock, topicOf, random: () => 0.5, log });
  follower.follow("c0", recorder());
  bus.head(HEAD);
  await clock.run(5000);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('"shard":"s1"');
  bus.head(HEAD);
  expect(lines).toHaveLength(2);
  follower.close();
});

test("follower - questions are paced, and each names the position of the moment it is sent", async () => {
  const clock = createFakeClock();
  const waiting: ((reply: StateReply | null) => void)[] = [];
  const asked: string[] = [];
  const inner = createMemoryBus({ clock });
  const bus: Bus = {
    ...inner,
    subscribe: (topic, receive) => inner.subscribe(topic, receive),
    heads: (receive) => inner.heads(receive),
    request: (request) => {
      asked.push(request.channel);
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
  const follower = createFollower({ bus, clock, topicOf, random: () => 0.5, requestsInFlightMax: 2 });
  const consumers = ["c0", "c1", "c2", "c3", "c4"].map((channel) => {
    const consumer = recorder();
    return { channel, consumer, subscription: follower.follow(channel, consumer) };
  });
  expect(asked).toEqual(["c0", "c1"]);
  expect(follower.status()).toMatchObject({ requestsInFlight: 2, requestsQueued: 3 });
  consumers[2]!.subscription.close();
  waiting[1]!({ ...EMPTY, channel: "c1" });
  await nextTurn();
  expect(asked).toEqual(["c0", "c1", "c3"]);
  for (const resolve of waiting) resolve(EMPTY);
  await nextTurn();
  for (const resolve of waiting) resolve(EMPTY);
  await nextTurn();
  expect(asked).toEqual(["c0", "c1", "c3", "c4"]);
  expect(follower.status()).toMatchObject({ requestsInFlight: 0, requestsQueued: 0, chains: 4 });
  expect(consumers.map(({ consumer }) => consumer.calls.length)).toEqual([1, 1, 0, 1, 1]);
  follower.close();
});

test("follower - an owner whose answers never fit is asked with growing pauses, and the consumer is told", async () => {
  const clock = createFakeClock();
  const bus = createMemoryBus({ clock });
  let requests = 0;
  bus.serve("s1", ({ since }) => {
    requests++;
    return since === null ? { ...EMPTY, seq: 10 } : { ...EMPTY, seq: 20, after: [publication(20, 19)] };
  });
  const follower = createFollower({ bus, clock, topicOf, random: () => 0.5 });
  const consumer = recorder();
  follower.follow("c0", consumer);
  await nextTurn();
  bus.publish(EMPTY, "t", publication(20, 19));
  await nextTurn();
  expect(requests).toBe(2);
  for (let i = 0; i < 20; i++) {
    bus.head({ ...HEAD, last: [["c0", "", 20]] });
    await clock.run(500);
  }
  expect(consumer.calls.slice(0, 2)).toEqual(["state first 10", "stale sequence"]);
  expect(consumer.calls).not.toContain("20");
  expect(requests).toBeLessThan(50);
  expect(follower.status().counters.badReplies).toBeGreaterThan(1);
  follower.close();
});

test("follower - if publications never fit, the whole state is taken", async () => {
  const clock = createFakeClock();
  const bus = createMemoryBus({ clock });
  let joined = false;
  bus.serve("s1", ({ since }) => {
    const chain = [publication(20, 19)];
    if (since !== null) return { ...EMPTY, seq: 20, after: chain };
    return joined ? { ...EMPTY, seq: 20, history: chain } : { ...EMPTY, seq: 10 };
  });
  const follower = createFollower({ bus, clock, topicOf, random: () => 0.5 });
  const consumer = recorder();
  follower.follow("c0", consumer);
  await nextTurn();
  joined = true;
  bus.publish(EMPTY, "t", publication(20, 19));
  await clock.run(1000);
  expect(consumer.calls).toEqual(["state first 10", "stale sequence", "state heal 19", "20"]);
  bus.publish(EMPTY, "t", publication(21, 20));
  expect(consumer.calls.at(-1)).toBe("21");
  follower.close();
});

test("follower - answers after the time limit or after unfollowing reach nobody", async () => {
  const clock = createFakeClock();
  const waiting: ((reply: StateReply | null) => void)[] = [];
  const bus = createMemoryBus({ clock });
  const slow: Pick<Bus, "subscribe" | "heads" | "request"> = {
    subscribe: (topic, receive) => bus.subscribe(topic, receive),
    heads: (receive) => bus.heads(receive),
    request: () => new Promise((resolve) => waiting.push(resolve)),
  };
  const follower = createFollower({ bus: slow, clock, topicOf, random: () => 0.5 });
  const [late, gone] = [recorder(), recorder()];
  follower.follow("c0", late);
  const subscription = follower.follow("c1", gone);
  await clock.run(2000);
  expect(follower.status()).toMatchObject({ requestsInFlight: 0, counters: { requestFailures: 2 } });
  waiting[0]!({ ...EMPTY, seq: 1 });
  await nextTurn();
  expect(follower.status()).toMatchObject({ requestsInFlight: 0, counters: { lateAnswers: 1 } });
  await clock.run(100);
  expect(follower.status().requestsInFlight).toBe(2);
  subscription.close();
  waiting[2]!({ ...EMPTY, seq: 2 });
  waiting[3]!({ ...EMPTY, channel: "c1", seq: 3 });
  await nextTurn();
  expect(late.calls).toEqual(["state first 2"]);
  expect(gone.calls).toEqual([]);
  follower.follow("c2", gone);
  follower.close();
  expect(clock.pending).toBe(0);
  waiting[4]!({ ...EMPTY, channel: "c2" });
  await nextTurn();
  expect(gone.calls).toEqual([]);
});

test("follower - a consumer that publishes while an answer is applied gets nothing twice", async () => {
  const clock = createFakeClock();
  const bus = createMemoryBus({ clock });
  const chain = [publication(11, 10), publication(12, 11)];
  bus.serve("s1", ({ since }) => (since === null ? { ...EMPTY, seq: 10 } : { ...EMPTY, seq: 12, after: chain }));
  const follower = createFollower({ bus, clock, topicOf, random: () => 0.5 });
  const consumer = recorder();
  follower.follow("c0", {
    ...consumer,
    publication(p, header) {
      consumer.publication(p, header);
      if (p.seq === 11) bus.publish(EMPTY, "t", chain[1]!);
    },
  });
  await nextTurn();
  // Another shard speaks for the channel: the owner is asked while the chain stays open.
  bus.publish({ ...EMPTY, shard: "s2" }, "t", publication(99, 98));
  await clock.run(1000);
  expect(consumer.calls).toEqual(["state first 10", "11", "12"]);
  follower.close();
});

test("follower - HEADs that come back while a question is out do not ask again", async () => {
  const clock = createFakeClock();
  const bus = createMemoryBus({ clock });
  let requests = 0;
  const slow: Pick<Bus, "subscribe" | "heads" | "request"> = {
    subscribe: (topic, receive) => bus.subscribe(topic, receive),
    heads: (receive) => bus.heads(receive),
    request: ({ since }) => {
      requests++;
      const reply = since === null ? { ...EMPTY, seq: 10 } : { ...EMPTY, seq: 11, after: [publication(11, 10)] };
      return new Promise((resolve) => clock.after(since === null ? 0 : 900, () => resolve(reply)));
    },
  };
  const follower = createFollower({ bus: slow, clock, topicOf, random: () => 0.5 });
  const consumer = recorder();
  follower.follow("c0", consumer);
  await clock.run(1900);
  bus.publish(EMPTY, "t", publication(12, 11));
  await clock.run(500);
  bus.head(HEAD);
  await clock.run(100);
  expect(requests).toBe(2);
  await clock.run(400);
  expect(consumer.calls).toEqual(["state first 10", "stale no-head", "fresh", "11"]);
  follower.close();
});

test("follower - unfollowing lets go of what was held and of pending pauses", async () => {
  const clock = createFakeClock();
  const bus = createMemoryBus({ clock });
  bus.serve("s1", () => null);
  const follower = createFollower({ bus, clock, topicOf, random: () => 0.5, lingerMs: 0 });
  const idle = clock.pending;
  const subscription = follower.follow("c0", recorder());
  await nextTurn();
  bus.publish(EMPTY, "t", publication(1, null));
  bus.publish(EMPTY, "t", publication(2, 1));
  expect(follower.status().held).toBe(2);
  expect(clock.pending).toBe(idle + 1);
  subscription.close();
  expect(follower.status().held).toBe(0);
  await clock.run(1);
  expect(clock.pending).toBe(idle);
  expect(bus.wanted("t")).toBe(false);
  follower.close();
});

test("follower - the first HEAD of a new shard lets unknown channels be asked for at once", async () => {
  const clock = createFakeClock();
  const bus = createMemoryBus({ clock });
  let reply: StateReply | null = null;
  bus.serve("s1", () => reply);
  const follower = createFollower({ bus, clock, topicOf, random: () => 0.5 });
  const consumer = recorder();
  follower.follow("c0", consumer);
  await clock.run(60_000);
  expect(consumer.calls).toEqual(["unavailable 1203"]);
  reply = EMPTY;
  bus.head(HEAD);
  await nextTurn();
  expect(consumer.calls).toEqual(["unavailable 1203", "state first null"]);
  follower.close();
});

test("follower - a silent shard that nobody follows is forgotten after a minute", async () => {
  const clock = createFakeClock();
  const bus = createMemoryBus({ clock });
  const follower = createFollower({ bus, clock, topicOf, random: () => 0.5 });
  bus.head(HEAD);
  clock.advance(59_000);
  expect(follower.shards()).toHaveLength(1);
  clock.advance(2000);
  expect(follower.shards()).toHaveLength(0);
  follower.close();
});

test("follower - a lossless chain without data yet takes its first publications even if the very first is lost", async () => {
  const clock = createFakeClock();
  const bus = createMemoryBus({ clock });
  const chain = [publication(5, null), publication(6, 5)];
  let reply = EMPTY;
  bus.serve("s1", () => reply);
  const follower = createFollower({ bus, clock, topicOf, random: () => 0.5 });
  const consumer = recorder();
  follower.follow("c0", consumer);
  await nextTurn();
  reply = { ...EMPTY, seq: 6, history: chain };
  bus.publish(EMPTY, "t", chain[1]!);
  await nextTurn();
  expect(consumer.calls).toEqual(["state first null", "5", "6"]);
  follower.close();
});
