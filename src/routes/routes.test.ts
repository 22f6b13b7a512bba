/** Routes over a broker inside the process: which shards run, when they are started again, and what is said of them. */
import { expect, test } from "bun:test";
import { createMemoryBus } from "../bus/memory.ts";
import { InstrumentRegistry } from "../channel/registry.ts";
import { peerId } from "../cluster/peers.ts";
import type { DynamicConfig, RouteSpec } from "../config/dynamic/types.ts";
import { DEFAULT_LIMITS } from "../edge/config.ts";
import { type CheckpointStore, MemoryCheckpoints } from "../ingest/checkpoint.ts";
import { createMapper, learnInto } from "../ingest/mapper/mod.ts";
import { createRouteMapper } from "../ingest/mapper/route.ts";
import { ChannelOwners } from "../ingest/owners.ts";
import { createTopicPattern } from "../ingest/topic-pattern.ts";
import { createFakeClock, type FakeClock } from "../lib/fake-clock.ts";
import type { Log, LogFields } from "../lib/log.ts";
import { REMIND_MS } from "../lib/outage.ts";
import { Brokers } from "./brokers.ts";
import { Routes } from "./routes.ts";
import { createMemoryBroker, MemoryServer } from "./testing/memory-broker.ts";

const ROUTE: RouteSpec = {
  ...{ id: "r", version: 1, data_source: "k" },
  mappings: [{ mapper: "json", source_topic: "news", fanout_topic: "f", ws_topic: "news" }],
};

const configOf = (...routes: readonly RouteSpec[]): DynamicConfig => ({
  datasource: [{ version: 1, type: "kafka", name: "k", properties: {} }],
  ...{ topics: [], routes, mappers: [], instruments: [], limits: DEFAULT_LIMITS },
});

class KeptLog implements Log {
  readonly lines: string[] = [];
  readonly fields: (LogFields | undefined)[] = [];
  readonly #keep = (message: string, fields?: LogFields): void => {
    this.lines.push(message);
    this.fields.push(fields);
  };
  readonly debug = this.#keep;
  readonly info = this.#keep;
  readonly warn = this.#keep;
  readonly error = this.#keep;
  child(): Log {
    return this;
  }
}

interface Rig {
  readonly server: MemoryServer;
  readonly routes: Routes;
  readonly clock: FakeClock;
  readonly log: KeptLog;
  states(): string[];
  settle(): Promise<void>;
}

function rig(checkpoints: CheckpointStore = new MemoryCheckpoints(), peers: readonly string[] = ["a"]): Rig {
  const server = new MemoryServer();
  const clock = createFakeClock();
  const log = new KeptLog();
  const registry = new InstrumentRegistry();
  registry.addTopic("news");
  const memory = createMemoryBroker(server);
  const tools = { clock, random: () => 0.5, log, resolveAddress: (hostPort: string) => hostPort };
  const factories = { kafka: memory, nats: memory, jetstream: memory, "redis-stream": memory };
  const learn = learnInto(registry, () => undefined);
  const symbols = { has: () => true, list: () => ["btcusdt", "ethusdt"] };
  let epochs = 0;
  const routes = new Routes({
    nodeId: "a",
    peers,
    brokers: new Brokers(factories, tools, log),
    common: {
      ...{ bus: createMemoryBus({ clock }), catalog: registry, owners: new ChannelOwners(), checkpoints, clock },
      ...{ topicOf: (channel: string) => channel, randomId: () => `epoch-${++epochs}` },
    },
    patternOf: ({ topic }) => createTopicPattern(topic, symbols),
    mapperOf: ({ mappings }, pattern) =>
      createRouteMapper(mappings, { registry, learn, listed: () => false, pattern, create: createMapper }),
    kindOf: () => "json",
    ...{ clock, random: () => 0.5, log },
  });
  return {
    ...{ server, routes, clock, log },
    states: () => routes.status().inputs.map(({ shard, state }) => `${shard} ${state}`),
    async settle() {
      for (let turn = 0; turn < 50; turn++) await null;
    },
  };
}

test("routes - inputs that come get a shard, inputs that go take theirs along, the others are not touched", async () => {
  const { server, routes, states, settle } = rig();
  server.topic("news", 2);
  routes.apply(configOf(ROUTE));
  await settle();
  expect(states()).toEqual(["r/k/news/0 running", "r/k/news/1 running"]);
  const first = routes.shard("r/k/news/0");
  server.topic("news", 3);
  await settle();
  expect(states()).toEqual(["r/k/news/0 running", "r/k/news/1 running", "r/k/news/2 running"]);
  expect(routes.shard("r/k/news/0")).toBe(first);
  server.remove("news");
  await settle();
  expect(states()).toEqual([]);
  expect(routes.shards()).toEqual([]);
  await routes.stop();
});

test("routes - those of other peers are only told; a route's own peer has all of its", async () => {
  const { server, routes, states, settle } = rig(new MemoryCheckpoints(), ["a", "b"]);
  server.topic("news", 8);
  routes.apply(
    configOf(ROUTE, { ...ROUTE, id: "mine", peer_id: peerId("a") }, { ...ROUTE, id: "his", peer_id: peerId("b") }),
  );
  await settle();
  const of = (route: string) => states().filter((state) => state.startsWith(`${route}/`));
  expect(of("mine").filter((state) => state.endsWith("running"))).toHaveLength(8);
  expect(of("his").filter((state) => state.endsWith("elsewhere"))).toHaveLength(8);
  const spread = new Set(of("r").map((state) => state.split(" ")[1]));
  expect(spread).toEqual(new Set(["running", "elsewhere"]));
  expect(routes.status().inputs.find(({ shard }) => shard === "his/k/news/0")?.owner).toBe("b");
  await routes.stop();
});

