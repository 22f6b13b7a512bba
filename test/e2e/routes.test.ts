/** Routes from end to end, with a broker inside the process: what a configuration names arrives at clients. */
import { expect, test } from "bun:test";
import { loadStaticConfig } from "../../src/config/load.ts";
import { silentLog } from "../../src/lib/log.ts";
import { type NodeDeps, startNode } from "../../src/node.ts";
import { createMemoryBroker, MemoryServer } from "../../src/routes/testing/memory-broker.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

const SAMPLE = {
  datasource: [{ version: 1, type: "kafka", name: "k", properties: { "bootstrap.servers": "kafka:9092" } }],
  routes: [
    {
      id: "r1",
      version: 1,
      data_source: "k",
      mappings: [
        { mapper: "trade_v1", fanout_topic: "fanout.trade.btcusdt", ws_topic: "btcusdt@trade" },
        { mapper: "depth_v2", fanout_topic: "fanout.depth.btcusdt", ws_topic: "btcusdt@depth" },
      ],
    },
  ],
};

const trade = (id: number) => ({ id, price: "100.5", quantity: "1", side: "buy", time: 1_767_225_600_000 + id });

async function routedNode(document: unknown, deps: NodeDeps): Promise<TestNode> {
  using folder = new TempFolder();
  const path = folder.write("config.json", JSON.stringify(document));
  const flags = { port: "0", adminPort: "0", workers: "1", ringBytes: "16MiB", nodeId: "a", configStore: path };
  const { config } = loadStaticConfig(flags, {});
  return new TestNode(await startNode(config, { log: silentLog, ...deps }));
}

test(
  "routes - records of a broker's topics arrive at clients under the channels of the configuration",
  async () => {
    const server = new MemoryServer();
    for (const topic of ["fanout.trade.btcusdt", "fanout.depth.btcusdt"]) server.topic(topic);
    await using node = await routedNode(SAMPLE, { brokers: { kafka: createMemoryBroker(server) } });
    const client = await node.native();
    const reply = await client.subscribe(["btcusdt@trade", "btcusdt@depth"]);
    expect(reply.errors).toBeUndefined();
    for (let id = 1; id <= 5; id++) server.produce("fanout.trade.btcusdt", trade(id));
    server.produce("fanout.depth.btcusdt", { type: "snapshot", time: 1, bids: [["100", "1"]], asks: [["101", "2"]] });
    await waitFor(() => client.stream("btcusdt@trade").items.length === 5, "five trades");
    await waitFor(() => client.stream("btcusdt@depth").have !== null, "a book");
    expect(client.stream("btcusdt@trade").items.map(({ id }) => id)).toEqual(["1", "2", "3", "4", "5"]);
    expect(client.faults).toEqual([]);
    const names = node.node.parts.shards.map(({ id }) => id);
    expect(names).toEqual(["r1/k/fanout.trade.btcusdt/0", "r1/k/fanout.depth.btcusdt/0"]);
  },
  TEST_MS_MAX,
);
