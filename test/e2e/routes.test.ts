/** Routes from end to end, with a broker inside the process: what a configuration names arrives at clients. */
import { expect, test } from "bun:test";
import { createMemoryBroker, MemoryServer } from "../../src/routes/testing/memory-broker.ts";
import { MARKET, startRoutedNode, tradeOf } from "../lib/routed-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

const SAMPLE = {
  datasource: MARKET.datasource,
  routes: [
    {
      id: "r1",
      version: 1,
      peer_id: "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
      data_source: "k",
      mappings: [
        { mapper: "trade_v1", fanout_topic: "fanout.trade.btcusdt", ws_topic: "btcusdt@trade" },
        { mapper: "depth_v2", fanout_topic: "fanout.depth.btcusdt", ws_topic: "btcusdt@depth" },
        { mapper: "balance", fanout_topic: "fanout.balance", ws_topic: "balance" },
      ],
    },
  ],
};
const BOOK = { type: "snapshot", time: 1, bids: [["100", "1"]], asks: [["101", "2"]] };

test(
  "routes - records of a broker's topics arrive at clients under the channels of the configuration",
  async () => {
    const server = new MemoryServer();
    for (const topic of ["fanout.trade.btcusdt", "fanout.depth.btcusdt"]) server.topic(topic);
    await using node = await startRoutedNode(
      SAMPLE,
      { nodeId: "a" },
      { brokers: { kafka: createMemoryBroker(server) } },
    );
    const client = await node.native();
    const reply = await client.subscribe(["btcusdt@trade", "btcusdt@depth", "btcusdt@kline_1m"]);
    expect(reply.errors).toBeUndefined();
    for (let id = 1; id <= 5; id++) server.produce("fanout.trade.btcusdt", tradeOf("BTCUSDT", id));
    server.produce("fanout.depth.btcusdt", BOOK);
    await waitFor(() => client.stream("btcusdt@trade").items.length === 5, "five trades");
    await waitFor(() => client.stream("btcusdt@depth").have !== null, "a book");
    await waitFor(() => client.stream("btcusdt@kline_1m").have !== null, "a candle derived from the trades");
    expect(client.stream("btcusdt@trade").items.map(({ id }) => id)).toEqual(["1", "2", "3", "4", "5"]);
    expect(client.faults).toEqual([]);
    const names = node.node.parts.shards.map(({ id }) => id);
    expect(names).toEqual(["r1/k/fanout.trade.btcusdt/0", "r1/k/fanout.depth.btcusdt/0"]);

    // A topic that is not there is told, and read once it is.
    const { parts } = await node.readiness();
    expect(parts.brokers).toMatchObject({ state: "degraded", reason: "k has no fanout.balance: does not exist" });
    server.topic("fanout.balance");
    server.produce("fanout.balance", { user: "u1", time: 5, asset: "BTC", free: "1" });
    const balance = () => node.node.parts.shards.find(({ id }) => id.endsWith("fanout.balance/0"));
    await waitFor(() => balance()?.status().publications.private === 1, "the balance is published");
    await waitFor(async () => (await node.readiness()).parts.brokers?.state === "ok", "nothing is missing");
  },
  TEST_MS_MAX,
);

test(
  "routes - a broker that is away at the start is told, the node serves, and what was missed comes when it is back",
  async () => {
    const server = new MemoryServer();
    server.topic("fanout.trade.btcusdt");
    server.produce("fanout.trade.btcusdt", tradeOf("BTCUSDT", 1));
    server.set(false);
    await using node = await startRoutedNode(
      SAMPLE,
      { nodeId: "a" },
      { brokers: { kafka: createMemoryBroker(server) } },
    );
    const client = await node.native();
    expect((await client.subscribe(["btcusdt@trade"])).errors).toBeUndefined();
    const before = await node.readiness();
    expect(before).toMatchObject({
      ready: true,
      parts: { brokers: { state: "degraded", reason: "k connecting, attempt 1: connection refused" } },
    });
    expect(await node.metric("tidegate_broker_connected", 'broker="k"')).toBe(0);
    server.set(true);
    await waitFor(() => client.stream("btcusdt@trade").items.length === 1, "the trade from before");
    // Away again: what comes meanwhile is read afterwards, once.
    server.set(false);
    server.produce("fanout.trade.btcusdt", tradeOf("BTCUSDT", 2));
    await waitFor(async () => (await node.metric("tidegate_broker_connected", 'broker="k"')) === 0, "it is told");
    server.set(true);
    server.produce("fanout.trade.btcusdt", tradeOf("BTCUSDT", 3));
    await waitFor(() => client.stream("btcusdt@trade").items.length === 3, "all three trades");
    expect(client.stream("btcusdt@trade").items.map(({ id }) => id)).toEqual(["1", "2", "3"]);
    expect(client.faults).toEqual([]);
  },
  TEST_MS_MAX,
);

