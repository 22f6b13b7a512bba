/**
 * NATS alone: a stream in, checkpoints beside it, core NATS in. A node that is replaced by another goes on with the same
 * epoch and numbers of the stream; what core NATS lost is told.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Desk } from "../ingest/nats-rig.ts";
import { type RoutedNode, startRoutedNode, tradeOf } from "../lib/routed-node.ts";
import { type NatsServer, startNats } from "../lib/services/mod.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

const TRADE = "btcusdt@trade";
const LIVE = "usdm:ethusdt@trade";

let server: NatsServer;
let desk: Desk;

beforeAll(async () => {
  server = await startNats();
  desk = await Desk.open(server.url);
  await desk.stream("MD", ["md.>"], { storage: "file" });
}, TEST_MS_MAX);

afterAll(async () => {
  await desk?.close();
  await server?.stop();
});

const start = (nodeId: string): Promise<RoutedNode> => {
  const properties = { servers: [server.url], reconnect_time_wait: 0.2 };
  const stored = { mapper: "trade_v1", fanout_topic: "t.{symbol}", ws_topic: "{symbol}@trade" };
  const live = { mapper: "trade_v1", fanout_topic: "l.{symbol}", ws_topic: "usdm:{symbol}@trade" };
  const document = {
    datasource: [
      { type: "jetstream", name: "stored", properties },
      { type: "nats", name: "live", properties },
    ],
    instruments: [{ symbol: "BTC/USDT" }, { market: "usdm", symbol: "ETH/USDT" }],
    routes: [
      { id: "r1", data_source: "stored", mappings: [{ ...stored, source_topic: "md.trade.{symbol}" }] },
      { id: "r2", data_source: "live", mappings: [{ ...live, source_topic: "live.trade.{symbol}" }] },
    ],
  };
  return startRoutedNode(document, { nodeId, checkpoints: server.url }, {});
};

const trades = (from: number, to: number): Promise<void> =>
  desk.store(
    "md.trade.btcusdt",
    Array.from({ length: to - from + 1 }, (_, at) => JSON.stringify(tradeOf("BTC/USDT", from + at))),
  );

const ids = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, at) => `${from + at}`);

test(
  "nats - a stream, core NATS and checkpoints on one server: killed under a node, and another node goes on where it stopped",
  async () => {
    await trades(1, 10);
    let position = { epoch: "", seq: 0 };
    {
      await using node = await start("a");
      const client = await node.native();
      expect((await client.subscribe([TRADE, LIVE])).errors).toBeUndefined();
      await trades(11, 15);
      await desk.say("live.trade.ethusdt", JSON.stringify(tradeOf("ETH/USDT", 1)));
      const [stored, live] = [client.stream(TRADE), client.stream(LIVE)];
      await waitFor(() => stored.items.at(-1)?.id === "15" && live.items.at(-1)?.id === "1", "the trades before");
      await server.kill();
      for (const part of ["checkpoints", "brokers"]) {
        await waitFor(
          async () => (await node.readiness()).parts[part]?.state !== "ok",
          `${part}: their absence is told`,
        );
      }
      await server.restart();
      await waitFor(
        () =>
          desk.connection.flush().then(
            () => true,
            () => false,
          ),
        "the desk is back",
      );
      await trades(16, 20);
      await waitFor(() => stored.items.at(-1)?.id === "20", "the trades behind the restart");
      for (const part of ["checkpoints", "brokers"]) {
        await waitFor(async () => (await node.readiness()).parts[part]?.state === "ok", `${part} are well again`);
      }
      await desk.say("live.trade.ethusdt", JSON.stringify(tradeOf("ETH/USDT", 9)));
      await waitFor(() => live.items.at(-1)?.id === "9", "core NATS goes on");
      expect(stored.items.slice(-10).map(({ id }) => id)).toEqual(ids(11, 20));
      expect([stored.faults, stored.notices]).toEqual([[], []]);
      expect(live.faults).toEqual([]);
      expect(live.notices.map(({ type }) => type)).toEqual(["gap"]);
      position = { epoch: stored.epoch ?? "", seq: stored.have ?? 0 };
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
    expect(await node.metric("tidegate_source_lag_records", `shard="r1/stored/md.trade.*"`)).toBe(0);
  },
  TEST_MS_MAX,
);
