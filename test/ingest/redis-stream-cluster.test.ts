/**
 * Source redis-stream and checkpoints in a Redis Cluster, where one XREAD cannot have keys of several hash slots, and with a
 * sentinel that knows where the master is: through the death of a master in either.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { RedisCheckpoints } from "../../src/ingest/checkpoints/redis.ts";
import { RecordingLog } from "../../src/ingest/testing/rig.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { RedisLink } from "../../src/lib/redis.ts";
import { type RedisSettings, readRedisSettings } from "../../src/lib/redis-address.ts";
import { slotOf } from "../../src/lib/redis-slot.ts";
import { checkpointOf } from "../contract/checkpoints.ts";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import { RedisDriver, topicOf } from "../lib/redis-driver.ts";
import { startRedis } from "../lib/services/mod.ts";
import { REPLICATED, RedisCluster, RedisSentinel } from "../lib/services/redis-groups.ts";
import { TEST_MS_MAX, untilWorks, waitFor } from "../lib/wait.ts";
import { numbers } from "./broker-rig.ts";
import { type KeyRun, keysRig, redisRig } from "./redis-rig.ts";

setDefaultTimeout(TEST_MS_MAX);

/** Takes its two seconds while the sentinel's test runs. */
let starting: Promise<RedisCluster>;
let driver: RedisDriver;

async function theCluster(): Promise<RedisCluster> {
  const cluster = await starting;
  driver ??= new RedisDriver(cluster.urls[0]!, { cluster: true });
  return cluster;
}

beforeAll(() => {
  starting = RedisCluster.start();
});

afterAll(async () => {
  await driver?.close();
  await (await starting)[Symbol.asyncDispose]();
});

function storeAt(settings: RedisSettings, cluster = "test"): RedisCheckpoints {
  const target = readRedisSettings(settings);
  const link = new RedisLink({ target, name: "checkpoints", clock: systemClock() }, Math.random);
  return new RedisCheckpoints({ cluster, link, log: new RecordingLog() });
}

const away = (run: KeyRun): Promise<void> =>
  waitFor(
    () => run.source.status().state.name === "connecting",
    () => JSON.stringify(run.source.status()),
  );

test.concurrent("redis-stream - sentinels: a master dies, its replica goes on with what it has; what it has not is told", async () => {
  await using master = await startRedis({ settings: REPLICATED });
  using proxy = await CuttingProxy.start({ port: master.port, seed: 1 });
  await using replica = await startRedis({ settings: [...REPLICATED, `replicaof 127.0.0.1 ${proxy.port}`] });
  await using sentinel = await RedisSentinel.start(master);
  const known = { servers: [`127.0.0.1:${sentinel.port}`], sentinel: "main" };
  await using lost = redisRig({ ...known, sentinel: "other" }, topicOf("kept"));
  await waitFor(
    () => JSON.stringify(lost.broker.status().state).includes('the sentinels know no master \\"other\\"'),
    () => JSON.stringify(lost.broker.status()),
  );

  await using before = new RedisDriver(master.url);
  for (const key of ["kept", "taken"]) await before.add(key, numbers(20));
  const store = storeAt(known);
  expect(await store.save("s", checkpointOf(2, 5))).toBe(true);
  await using rig = redisRig(
    { ...known, group: "g" },
    topicOf("keys", () => ["kept", "taken"]),
  );
  const [kept, taken] = [await rig.run("kept"), await rig.run("taken")];
  await Promise.all([kept.reached(20), taken.reached(20)]);
  await before.call("SET", "last", "1");
  expect(await before.call("WAIT", 1, TEST_MS_MAX)).toBe(1);
  // From here on the replica hears nothing more.
  proxy.pause();
  await before.add("taken", numbers(5, 20));
  await taken.reached(25);

  const promoted = sentinel.failOver(master, replica);
  await Promise.all([away(kept), away(taken)]);
  await promoted;
  await using after = new RedisDriver(replica.url);
  await after.add("kept", numbers(5, 20));
  await after.add("taken", numbers(2, 30));
  await Promise.all([kept.reached(25), taken.reached(25 + 1 + 22)]);
  expect(kept.said()).toEqual(numbers(25));
  expect(taken.said()).toEqual([...numbers(25), "epoch", ...numbers(20), "30", "31"]);
  expect(kept.source.status()).toMatchObject({ state: { name: "connected" }, counts: { "entries taken back": 0 } });
  expect(taken.source.status().counts).toMatchObject({ "entries taken back": 1 });
  await untilWorks(() => store.head("s"));
  expect((await store.load("s"))?.offset).toBe(5);
  expect([await store.save("s", checkpointOf(1, 6)), await store.save("s", checkpointOf(3, 7))]).toEqual([false, true]);
  await store.close();
});

