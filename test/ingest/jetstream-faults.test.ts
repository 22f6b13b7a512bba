/** The source of JetStream under faults of the server and of the way to it: every record once, in order, whatever happens. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import { type NatsServer, startNats } from "../lib/services/mod.ts";
import { TEST_MS_MAX, untilWorks, waitFor } from "../lib/wait.ts";
import { Followed, numbers, plainTopic, Running } from "./broker-rig.ts";
import { Brokers, Desk, sourceOf } from "./nats-rig.ts";

let server: NatsServer;
let desk: Desk;
const brokers = new Brokers(() => server.url);

beforeAll(async () => {
  server = await startNats();
  desk = await Desk.open(server.url);
}, TEST_MS_MAX);

afterAll(async () => {
  await brokers.close();
  await desk.close();
  await server.stop();
});

const ordinals = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

test.concurrent("jetstream - connections cut in the middle of a record, and before there was one: every record once, in order", async () => {
  await desk.stream("CUT", ["cut.a"]);
  using proxy = await CuttingProxy.start({ port: server.port, seed: 3 });
  const broker = brokers.jetstream({ reconnect_time_wait: 0.1 }, {}, `nats://127.0.0.1:${proxy.port}`);
  const running = new Running(await sourceOf(broker, "cut.a"));
  let stored = 0;
  for (let cut = 1; cut <= 4; cut++) {
    // The first cut of each round is while much is on its way, the others find it on its way back.
    await running.has(stored);
    const storing = desk.store("cut.a", numbers(500, stored));
    stored += 500;
    await running.has(stored - 400);
    proxy.tear();
    await Bun.sleep(cut * 10);
    proxy.reset();
    await storing;
  }
  await running.has(stored);
  expect(running.sink.told).toEqual(numbers(stored));
  expect(running.sink.offsets).toEqual(ordinals(stored));
  await waitFor(
    () => running.source.status().reconnects >= 4,
    () => JSON.stringify(running.source.status()),
  );
  await running.stop();
});

test.concurrent("jetstream - a way on which nothing passes is told though no end comes, and then nothing is missing", async () => {
  await desk.stream("STUCK", ["stuck.a"]);
  using proxy = await CuttingProxy.start({ port: server.port, seed: 1 });
  const broker = brokers.jetstream({ ping_interval: 0.2 }, {}, `nats://127.0.0.1:${proxy.port}`);
  const running = new Running(await sourceOf(broker, "stuck.a"));
  await running.is("connected");
  proxy.pause();
  await desk.store("stuck.a", numbers(10));
  await running.is("connecting");
  proxy.resume();
  await running.has(10);
  expect(running.sink.told).toEqual(numbers(10));
  await running.stop();
});

test.concurrent("jetstream - a slow way only costs time", async () => {
  await desk.stream("SLOW", ["slow.a"]);
  using proxy = await CuttingProxy.start({ port: server.port, seed: 1 });
  const running = new Running(await sourceOf(brokers.jetstream({}, {}, `nats://127.0.0.1:${proxy.port}`), "slow.a"));
  await running.is("connected");
  proxy.change({ delayMs: [150, 200] });
  await desk.store("slow.a", numbers(3000));
  await running.has(3000);
  expect(running.sink.told).toEqual(numbers(3000));
  expect(running.source.status()).toMatchObject({ state: { name: "connected" }, reconnects: 0 });
  await running.stop();
});

test("jetstream - a server that hangs is told, and then nothing is missing", async () => {
  await desk.stream("HANG", ["hang.a"]);
  await desk.store("hang.a", numbers(10));
  const broker = brokers.jetstream({ ping_interval: 0.2, connect_timeout: 0.5 });
  const running = new Running(await sourceOf(broker, "hang.a"));
  await running.has(10);
  server.freeze();
  try {
    await running.is("connecting");
  } finally {
    server.thaw();
  }
  await running.is("connected");
  await desk.store("hang.a", numbers(10, 10));
  await running.has(20);
  expect(running.sink.told).toEqual(numbers(20));
  await running.stop();
});

test("jetstream - a server that is killed and started again, also one that was absent at first: nothing is missing", async () => {
  await desk.stream("KILL", ["kill.a"], { storage: "file" });
  await desk.store("kill.a", numbers(100));
  const running = new Running(await sourceOf(brokers.jetstream(), "kill.a"));
  await running.has(100);
  await server.kill();
  await running.is("connecting");
  const absent = brokers.jetstream();
  const followed = new Followed(absent, plainTopic("kill.a"));
  await waitFor(
    () => /connection refused/.test(JSON.stringify(absent.status().state)),
    () => JSON.stringify(absent.status()),
  );
  await server.restart();
  await untilWorks(() => desk.connection.flush());
  await desk.store("kill.a", numbers(100, 100));
  await running.has(200);
  expect(running.sink.told).toEqual(numbers(200));
  const later = new Running((await followed.one()).open(), 150);
  await later.has(50);
  expect(later.sink.told).toEqual(numbers(50, 150));
  await Promise.all([running.stop(), later.stop()]);
});
