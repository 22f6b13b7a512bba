import { afterAll, beforeAll, expect, test } from "bun:test";
import { RedisCheckpoints } from "../../src/ingest/checkpoints/redis.ts";
import { json, RecordingLog, type Rig, rig } from "../../src/ingest/testing/rig.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { RedisLink } from "../../src/lib/redis.ts";
import { readRedisSettings } from "../../src/lib/redis-address.ts";
import { RedisDriver } from "../lib/redis-driver.ts";
import { type RedisServer, startRedis } from "../lib/services/mod.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { checkpointOf, checkpointsContract } from "./checkpoints.ts";

let server: RedisServer;

beforeAll(async () => {
  server = await startRedis({ settings: ["appendfsync always"] });
}, TEST_MS_MAX);

afterAll(() => server?.stop());

const open = (log = new RecordingLog()): RedisCheckpoints => {
  const target = readRedisSettings({ servers: [server.url] });
  const link = new RedisLink({ target, name: "checkpoints", clock: systemClock() }, Math.random);
  return new RedisCheckpoints({ cluster: "test", link, log });
};

checkpointsContract("checkpoints in Redis", {
  open,
  server: {
    kill: () => server.kill(),
    restart: () => server.restart(),
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
  },
});

test("checkpoints in Redis - a master that became a replica is told, and left for another connection", async () => {
  const store = open();
  const driver = new RedisDriver(server.url);
  expect(await store.save("replica", checkpointOf(1, 1))).toBe(true);
  const connections = async () =>
    Number(/total_connections_received:(\d+)/.exec(String(await driver.call("INFO")))?.[1]);
  await driver.call("REPLICAOF", "127.0.0.1", 1);
  const before = await connections();
  try {
    await expect(store.save("replica", checkpointOf(1, 2))).rejects.toThrow("is a replica, which takes no writes");
  } finally {
    await driver.call("REPLICAOF", "NO", "ONE");
  }
  expect(await store.save("replica", checkpointOf(1, 3))).toBe(true);
  expect(await connections()).toBe(before + 1);
  await Promise.all([store.close(), driver.close()]);
});

test("checkpoints in Redis - all keys of a cluster share one hash tag", async () => {
  const store = open();
  const driver = new RedisDriver(server.url);
  await store.save("route/kafka/trades/3", checkpointOf(1, 1));
  expect(await driver.call("EXISTS", "tg:{test}:checkpoint:route/kafka/trades/3")).toBe(1);
  await Promise.all([store.close(), driver.close()]);
});

test("checkpoints in Redis - a body that cannot be read is told, and only its state is lost", async () => {
  const driver = new RedisDriver(server.url);
  const log = new RecordingLog();
  const store = open(log);
  for (const body of ["nonsense", "TGCK\u0009\u0000"]) {
    await store.save("broken", checkpointOf(4, 40));
    await driver.call("HSET", "tg:{test}:checkpoint:broken", "body", body);
    expect(await store.load("broken")).toMatchObject({
      token: 4,
      ceiling: 11_000_000,
      mapperVersion: "",
      channels: {},
    });
  }
  expect(log.lines.map(({ level }) => level)).toEqual(["error", "error"]);
  await Promise.all([store.close(), driver.close()]);
});

test(
  "checkpoints in Redis - two owners of one shard: the older stops, also if Redis was away before",
  async () => {
    const stores = [open(), open()];
    const [older, newer] = stores.map((checkpoints) => rig([], { checkpoints, more: { clock: systemClock() } })) as [
      Rig,
      Rig,
    ];
    const accept = ({ shard }: Rig, offset: number): void =>
      shard.accept({ type: "data", value: [json(1, `${offset}`)], offset, receivedUs: 0 });
    await older.shard.start();
    await server.kill();
    accept(older, 0);
    await waitFor(() => older.shard.status().checkpointError !== null, "the store's silence is told");
    // Under the ceiling that is stored it goes on.
    accept(older, 1);
    expect(older.bus.published).toHaveLength(2);
    await server.restart();
    await newer.shard.start();
    await waitFor(() => older.shard.status().failure !== null, "the older one has heard of it");
    accept(older, 2);
    expect(older.bus.published).toHaveLength(2);
    expect(newer.shard.status().token).toBeGreaterThan(older.shard.status().token);
    expect(newer.shard.status().failure).toBeNull();
    for (const one of [older, newer]) await one.shard.stop();
    for (const store of stores) await store.close();
  },
  TEST_MS_MAX,
);
