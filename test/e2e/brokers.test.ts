/**
 * Two nodes over real Kafka, NATS and Redis, trades and books of several symbols from both brokers, verifying clients on
 * each node, while servers are absent, killed, hung, slow and cut off: every trade once, every book the source's, or told.
 *
 * The long form: `npm run soak -- brokers`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { MarketWorld } from "../lib/market/world.ts";
import { waitFor } from "../lib/wait.ts";

/** A Java program and two nodes on a busy machine. */
const MS_MAX = 180_000;
const STEP_MS_MAX = 60_000;
/** What all wait for, so that a fault has something to hit. */
const SOME = 150;

let world: MarketWorld;

beforeAll(async () => {
  world = await MarketWorld.start({
    symbols: 8,
    rate: 300,
    seed: 1,
    proxied: true,
    async absent(nodes) {
      for (const node of nodes) {
        const told = (text: string) =>
          waitFor(() => node.text.includes(text) || node.ended, `${text} is told`, STEP_MS_MAX);
        await Promise.all([told("no connection to NATS"), told('"type":"kafka","state":"connecting"')]);
        expect(node.ended).toBe(false);
      }
    },
  });
}, MS_MAX);

afterAll(() => world?.[Symbol.asyncDispose](), MS_MAX);

/** So many trades more at the clients of both nodes. */
async function flows(count = SOME): Promise<void> {
  const wanted = world.tally.trades + count;
  await world.until(
    () => world.tally.trades >= wanted,
    () => `${wanted} trades, not ${world.tally.trades}`,
    STEP_MS_MAX,
  );
}

/** Both nodes say that all their parts are well; a loop that lags is the busy machine's. */
async function recovers(): Promise<void> {
  let said = "";
  for (const node of world.nodes) {
    await waitFor(
      async () => {
        world.look();
        const { parts } = await node.readiness();
        const unwell = Object.entries(parts).filter(([name, { state }]) => state !== "ok" && name !== "loop");
        said = JSON.stringify(unwell);
        return unwell.length === 0;
      },
      () => `ready again: ${said}`,
      STEP_MS_MAX,
    );
  }
}

/** Both nodes say that a part of theirs is not well, which keeps none from serving. */
async function isTold(part: string): Promise<void> {
  for (const node of world.nodes) {
    let said = "";
    await waitFor(
      async () => {
        world.look();
        const { parts } = await node.readiness();
        said = JSON.stringify(parts[part]);
        return parts[part]?.state === "degraded" && parts[part].reason !== "";
      },
      () => `${part} is told: ${said}`,
      STEP_MS_MAX,
    );
  }
}

/** Everything has arrived, and nothing differs from the source. */
async function isExact(): Promise<void> {
  await world.settle();
  expect(world.tally.faults).toEqual([]);
  // Kafka keeps what it was given, and owners keep what the bus has lost.
  expect(world.tally.missed.spot).toBe(0);
  world.producer.resume();
}

test(
  "brokers - nodes that begin without any server serve when these are there",
  async () => {
    await flows();
    await recovers();
    await isExact();
  },
  MS_MAX,
);

test(
  "brokers - Redis, NATS and Kafka killed and restarted, one after the other, under load",
  async () => {
    const { redis, nats, kafka } = world.servers;
    await redis.kill();
    await isTold("checkpoints");
    await flows();
    await redis.restart();
    await flows();

    await nats.kill();
    // What each node owns itself goes on: half of the symbols come by Kafka.
    await isTold("bus");
    await flows();
    await nats.restart();
    await flows();

    await kafka.kill();
    await isTold("brokers");
    await flows();
    await kafka.restart();
    await recovers();
    await flows();
    await isExact();
  },
  MS_MAX,
);

test(
  "brokers - servers 200 ms away, answers half written, connections reset",
  async () => {
    const proxies = Object.values(world.proxies!);
    for (const proxy of proxies) proxy.change({ delayMs: [200, 200] });
    await flows();
    for (const proxy of proxies) proxy.change({});
    for (const break_ of ["tear", "reset"] as const) {
      for (const proxy of proxies) {
        proxy[break_]();
        await flows(SOME / 3);
      }
    }
    await recovers();
    await isExact();
  },
  MS_MAX,
);

test(
  "brokers - all servers hung for a while: nobody is closed, and all goes on when they do",
  async () => {
    const servers = Object.values(world.servers);
    for (const server of servers) server.freeze();
    const { records } = world.producer;
    // The producer goes on making records: longer than a HEAD may be missing.
    await world.until(() => world.producer.records > records + 1200, "four seconds of records", STEP_MS_MAX);
    for (const server of servers) server.thaw();
    await recovers();
    await flows();
    await isExact();
  },
  MS_MAX,
);
