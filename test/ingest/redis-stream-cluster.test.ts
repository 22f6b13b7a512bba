/**
 * Source redis-stream in a Redis Cluster (of one node), where one XREAD cannot have keys of several hash slots; and with a
 * sentinel that knows where the master is.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { RedisCheckpoints } from "../../src/ingest/checkpoints/redis.ts";
import { RecordingLog } from "../../src/ingest/testing/rig.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { RedisLink } from "../../src/lib/redis.ts";
import { readRedisSettings } from "../../src/lib/redis-address.ts";
import { slotOf } from "../../src/lib/redis-slot.ts";
import { checkpointOf } from "../contract/checkpoints.ts";
import { RedisDriver, topicOf } from "../lib/redis-driver.ts";
import { answer } from "../lib/services/greeting.ts";
import { type RedisServer, startRedis } from "../lib/services/mod.ts";
import { obtain } from "../lib/services/obtain.ts";
import { RealServer } from "../lib/services/server.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { keysRig, redisRig } from "./redis-rig.ts";

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

/** A sentinel of that master. */
async function startSentinel(master: number): Promise<RealServer> {
  const { program, env } = await obtain("redis");
  const sentinel = new RealServer({
    name: "sentinel",
    about: "sentinel",
    listens: "+monitor master main",
    prepare(port, folder) {
      const path = join(folder, "sentinel.conf");
      writeFileSync(path, `bind 127.0.0.1\nport ${port}\ndir ${folder}\nsentinel monitor main 127.0.0.1 ${master} 1\n`);
      return { program, args: [path, "--sentinel"], env };
    },
    ready: async (port) =>
      (await answer({ port, ask: "PING\r\n", whole: (bytes) => bytes.length > 4 })).includes("+PONG"),
    readyMsMax: 20_000,
  });
  await sentinel.begin();
  return sentinel;
}

test(
  "redis-stream - sentinels tell where the master is; one that does not know it is told",
  async () => {
    await using master = await startRedis();
    await using sentinel = await startSentinel(master.port);
    const at = new RedisDriver(master.url);
    await at.add("s", ["1", "2"]);
    await at.close();
    const servers = [`127.0.0.1:${sentinel.port}`];
    await using rig = redisRig({ servers, sentinel: "main" }, topicOf("s"));
    const run = await rig.run("s");
    await run.reached(2);
    expect(run.said()).toEqual(["1", "2"]);
    await using lost = redisRig({ servers, sentinel: "other" }, topicOf("s"));
    await waitFor(
      () => JSON.stringify(lost.broker.status().state).includes('the sentinels know no master \\"other\\"'),
      () => JSON.stringify(lost.broker.status()),
    );
  },
  TEST_MS_MAX,
);
