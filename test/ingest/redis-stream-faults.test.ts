/** Source redis-stream while its real Redis is away, restarts, hangs, is cut off, is slow, or wants a password. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import { DrivenRedis, redisOfFile } from "../lib/driven-redis.ts";
import { topicOf } from "../lib/redis-driver.ts";
import { TEST_MS_MAX, untilWorks, waitFor } from "../lib/wait.ts";
import { numbers } from "./broker-rig.ts";
import { type KeyRun, keysRig, redisRig } from "./redis-rig.ts";

setDefaultTimeout(TEST_MS_MAX);

/** For the tests that leave it running. */
const redis = redisOfFile();

const stateOf = (run: KeyRun): string => JSON.stringify(run.source.status().state);

const untilState = (run: KeyRun, part: string): Promise<void> =>
  waitFor(
    () => stateOf(run).includes(part),
    () => `${part}, now ${stateOf(run)}`,
  );

test.concurrent("redis-stream - no server at the start is told in a sentence, and found when it comes", async () => {
  await using own = await DrivenRedis.start();
  const { server, driver } = own;
  await driver.add("absent", numbers(3));
  await server.kill();
  await using rig = keysRig(server.url, ["absent"]);
  const run = await rig.run("absent");
  await untilState(run, `nobody listens at 127.0.0.1:${server.port}`);
  await waitFor(() => rig.broker.status().state.name === "connecting", "the broker says so too");
  await server.restart();
  await run.reached(3);
  await waitFor(() => rig.broker.status().state.name === "connected", "the broker has found it");
  expect(run.said()).toEqual(numbers(3));
});

test.concurrent("redis-stream - a server that is killed and restarted: every entry once, in order, in one epoch", async () => {
  await using own = await DrivenRedis.start();
  const { server, driver } = own;
  await using rig = keysRig(server.url, ["killed"]);
  const run = await rig.run("killed");
  for (let round = 0; round < 3; round++) {
    await driver.add("killed", numbers(50, round * 50));
    if (round === 1) await run.reached(100);
    await server.kill();
    await server.restart();
    await untilWorks(() => driver.call("PING"));
  }
  await driver.add("killed", numbers(50, 150));
  await run.reached(200);
  expect(run.said()).toEqual(numbers(200));
  expect(run.source.status().reconnects).toBeGreaterThan(0);
});

test.concurrent("redis-stream - a server that hangs is found out, told, and read again when it goes on", async () => {
  await using own = await DrivenRedis.start();
  const { server, driver } = own;
  await using rig = keysRig(server.url, ["hung"]);
  const run = await rig.run("hung");
  await driver.add("hung", numbers(2));
  await run.reached(2);
  server.freeze();
  try {
    await untilState(run, "does not answer");
    await waitFor(() => rig.broker.status().state.name === "connecting", "the broker says so too");
  } finally {
    server.thaw();
  }
  await untilWorks(() => driver.add("hung", numbers(2, 2)));
  await untilState(run, "connected");
  await waitFor(() => run.said().at(-1) === "3", "the last entry");
  expect([...new Set(run.said())]).toEqual(numbers(4));
});

test.concurrent("redis-stream - connections cut in the middle of answers: every entry once, in order", async () => {
  using proxy = await CuttingProxy.start({ port: redis.server.port, seed: 7, lifeMsMin: 5, lifeMsMax: 60 });
  await using rig = keysRig(`127.0.0.1:${proxy.port}`, ["cut"], { count: 20 });
  const run = await rig.run("cut");
  for (let from = 0; proxy.cuts < 6 && from < 100_000; from += 100) await redis.driver.add("cut", numbers(100, from));
  proxy.calm();
  const count = Number(await redis.driver.call("XLEN", "cut"));
  await run.reached(count);
  expect(run.said()).toEqual(numbers(count));
});

test.concurrent("redis-stream - a slow network is no fault", async () => {
  using proxy = await CuttingProxy.start({ port: redis.server.port, seed: 8, weathers: [{ delayMs: [200, 200] }] });
  await using rig = keysRig(`127.0.0.1:${proxy.port}`, ["slow"]);
  const run = await rig.run("slow");
  await redis.driver.add("slow", numbers(5));
  await run.reached(5);
  expect(run.said()).toEqual(numbers(5));
  expect(run.source.status().reconnects).toBe(0);
});

test.concurrent("redis-stream - addresses are dialled where the configuration says", async () => {
  await redis.driver.add("mapped", ["1"]);
  const dialled: string[] = [];
  await using rig = redisRig({ url: "redis://redis.example" }, topicOf("mapped"), {
    resolveAddress(address) {
      dialled.push(address);
      return `127.0.0.1:${redis.server.port}`;
    },
  });
  await (await rig.run("mapped")).reached(1);
  expect(new Set(dialled)).toEqual(new Set(["redis.example:6379"]));
});

test("redis-stream - a missing or wrong password and a forbidden key are told; the right one reads", async () => {
  await redis.driver.call("ACL", "SETUSER", "reader", "on", ">secret", "~allowed", "+@all");
  await redis.driver.add("allowed", ["1"]);
  await redis.driver.call("ACL", "SETUSER", "default", "resetpass", ">other");
  try {
    const cases = [
      [{}, "wants a password"],
      [{ password: "no" }, "refuses the name or password"],
      [{ username: "reader", password: "no" }, "refuses the name or password"],
    ] as const;
    for (const [properties, sentence] of cases) {
      await using rig = keysRig(`127.0.0.1:${redis.server.port}`, ["allowed"], properties);
      await untilState(await rig.run("allowed"), sentence);
    }
    await using rig = keysRig(`redis://reader:secret@127.0.0.1:${redis.server.port}`, ["allowed", "forbidden"]);
    const run = await rig.run("allowed");
    await run.reached(1);
    await untilState(await rig.run("forbidden"), "may not");
    expect(rig.broker.status().missing).toMatchObject([{ topic: "forbidden" }]);
    expect(run.said()).toEqual(["1"]);
  } finally {
    await redis.driver.call("ACL", "SETUSER", "default", "nopass");
  }
});
