/**
 * The configuration of the original design, byte for byte, on two processes: its Kafka and NATS under their host names, which
 * `--addresses` leads to real servers here.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { createNatsBus } from "../../src/bus/nats/mod.ts";
import { silentLog } from "../../src/lib/log.ts";
import { userHash } from "../../src/routes/fanout.ts";
import { KafkaDesk } from "../ingest/kafka-rig.ts";
import { type ChildNode, startChildNode } from "../lib/child-node.ts";
import { NativeClient } from "../lib/native-client.ts";
import { tradeOf } from "../lib/routed-node.ts";
import { type KafkaServer, type NatsServer, startKafka, startNats } from "../lib/services/mod.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

const SAMPLE = join(import.meta.dir, "../fixtures/original-sample.json");
/** The sample's peer is the sha256 of this name. */
const OWNER = "1";
const TOPICS = ["fanout.trade.btcusdt", "fanout.depth.btcusdt", "fanout.balance"];

let kafka: KafkaServer;
let nats: NatsServer;
let desk: KafkaDesk;
let flags: string[];

beforeAll(async () => {
  [kafka, nats] = await Promise.all([startKafka({ advertised: "kafka:9092" }), startNats()]);
  desk = new KafkaDesk(kafka.url);
  await Promise.all(TOPICS.map((topic) => desk.topic(topic)));
  const addresses = `kafka:9092=127.0.0.1:${kafka.port},nats:4222=127.0.0.1:${nats.port}`;
  flags = ["--config-store", SAMPLE, "--peers", OWNER, "--addresses", addresses];
  flags.push("--bus", "nats", "--bus-servers", "nats://nats:4222");
}, TEST_MS_MAX);

afterAll(async () => {
  await desk?.close();
  await Promise.all([kafka?.stop(), nats?.stop()]);
}, TEST_MS_MAX);

test(
  "original sample - its topics arrive at clients of another node, and its private one at whoever follows that user",
  async () => {
    const start = (nodeId: string, roles: string): Promise<ChildNode> =>
      startChildNode([...flags, "--node-id", nodeId, "--roles", roles]);
    await using owner = await start(OWNER, "ingest,admin");
    await using edge = await start("edge", "edge,admin");
    const brokers = async () => (await owner.readiness()).parts.brokers;
    await waitFor(async () => (await brokers())?.state === "ok", "Kafka and NATS are connected");
    expect((await brokers())?.brokers).toMatchObject([
      { name: "default_kafka", type: "kafka", state: { name: "connected" } },
      { name: "default_nats", type: "nats", state: { name: "connected" } },
    ]);
    const shards = (await owner.readiness()).parts.routes?.shards as { shard: string; owner: string }[];
    expect(shards.map(({ shard }) => shard)).toEqual(TOPICS.map((topic) => `uuid4/default_kafka/${topic}/0`));

    const client = await NativeClient.connect(`${edge.ws}/ws/quote/v1`);
    const user = "u-1";
    const bus = createNatsBus({ nats: { servers: [nats.url] }, cluster: "tidegate", name: "test", log: silentLog });
    const balances: string[] = [];
    try {
      const topic = `fanout.balance.${userHash(user)}`;
      bus.subscribe(topic, ({ publications }) =>
        balances.push(...publications.map(({ data }) => JSON.stringify(data))),
      );
      await waitFor(() => bus.state().name === "connected", "the test's own end of the bus");
      const reply = await client.subscribe(["btcusdt@trade", "btcusdt@depth"]);
      expect(reply.errors).toBeUndefined();
      for (let id = 1; id <= 20; id++) {
        await desk.write([{ topic: "fanout.trade.btcusdt", value: JSON.stringify(tradeOf("BTCUSDT", id)) }]);
      }
      const book = { type: "snapshot", time: 1, bids: [["100", "1"]], asks: [["101", "2"]] };
      await desk.write([{ topic: "fanout.depth.btcusdt", value: JSON.stringify(book) }]);
      await waitFor(() => client.stream("btcusdt@trade").items.length === 20, "20 trades");
      await waitFor(() => client.stream("btcusdt@depth").have !== null, "the book");
      expect(client.stream("btcusdt@trade").items.map(({ id }) => id)).toEqual(
        Array.from({ length: 20 }, (_, at) => `${at + 1}`),
      );
      expect(client.stream("btcusdt@depth").book.depth()).toMatchObject({ bids: [["100", "1"]], asks: [["101", "2"]] });
      expect(client.faults).toEqual([]);

      // The owner hears of our interest a moment after we have it.
      let written = 0;
      await waitFor(async () => {
        const balance = { user, asset: "BTC", free: `${++written}`, time: written };
        await desk.write([{ topic: "fanout.balance", value: JSON.stringify(balance) }]);
        return balances.length > 0;
      }, "a balance on the bus");
      expect(balances[0]).toContain("BTC");
    } finally {
      client.close();
      await bus.close();
    }
  },
  TEST_MS_MAX,
);
