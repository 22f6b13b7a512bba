/** Source redis-stream in a Redis Cluster (of one node): keys of several hash slots, which one XREAD cannot have. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { RedisCheckpoints } from "../../src/ingest/checkpoints/redis.ts";
import { RecordingLog } from "../../src/ingest/testing/rig.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { RedisLink } from "../../src/lib/redis.ts";
import { readRedisSettings } from "../../src/lib/redis-address.ts";
import { slotOf } from "../../src/lib/redis-slot.ts";
import { checkpointOf } from "../contract/checkpoints.ts";
import { RedisDriver } from "../lib/redis-driver.ts";
import { type RedisServer, startRedis } from "../lib/services/mod.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { keysRig } from "./redis-rig.ts";

let server: RedisServer;
let driver: RedisDriver;

beforeAll(async () => {
  server = await startRedis({ settings: ["cluster-enabled yes", "cluster-announce-ip 127.0.0.1"] });
  driver = new RedisDriver(server.url);
  await driver.call("CLUSTER", "ADDSLOTSRANGE", 0, 16_383);
  await waitFor(
    async () => String(await driver.call("CLUSTER", "INFO")).includes("cluster_state:ok"),
    "the cluster is up",
  );
}, TEST_MS_MAX);

afterAll(async () => {
  await driver?.close();
  await server?.stop();
});

test(
  "redis-stream - slots are those of Redis",
  async () => {
    for (const key of ["", "a", "{md}:trade:btcusdt", "{}a", "x{y}z{w}", "ключ", "{", "a}b{c"]) {
      expect([key, slotOf(key)]).toEqual([key, Number(await driver.call("CLUSTER", "KEYSLOT", key))]);
    }
  },
  TEST_MS_MAX,
);

test(
  "redis-stream - a cluster: keys of other slots, of one slot, groups and dead letters",
  async () => {
    const keys = ["a", "b", "{md}:1", "{md}:2"];
    expect(new Set(keys.map(slotOf)).size).toBe(3);
    for (const key of keys) await driver.add(key, [`${key} 1`, `${key} 2`]);
    await using rig = keysRig(server.url, keys, { cluster: true, group: "g", dead_letter_key: "dead" });
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
  },
  TEST_MS_MAX,
);

test(
  "checkpoints in Redis - a cluster stores them too",
  async () => {
    const target = readRedisSettings({ servers: [server.url], cluster: true });
    const link = new RedisLink({ target, name: "checkpoints", clock: systemClock() }, Math.random);
    const store = new RedisCheckpoints({ cluster: "test", link, log: new RecordingLog() });
    expect(await store.save("s", checkpointOf(2, 5))).toBe(true);
    expect(await store.save("s", checkpointOf(1, 6))).toBe(false);
    expect((await store.load("s"))?.offset).toBe(5);
    await store.close();
  },
  TEST_MS_MAX,
);
