import { afterAll, beforeAll } from "bun:test";
import type { Broker, BrokerInput } from "../../src/ingest/broker.ts";
import { createRedisStreamBroker } from "../../src/ingest/redis-stream/mod.ts";
import type { Source } from "../../src/ingest/source.ts";
import { RecordingLog } from "../../src/ingest/testing/rig.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { numbered, RedisDriver, topicOf } from "../lib/redis-driver.ts";
import { type RedisServer, startRedis } from "../lib/services/mod.ts";
import { TEST_MS_MAX } from "../lib/wait.ts";
import { resumeContract } from "./resume.ts";
import { sourceContract } from "./source.ts";

const RECORDS = 4000;
let server: RedisServer;
let broker: Broker;
const inputs = new Map<string, BrokerInput>();

beforeAll(async () => {
  server = await startRedis();
  const driver = new RedisDriver(server.url);
  await driver.add("good", numbered(RECORDS));
  for (const [at, text] of numbered(RECORDS).entries()) {
    if (at % 3 > 0) continue;
    // No field of that name, no text, no fields but empty ones.
    await Promise.all([
      driver.call("XADD", "bad", "*", "other", text, "and", "more"),
      driver.call("XADD", "bad", "*", "data", new Uint8Array([0xff, 0, 0xfe])),
      driver.call("XADD", "bad", "*", "", ""),
    ]);
  }
  await driver.close();
  broker = createRedisStreamBroker({
    name: "redis",
    properties: { servers: [server.url] },
    clock: systemClock(),
    random: Math.random,
    log: new RecordingLog(),
    resolveAddress: (address) => address,
  });
  await new Promise<void>((resolve) => {
    broker.watch(
      topicOf("both", () => ["good", "bad"]),
      (found) => {
        for (const input of found) inputs.set(input.id, input);
        resolve();
      },
    );
  });
}, TEST_MS_MAX);

afterAll(async () => {
  await broker?.close();
  await server?.stop();
});

const open = (key: string): Source => inputs.get(key)!.open();

sourceContract("redis-stream", {
  open: () => open("good"),
  endsAfter: null,
  bad: { open: () => open("bad"), records: RECORDS },
});

resumeContract("redis-stream", { open: () => open("good") });