test.concurrent("redis-stream - a cluster: keys of other slots, of one slot, groups and dead letters", async () => {
  const cluster = await theCluster();
  for (const key of ["", "a", "{md}:trade:btcusdt", "{}a", "x{y}z{w}", "ключ", "{", "a}b{c"]) {
    expect([key, slotOf(key)]).toEqual([key, Number(await driver.call("CLUSTER", "KEYSLOT", key))]);
  }
  const keys = ["a", "b", "{md}:1", "{md}:2"];
  expect(new Set(keys.map(slotOf)).size).toBe(3);
  for (const key of keys) await driver.add(key, [`${key} 1`, `${key} 2`]);
  await using rig = keysRig(cluster.urls[0]!, keys, { cluster: true, group: "g", dead_letter_key: "dead" });
  for (const key of keys) {
    const run = await rig.run(key);
    await run.reached(2);
    await driver.add(key, [`${key} 3`]);
    await run.reached(3);
    expect(run.said()).toEqual([1, 2, 3].map((n) => `${key} ${n}`));
    const last = run.records[2]!;
    run.source.commit?.(last.offset, last.position ?? null);
    run.source.deadLetter?.(last.type === "data" ? last.value : null, "unknown");
    await waitFor(async () => ((await driver.call("XINFO", "GROUPS", key)) as unknown[]).length === 1, "the group");
  }
  await waitFor(async () => (await driver.call("XLEN", "dead")) === keys.length, "the dead letters");
});

test("redis-stream - a cluster: a slot moves, a master dies and its replica takes its slots; nothing is missing", async () => {
  const cluster = await theCluster();
  const keys = ["lives", "moves", "dies"];
  expect(keys.map((key) => cluster.ownerOf(key))).toEqual([1, 1, 2]);
  // The first of the servers that are named is the one that dies.
  const known = { servers: cluster.urls.toReversed(), cluster: true };
  const store = storeAt(known, "dies");
  for (const key of keys) await driver.add(key, numbers(20));
  await using rig = redisRig(
    known,
    topicOf("keys", () => keys),
  );
  const runs = await Promise.all(keys.map((key) => rig.run(key)));
  const [lives, moves, dies] = runs as [KeyRun, KeyRun, KeyRun];
  for (const run of runs) await run.reached(20);
  expect(await store.save("s", checkpointOf(2, 5))).toBe(true);

  await cluster.move("moves", 1, 0);
  await driver.add("moves", numbers(5, 20));
  await moves.reached(25);

  await cluster.failOver();
  await untilWorks(() => store.save("s", checkpointOf(3, 6)));
  expect((await store.load("s"))?.offset).toBe(6);
  await untilWorks(() => driver.call("EXISTS", "dies"));
  for (const key of ["lives", "dies"]) await driver.add(key, numbers(5, 20));
  for (const run of runs) {
    await run.reached(25);
    expect(run.said()).toEqual(numbers(25));
    expect(run.source.status().state).toEqual({ name: "connected" });
  }
  expect(lives.source.status().reconnects).toBe(0);
  expect(moves.source.status().reconnects).toBeGreaterThan(0);
  expect(dies.source.status().reconnects).toBeGreaterThan(0);
  await waitFor(
    () => rig.broker.status().state.name === "connected",
    () => JSON.stringify(rig.broker.status()),
  );
  await store.close();
});
