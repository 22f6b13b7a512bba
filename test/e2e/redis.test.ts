/**
 * Redis alone: streams in, checkpoints beside them. A node that is replaced by another goes on with the same epoch and
 * numbers, and a client resumes there what came while no node was there.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { RedisDriver } from "../lib/redis-driver.ts";
import { type RoutedNode, startRoutedNode, tradeOf } from "../lib/routed-node.ts";
import { type RedisServer, startRedis } from "../lib/services/mod.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

const TRADE = "btcusdt@trade";
const KEY = "md:trade:btcusdt";

let server: RedisServer;
let driver: RedisDriver;

beforeAll(async () => {
  server = await startRedis({ settings: ["appendfsync always"] });
  driver = new RedisDriver(server.url);
}, TEST_MS_MAX);

afterAll(async () => {
  await driver?.close();
  await server?.stop();
});

const start = (nodeId: string): Promise<RoutedNode> => {
  const mapping = { mapper: "trade_v1", source_topic: "md:trade:{symbol}", fanout_topic: "t.{symbol}" };
  const document = {
    datasource: [{ type: "redis-stream", name: "redis", properties: { servers: [server.url] } }],
    instruments: [{ symbol: "BTC/USDT" }],
    routes: [{ id: "r1", data_source: "redis", mappings: [{ ...mapping, ws_topic: "{symbol}@trade" }] }],
  };
  return startRoutedNode(document, { nodeId, checkpoints: server.url }, {});
};

const trades = (from: number, to: number): Promise<void> =>
  driver.add(
    KEY,
    Array.from({ length: to - from + 1 }, (_, at) => JSON.stringify(tradeOf("BTC/USDT", from + at))),
  );

const ids = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, at) => `${from + at}`);

test(
  "redis - streams in and checkpoints in one Redis: killed under a node, and another node goes on where it stopped",
  async () => {
    await trades(1, 10);
    let position = { epoch: "", seq: 0 };
    {
      await using node = await start("a");
      const client = await node.native();
      expect((await client.subscribe([TRADE])).errors).toBeUndefined();
      await trades(11, 15);
      const stream = client.stream(TRADE);
      await waitFor(() => stream.items.at(-1)?.id === "15", "the trades before");
      await server.kill();
      await waitFor(
        async () => (await node.readiness()).parts.checkpoints?.state !== "ok",
        "the store's absence is told",
      );
      await waitFor(async () => (await node.readiness()).parts.brokers?.state !== "ok", "the broker's too");
      await server.restart();
      await waitFor(
        () =>
          driver.call("PING").then(
            () => true,
            () => false,
          ),
        "the driver is back",
      );
      await trades(16, 20);
      await waitFor(() => stream.items.at(-1)?.id === "20", "the trades behind the restart");
      await waitFor(
        async () => (await node.readiness()).parts.checkpoints?.state === "ok",
        "checkpoints are stored again",
      );
      expect(stream.items.slice(-10).map(({ id }) => id)).toEqual(ids(11, 20));
      expect([stream.faults, stream.notices]).toEqual([[], []]);
      position = { epoch: stream.epoch ?? "", seq: stream.have ?? 0 };
    }
    await trades(21, 30);
    await using node = await start("b");
    const client = await node.native();
    const reply = await client.subscribe([TRADE], { since: { [TRADE]: position } });
    expect(reply.channels[TRADE]).toMatchObject({ epoch: position.epoch, recovered: true });
    const stream = client.stream(TRADE);
    await waitFor(() => stream.items.at(-1)?.id === "30", "what came while no node was there");
    expect(stream.items.map(({ id }) => id)).toEqual(ids(21, 30));
    expect(stream.have).toBe(position.seq + 10);
    expect([stream.faults, stream.notices]).toEqual([[], []]);
    expect(await node.metric("tidegate_source_lag_records", `shard="r1/redis/${KEY}"`)).toBe(0);
  },
  TEST_MS_MAX,
);