const declared = (price: string) => ({
  datasource: MARKET.datasource,
  routes: [
    {
      ...{ id: "r1", version: 1, data_source: "k" },
      mappings: [
        { mapper: "mine", fanout_topic: "fanout.trade.btcusdt", ws_topic: "btcusdt@trade" },
        { mapper: "depth_v2", fanout_topic: "fanout.depth.btcusdt", ws_topic: "btcusdt@depth" },
      ],
    },
  ],
  mappers: [
    {
      ...{ name: "mine", kind: "trade" },
      fields: { id: "i", price, quantity: "q", side: { path: "s", values: { b: "buy" } }, time: "t" },
    },
  ],
});

test(
  "routes - a changed mapper is taken at once as a new epoch, other shards are not touched, and the rest waits",
  async () => {
    const server = new MemoryServer();
    for (const topic of ["fanout.trade.btcusdt", "fanout.depth.btcusdt"]) server.topic(topic);
    await using node = await startRoutedNode(
      declared("p"),
      { nodeId: "a" },
      { brokers: { kafka: createMemoryBroker(server) } },
    );
    const client = await node.native();
    await client.subscribe(["btcusdt@trade", "btcusdt@depth"]);
    const record = (i: number) => ({ i, p: "1.5", other: "2.5", q: "1", s: "b", t: 1_767_225_600_000 + i });
    server.produce("fanout.trade.btcusdt", record(1));
    server.produce("fanout.depth.btcusdt", BOOK);
    const { items, pushes } = client.stream("btcusdt@trade");
    await waitFor(() => items.length === 1 && client.stream("btcusdt@depth").have !== null, "a trade and a book");
    const epochs = () => Object.fromEntries(node.node.parts.shards.map((shard) => [shard.id, shard.status().epoch]));
    const before = epochs();

    const changed = declared("other");
    const more = { mapper: "json", fanout_topic: "news", ws_topic: "news" };
    const [route] = changed.routes;
    node.write({
      ...changed,
      routes: [{ ...route, mappings: [...(route?.mappings ?? []), more] }],
      topics: [{ topic: "btcusdt@depth", rate: 1 }],
      limits: { subscriptionsMax: 2 },
    });
    await waitFor(
      () => epochs()["r1/k/fanout.trade.btcusdt/0"] !== before["r1/k/fanout.trade.btcusdt/0"],
      "a new epoch",
    );
    expect(epochs()["r1/k/fanout.depth.btcusdt/0"]).toBe(before["r1/k/fanout.depth.btcusdt/0"] as string);
    server.produce("fanout.trade.btcusdt", record(2));
    await waitFor(() => items.at(-1)?.id === "2", "a trade after the change");
    // What was read is not read again.
    expect(items.map(({ id, price }) => `${id} ${price}`)).toEqual(["1 1.5", "2 2.5"]);
    expect(pushes.filter(({ type }) => type === "gap")).toMatchObject([{ missed: null, reason: "epoch" }]);
    expect(client.faults).toEqual([]);
    const other = await node.native();
    await waitFor(async () => {
      const { channels } = await other.subscribe(["btcusdt@depth"]);
      await other.unsubscribe(["btcusdt@depth"]);
      return channels["btcusdt@depth"]?.cadence === 1000;
    }, "the topic's rate holds");
    const { errors } = await other.subscribe(["btcusdt@trade", "btcusdt@depth", "btcusdt@kline_1m"]);
    expect(errors).toMatchObject([{ code: 1301 }]);
    const { parts } = await node.readiness();
    expect(parts.config).toMatchObject({ state: "degraded", version: 2, refused: 0 });
    expect(parts.config?.reason).toContain("routes: r1");
    expect(node.node.parts.shards).toHaveLength(2);

    // What cannot be is refused as a whole.
    node.write({ ...declared("p"), routes: [{ id: "r1", version: 1, data_source: "nowhere", mappings: [] }] });
    await waitFor(async () => (await node.metric("tidegate_config_refused_total")) === 1, "it is refused");
    expect((await node.readiness()).parts.config?.reason).toContain("nowhere");
    expect(node.node.parts.shards).toHaveLength(2);
  },
  TEST_MS_MAX,
);