test("routes - a route whose peer nobody has runs all the same, and that is said once", async () => {
  const { server, routes, states, settle, log } = rig();
  routes.apply(configOf({ ...ROUTE, peer_id: peerId("gone") }));
  const told = () => log.lines.filter((line) => line.startsWith("no peer has the id"));
  expect(told()).toHaveLength(1);
  server.topic("news");
  await settle();
  expect(states()).toEqual(["r/k/news/0 running"]);
  expect(told()).toHaveLength(1);
  await routes.stop();
});

test("routes - a changed mapping starts its shards again, a route that is gone stops them", async () => {
  const { server, routes, states, settle } = rig();
  server.topic("news");
  server.topic("other");
  const [mapping] = ROUTE.mappings;
  if (mapping === undefined) throw new Error("it has a mapping");
  const second = { ...ROUTE, id: "s", mappings: [{ ...mapping, source_topic: "other" }] };
  routes.apply(configOf(ROUTE, second));
  await settle();
  const [first, other] = [routes.shard("r/k/news/0"), routes.shard("s/k/other/0")];
  routes.apply(configOf({ ...ROUTE, mappings: [{ ...mapping, mapper: "balance" }] }, second));
  await settle();
  expect(states()).toEqual(["r/k/news/0 running", "s/k/other/0 running"]);
  expect(routes.shard("r/k/news/0")).not.toBe(first);
  expect(routes.shard("s/k/other/0")).toBe(other);
  routes.apply(configOf(second));
  await settle();
  expect(states()).toEqual(["s/k/other/0 running"]);
  await routes.stop();
});

test("routes - a shard that fails is told, and started again after growing pauses from where it was", async () => {
  const { server, routes, states, settle, clock, log } = rig();
  server.topic("news");
  server.produce("news", { n: 1 });
  routes.apply(configOf(ROUTE));
  await settle();
  const failed = () => routes.status().inputs[0];
  for (const [times, ms] of [500, 1000].entries()) {
    server.fail("the disk is full");
    await settle();
    expect(failed()).toMatchObject({ state: "waiting", reason: "the disk is full", failures: times + 1 });
    expect(routes.shards()).toHaveLength(1);
    clock.advance(ms);
    await settle();
    expect(states()).toEqual(["r/k/news/0 running"]);
  }
  server.produce("news", { n: 2 });
  await settle();
  expect(routes.shard("r/k/news/0")?.status()).toMatchObject({ offset: 1, epoch: "epoch-1" });
  // Said when it began, not each time.
  expect(log.lines.filter((line) => line.startsWith("a shard failed"))).toHaveLength(1);
  await routes.stop();
});

test("routes - a shard that a newer owner has taken is left to it", async () => {
  const { server, routes, states, settle, clock } = rig();
  server.topic("news");
  routes.apply(configOf(ROUTE));
  await settle();
  const shard = routes.shard("r/k/news/0");
  const { token = 0 } = shard?.status() ?? {};
  shard?.heard(token);
  await settle();
  expect(states()).toEqual(["r/k/news/0 running"]);
  shard?.heard(token + 1);
  await settle();
  expect(states()).toEqual(["r/k/news/0 lost"]);
  clock.advance(120_000);
  await settle();
  expect(states()).toEqual(["r/k/news/0 lost"]);
  await routes.stop();
});

test("routes - a broker's state is logged when it changes, and again now and then while it is away", async () => {
  const { server, routes, settle, clock, log } = rig();
  server.set(false);
  routes.apply(configOf(ROUTE));
  for (let look = 0; look < 10; look++) clock.advance(300);
  expect(log.lines.filter((line) => line.startsWith("broker"))).toEqual(["broker cannot be reached"]);
  clock.advance(REMIND_MS);
  server.set(true);
  for (let look = 0; look < 10; look++) clock.advance(300);
  server.topic("news");
  for (let look = 0; look < 10; look++) clock.advance(300);
  await settle();
  expect(log.lines.filter((line) => line.startsWith("broker"))).toEqual([
    "broker cannot be reached",
    "broker cannot be reached",
    "broker has not all topics",
    "broker connected",
  ]);
  await routes.stop();
});

test("routes - a topic that a template stands for too and a mapping names is read for both", async () => {
  const { server, routes, states, settle } = rig();
  const mapping = { mapper: "json", fanout_topic: "f" };
  const route: RouteSpec = {
    ...{ id: "r", version: 1, data_source: "k" },
    mappings: [
      { ...mapping, source_topic: "md.{symbol}", ws_topic: "{symbol}@all" },
      { ...mapping, source_topic: "md.btcusdt", ws_topic: "btcusdt@one" },
    ],
  };
  server.topic("md.btcusdt");
  server.topic("md.ethusdt");
  routes.apply(configOf(route));
  await settle();
  expect(states().sort()).toEqual([
    "r/k/md.btcusdt/0 running",
    "r/k/md.btcusdt/0/{symbol} running",
    "r/k/md.ethusdt/0 running",
  ]);
  await routes.stop();
});
