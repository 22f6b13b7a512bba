import { afterAll, beforeAll, expect, test } from "bun:test";
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { Checkpoint } from "../../src/ingest/checkpoint.ts";
import { JetstreamCheckpoints, type JetstreamCheckpointsOptions } from "../../src/ingest/checkpoints/jetstream.ts";
import { RecordingLog } from "../../src/ingest/testing/rig.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { openNats } from "../../src/lib/nats.ts";
import { type NatsServer, startNats } from "../lib/services/mod.ts";
import { TEST_MS_MAX } from "../lib/wait.ts";
import { checkpointOf, checkpointsContract, largeCheckpoint } from "./checkpoints.ts";

let server: NatsServer;

beforeAll(async () => {
  server = await startNats();
}, TEST_MS_MAX);

afterAll(() => server?.stop());

const open = (
  log = new RecordingLog(),
  more: Partial<JetstreamCheckpointsOptions> = {},
  url = server.url,
): JetstreamCheckpoints => {
  const link = openNats({ servers: [url], name: "checkpoints", clock: systemClock(), random: Math.random, log });
  return new JetstreamCheckpoints({ cluster: "test", link, log, ...more });
};

checkpointsContract("checkpoints in JetStream", {
  open,
  server: {
    open: () => open(new RecordingLog(), { connectMsMax: 200, answerMsMax: 500 }),
    kill: () => server.kill(),
    restart: () => server.restart(),
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
  },
});

/** The bucket as others see it. */
async function withBucket(
  use: (keys: () => Promise<string[]>, remove: (key: string) => Promise<void>) => Promise<void>,
) {
  const connection: NatsConnection = await connect({ servers: server.url });
  const bucket = await new Kvm(jetstream(connection)).open("tidegate-test-checkpoints");
  try {
    await use(
      async () => {
        const all: string[] = [];
        for await (const key of await bucket.keys()) all.push(key);
        return all;
      },
      (key) => bucket.purge(key),
    );
  } finally {
    await connection.close();
  }
}

test("checkpoints in JetStream - pieces of owners that were replaced or refused go; an owner holds two bodies at most", async () => {
  const store = open(new RecordingLog(), { pieceBytesMax: 2048 });
  const { channels, ...rest } = largeCheckpoint(2, 1);
  // Its books without their histories: some pieces are enough.
  const large = {
    ...rest,
    channels: Object.fromEntries(
      Object.entries(channels).map(([key, chain]) => [key, { ...chain, state: { ...chain.state, history: [] } }]),
    ),
  } as Checkpoint;
  await withBucket(async (keys) => {
    const before = new Set(await keys());
    const fresh = async () => (await keys()).filter((key) => !before.has(key));
    for (let offset = 0; offset < 4; offset++) await store.save("pieces", { ...large, offset });
    const two = await fresh();
    expect(two.length).toBeGreaterThan(8);
    await store.save("pieces", { ...large, offset: 9 });
    expect((await fresh()).sort()).toEqual(two.sort());
    expect(await store.load("pieces")).toMatchObject({ offset: 9, channels: large.channels });
    await store.save("pieces", checkpointOf(3, 10));
    expect((await fresh()).length).toBe(2);
    expect(await store.save("pieces", { ...large, offset: 11 })).toBe(false);
    expect((await fresh()).length).toBe(2);
  });
  await store.close();
});

test("checkpoints in JetStream - a body whose piece is gone is told, and only its state is lost; a deleted head is none", async () => {
  const log = new RecordingLog();
  const store = open(log);
  await withBucket(async (keys, remove) => {
    const before = new Set(await keys());
    await store.save("torn", checkpointOf(4, 40));
    const [head, piece] = (await keys()).filter((key) => !before.has(key)).sort((a, b) => a.length - b.length);
    await remove(piece!);
    expect(await store.load("torn")).toMatchObject({ token: 4, ceiling: 11_000_000, mapperVersion: "", channels: {} });
    expect(log.lines.filter(({ level }) => level === "error").length).toBe(1);
    await remove(head!);
    expect(await store.load("torn")).toBeNull();
    expect(await store.save("torn", checkpointOf(1, 5))).toBe(true);
    expect((await store.load("torn"))?.offset).toBe(5);
  });
  await store.close();
});

test(
  "checkpoints in JetStream - without a connection the error says why there is none",
  async () => {
    const store = open(new RecordingLog(), { connectMsMax: 50 }, "127.0.0.1:1");
    const error = await store.load("s").catch((cause: unknown) => String(cause));
    expect(error).toContain("the checkpoint of s: no NATS server listens at 127.0.0.1:1 (connection refused)");
    await store.close();
  },
  TEST_MS_MAX,
);
