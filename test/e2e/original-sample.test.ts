/**
 * The configuration of the original design, byte for byte, on two processes: its Kafka and NATS under their host names, which
 * `--addresses` leads to real servers here. One node owns all shards; a client of either sees the same, also when the owner
 * is killed and comes back.
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
let owner: ChildNode;
let edge: ChildNode;

const startOwner = (): Promise<ChildNode> =>
  startChildNode([...flags, "--node-id", OWNER, "--roles", "ingest,edge,admin"]);
const startEdge = (): Promise<ChildNode> => startChildNode([...flags, "--node-id", "edge", "--roles", "edge,admin"]);

beforeAll(async () => {
  [kafka, nats] = await Promise.all([startKafka({ advertised: "kafka:9092" }), startNats({ jetstream: true })]);
  desk = new KafkaDesk(kafka.url);
  await Promise.all(TOPICS.map((topic) => desk.topic(topic)));
  const addresses = `kafka:9092=127.0.0.1:${kafka.port},nats:4222=127.0.0.1:${nats.port}`;
  flags = ["--config-store", SAMPLE, "--peers", OWNER, "--addresses", addresses];
  flags.push("--bus", "nats", "--bus-servers", "nats://nats:4222", "--checkpoints", "nats://nats:4222");
  [owner, edge] = await Promise.all([startOwner(), startEdge()]);
}, TEST_MS_MAX);

afterAll(async () => {
  await Promise.all([owner?.[Symbol.asyncDispose](), edge?.[Symbol.asyncDispose]()]);
  await desk?.close();
  await Promise.all([kafka?.stop(), nats?.stop()]);
}, TEST_MS_MAX);

const write = (topic: string, ...values: readonly object[]): Promise<void> =>
  desk.write(values.map((value) => ({ topic, value: JSON.stringify(value) })));

test(
  "original sample - its topics arrive at clients of another node, and its private one at whoever follows that user",
  async () => {
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
        await write("fanout.trade.btcusdt", tradeOf("BTCUSDT", id));
      }
      const book = { type: "snapshot", time: 1, bids: [["100", "1"]], asks: [["101", "2"]] };
      await write("fanout.depth.btcusdt", book);
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
        await write("fanout.balance", balance);
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

const CHANNELS = ["btcusdt@trade", "btcusdt@depth"];
/** Above what the test before has written. */
const FIRST = 1000;

test(
  "original sample - a client of either node sees the same, REST is not behind, and the owner's death changes no number",
  async () => {
    const clients: NativeClient[] = [];
    const connect = async (node: ChildNode): Promise<NativeClient> => {
      const client = await NativeClient.connect(`${node.ws}/ws/quote/v1`);
      clients.push(client);
      await client.subscribe(CHANNELS, { cadence: 0 });
      return client;
    };
    const idsOf = (client: NativeClient) => client.stream("btcusdt@trade").items.map(({ id }) => Number(id));
    let next = FIRST;
    /** A trade and a change of the book; `id` is the best bid's quantity. */
    const produce = async (count: number): Promise<void> => {
      const numbers = Array.from({ length: count }, () => next++);
      await write("fanout.trade.btcusdt", ...numbers.map((id) => tradeOf("BTCUSDT", id)));
      const deltas = numbers.map((id) => ({ type: "delta", time: id, bids: [["100", `${id}`]], asks: [] }));
      await write("fanout.depth.btcusdt", ...deltas);
    };
    const bestOf = (client: NativeClient) => client.stream("btcusdt@depth").book.depth().bids[0]?.[1];
    try {
      const [here, there] = [await connect(owner), await connect(edge)];
      const book = { type: "snapshot", time: 1, bids: [["100", "1"]], asks: [["101", "2"]] };
      await write("fanout.depth.btcusdt", book);
      await produce(20);
      await waitFor(() => clients.every((one) => idsOf(one).at(-1) === next - 1), "the trades at both");
      await waitFor(() => clients.every((one) => bestOf(one) === `${next - 1}`), "the book at both");
      for (const channel of CHANNELS) {
        const [one, other] = [here.stream(channel), there.stream(channel)];
        expect([other.epoch, other.have]).toEqual([one.epoch, one.have]);
      }
      expect(there.stream("btcusdt@depth").book.depth()).toEqual(here.stream("btcusdt@depth").book.depth());

      const depth = async () => {
        const answer = await fetch(`${edge.http}/api/v3/depth?symbol=BTCUSDT`);
        return { status: answer.status, body: (await answer.json()) as { lastUpdateId: number } };
      };
      for (let round = 0; round < 10; round++) {
        await produce(1);
        await waitFor(() => bestOf(here) === `${next - 1}`, "the change at the owner's client");
        const seen = here.stream("btcusdt@depth").have ?? 0;
        const { status, body } = await depth();
        // On a machine that is busy with other things it may take longer than it may: never is the answer an old book.
        if (status === 200) expect(body.lastUpdateId).toBeGreaterThanOrEqual(seen);
        else expect([status, body]).toMatchObject([503, { code: -1001 }]);
      }

      owner.signal("SIGKILL");
      await owner.status();
      await produce(20);
      owner = await startOwner();
      await waitFor(() => idsOf(there).at(-1) === next - 1, "what came meanwhile");
      await produce(5);
      await waitFor(() => idsOf(there).at(-1) === next - 1 && bestOf(there) === `${next - 1}`, "what comes now");
      const ids = idsOf(there).filter((id) => id >= FIRST);
      expect(ids).toEqual(Array.from({ length: next - FIRST }, (_, at) => FIRST + at).slice(-ids.length));
      const later = await connect(owner);
      for (const channel of CHANNELS) expect(there.stream(channel).epoch).toBe(later.stream(channel).epoch);
      expect(there.stream("btcusdt@trade").epoch).toBe(here.stream("btcusdt@trade").epoch);
      await waitFor(() => bestOf(later) === `${next - 1}`, "the book at the owner's new client");
      expect(there.stream("btcusdt@depth").book.depth()).toEqual(later.stream("btcusdt@depth").book.depth());
      expect(there.closed).toBeNull();
      expect(there.stream("btcusdt@trade").notices.filter(({ type }) => type === "gap")).toEqual([]);
      expect([...here.faults, ...there.faults, ...later.faults]).toEqual([]);
    } finally {
      for (const client of clients) client.close();
    }
  },
  TEST_MS_MAX,
);
