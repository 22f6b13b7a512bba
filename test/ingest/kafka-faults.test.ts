/** Source kafka and the faults of a real Kafka; the restarts come last, since all tests share one server. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import { CLEAR } from "../lib/lane.ts";
import { type KafkaServer, startKafka } from "../lib/services/mod.ts";
import { freePort } from "../lib/services/port.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import {
  brokerOf,
  type Compression,
  Followed,
  KafkaDesk,
  KeptLog,
  numbers,
  type Properties,
  plainTopic,
  Running,
  textOf,
} from "./kafka-rig.ts";

let kafka: KafkaServer;
let desk: KafkaDesk;
const closing: Disposable[] = [];
const open = new Set<{ close(): Promise<void> } | { stop(): Promise<void> }>();

// A test that is out of time takes the server with it.
setDefaultTimeout(TEST_MS_MAX);

beforeAll(async () => {
  kafka = await startKafka();
  desk = new KafkaDesk(kafka.url);
});

afterAll(async () => {
  await Promise.allSettled([...open].map((one) => ("close" in one ? one.close() : one.stop())));
  for (const proxy of closing) proxy[Symbol.dispose]();
  await desk?.close();
  await kafka?.stop();
});

function broker(properties: Properties = {}, log = new KeptLog()) {
  const made = brokerOf(kafka.url, properties, { log });
  open.add(made);
  return made;
}

function run(...args: ConstructorParameters<typeof Running>): Running {
  const running = new Running(...args);
  open.add(running);
  return running;
}

/** Sources of all partitions of a topic. */
async function readers(topic: string, partitions = 1, properties: Properties = {}, log = new KeptLog()) {
  const made = broker(properties, log);
  const followed = new Followed(made, plainTopic(topic));
  const inputs = await followed.of(partitions);
  return { broker: made, followed, running: inputs.map((input) => run(input.open())) };
}

const typesOf = (running: Running): string[] => running.sink.records.map(({ type }) => type);

test("kafka - every compression is read, in order", async () => {
  await desk.topic("packed");
  const kinds: Compression[] = ["none", "gzip", "snappy", "lz4", "zstd"];
  for (const [at, kind] of kinds.entries()) await desk.count("packed", 200, at * 200, 0, kind);
  const { running } = await readers("packed");
  await running[0]!.has(1000);
  expect(running[0]!.sink.values).toEqual(numbers(1000));
  expect(running[0]!.sink.offsets).toEqual(Array.from({ length: 1000 }, (_, i) => i));
});

test("kafka - keys, times and topic come with a record; a tombstone is passed over", async () => {
  await desk.topic("keyed");
  const before = Date.now();
  await desk.write([
    { topic: "keyed", key: "btcusdt", value: "one" },
    { topic: "keyed", key: "btcusdt", value: null },
    { topic: "keyed", value: "two" },
  ]);
  const { running } = await readers("keyed");
  await running[0]!.has(2);
  const [one, two] = running[0]!.sink.records.map((record) =>
    record.type === "data" ? record.value : null,
  ) as never as {
    topic: string;
    key: string | null;
    time: number;
  }[];
  expect(one).toMatchObject({ topic: "keyed", key: "btcusdt" });
  expect(two?.key).toBeNull();
  expect(one!.time).toBeGreaterThanOrEqual(before - 1000);
  expect(running[0]!.sink.offsets).toEqual([0, 2]);
  expect(running[0]!.source.status()).toMatchObject({ lagRecords: 0, counts: { tombstones: 1 } });
});

test("kafka - aborted transactions and control records are left out with read_committed, offsets go on", async () => {
  await desk.topic("committed");
  const producer = desk.transactional();
  for (const [from, keep] of [
    [0, true],
    [10, false],
    [20, true],
  ] as const) {
    const transaction = await producer.beginTransaction();
    const messages = numbers(10, from).map((value) => ({
      topic: "committed",
      partition: 0,
      value: Buffer.from(value),
    }));
    await transaction.send({ messages });
    await (keep ? transaction.commit() : transaction.abort());
  }
  const strict = await readers("committed", 1, { "isolation.level": "read_committed" });
  const loose = await readers("committed");
  await strict.running[0]!.has(20);
  await loose.running[0]!.has(30);
  expect(strict.running[0]!.sink.values).toEqual([...numbers(10), ...numbers(10, 20)]);
  expect(loose.running[0]!.sink.values).toEqual(numbers(30));
  // 10 records and a marker each.
  expect(loose.running[0]!.sink.offsets.at(-1)).toBe(31);
  await waitFor(() => strict.running[0]!.source.status().lagRecords === 0, "the last marker counts as read");
});

test("kafka - begins at the end with latest and keeps to that; none fails with a sentence", async () => {
  await desk.topic("ends");
  await desk.count("ends", 5);
  const made = broker({ "auto.offset.reset": "latest" });
  const followed = new Followed(made, plainTopic("ends"));
  const input = (await followed.of(1))[0]!;
  const first = run(input.open());
  await waitFor(() => first.sink.records.length > 0, "it has found the end");
  await first.stop();
  expect(first.sink.records[0]).toMatchObject({ type: "epoch", position: "5" });
  await desk.count("ends", 5, 5);
  // As a shard does that saved the epoch and nothing behind it.
  const second = run(input.open(), null, "5");
  await second.has(5);
  expect(second.sink.values).toEqual(numbers(5, 5));
  const none = await readers("ends", 1, { "auto.offset.reset": "none" });
  const error = await none.running[0]!.ended;
  expect(String(error)).toContain('partition 0 of topic "ends" has no checkpoint and auto.offset.reset is none');
  expect(none.running[0]!.source.status().state.name).toBe("failed");
});

test("kafka - what retention has removed is a new epoch at the earliest record", async () => {
  await desk.topic("removed");
  await desk.count("removed", 100);
  await desk.admin.deleteRecords({ topics: [{ name: "removed", partitions: [{ partition: 0, offset: 60n }] }] });
  const made = broker();
  const input = (await new Followed(made, plainTopic("removed")).of(1))[0]!;
  const reader = run(input.open(), 19);
  await reader.has(40);
  expect(reader.sink.records[0]).toMatchObject({ type: "epoch", offset: 20, position: "60" });
  expect(reader.sink.offsets.slice(1)).toEqual(Array.from({ length: 40 }, (_, i) => 60 + i));
  expect(reader.source.status().counts).toMatchObject({ "epochs: retention": 1 });
  // And a position beyond the end: the log is not the one we knew.
  const beyond = run(input.open(), 4999);
  await beyond.has(40);
  expect(beyond.sink.records[0]).toMatchObject({ type: "epoch", offset: 5000, position: "60" });
});

test("kafka - a topic that is deleted and made again is a new epoch, from its start", async () => {
  await desk.topic("again");
  await desk.count("again", 30);
  const { running, followed } = await readers("again");
  const reader = running[0]!;
  await reader.has(30);
  const { incarnation } = reader.source;
  await desk.remove("again");
  await desk.topic("again");
  await desk.count("again", 10, 500);
  await reader.has(40);
  expect(typesOf(reader).filter((type) => type === "epoch").length).toBe(1);
  expect(reader.sink.values.slice(30)).toEqual(numbers(10, 500));
  expect(reader.sink.offsets.slice(30)).toEqual([30, ...Array.from({ length: 10 }, (_, i) => i)]);
  expect(reader.source.incarnation).not.toBe(incarnation);
  expect(followed.inputs.length).toBe(1);
});

test("kafka - a busy sink pauses its own partition only, and it goes on at once afterwards", async () => {
  await desk.topic("shared", 2);
  await desk.count("shared", 10, 0, 0);
  await desk.count("shared", 10, 0, 1);
  const { running } = await readers("shared", 2, { "max.partition.fetch.bytes": 2048 });
  const [one, two] = running as [Running, Running];
  await Promise.all([one.has(10), two.has(10)]);
  one.sink.pause();
  for (let first = 10; first < 1010; first += 100) {
    await desk.count("shared", 100, first, 0);
    await desk.count("shared", 100, first, 1);
  }
  await two.has(1010);
  expect(one.sink.values.length).toBeLessThan(10 + 256);
  one.sink.release();
  await one.has(1010);
  expect(one.sink.values).toEqual(numbers(1010));
  expect(two.sink.values).toEqual(numbers(1010));
});

test("kafka - two sources of one partition each get everything", async () => {
  await desk.topic("twice");
  await desk.count("twice", 50);
  const { running, followed } = await readers("twice");
  const second = run(followed.inputs[0]!.open());
  await Promise.all([running[0]!.has(50), second.has(50)]);
  await desk.count("twice", 50, 50);
  await Promise.all([running[0]!.has(100), second.has(100)]);
  expect(second.sink.values).toEqual(running[0]!.sink.values);
});

test("kafka - processed offsets are committed for the group, without joining it; of a topic that is gone no more", async () => {
  await Promise.all([desk.topic("counted"), desk.topic("gone")]);
  await Promise.all([desk.count("counted", 20), desk.count("gone", 20)]);
  const { running, broker: made } = await readers("counted", 1, { "group.id": "watchers" });
  const [input] = await new Followed(made, plainTopic("gone")).of(1);
  const reader = running[0]!;
  const gone = run(input!.open());
  await Promise.all([reader.has(20), gone.has(20)]);
  const committed = async (): Promise<bigint | undefined> => {
    const [group] = await desk.admin.listConsumerGroupOffsets({
      groups: [{ groupId: "watchers", topics: [{ name: "counted", partitionIndexes: [0] }] }],
    });
    return group?.topics[0]?.partitions[0]?.committedOffset;
  };
  const counts = () => {
    const { commits, "commits dropped": dropped } = made.status().counts ?? {};
    return { commits, dropped };
  };
  const has = async (wanted: object): Promise<void> =>
    await waitFor(
      () => Bun.deepMatch(wanted, counts()),
      () => `${Bun.inspect(wanted)}, not ${Bun.inspect(counts())}`,
    );
  reader.source.commit?.(9, null);
  reader.source.commit?.(18, null);
  gone.source.commit?.(18, null);
  await has({ commits: 1, dropped: 0 });
  expect(await committed()).toBe(19n);
  // Until the group had a coordinator for the first time.
  const errors = made.status().counts?.["commit errors"];
  await desk.remove("gone");
  gone.source.commit?.(19, null);
  reader.source.commit?.(19, null);
  // That of the other topic is stored all the same, and nothing is left to try again.
  await has({ commits: 2, dropped: 1 });
  expect(await committed()).toBe(20n);
  reader.source.commit?.(19, null);
  await has({ commits: 3, dropped: 1 });
  expect(made.status().counts?.["commit errors"]).toBe(errors);
});

test("kafka - a poison record goes to the dead-letter topic with its place and the reason; a missing one is told", async () => {
  await desk.topic("poisoned");
  await desk.count("poisoned", 3);
  const made = await readers("poisoned", 1, { "dead.letter.topic": "graves" });
  const reader = made.running[0]!;
  await reader.has(3);
  const [, record] = reader.sink.records;
  if (record?.type !== "data") throw new Error("a record is missing");
  reader.source.deadLetter?.(record.value, "not JSON");
  const told = () => made.broker.status().missing.find(({ topic }) => topic === "graves")?.reason ?? "";
  const missing = `topic "graves" does not exist at ${kafka.url}: make it, or correct dead.letter.topic`;
  await waitFor(
    () => told() === missing,
    () => `the missing topic is told, not ${told()}`,
  );
  await desk.topic("graves");
  await waitFor(() => made.broker.status().counts?.["dead letters"] === 1, "it is written");
  expect(made.broker.status().missing).toEqual([]);
  const graves = await readers("graves");
  await graves.running[0]!.has(1);
  expect(graves.running[0]!.sink.values).toEqual(["1"]);
  expect(await desk.headers("graves")).toEqual({
    "tidegate.topic": "poisoned",
    "tidegate.partition": "0",
    "tidegate.offset": "1",
    "tidegate.reason": "not JSON",
  });
});

test("kafka - an unknown topic is told in a sentence, and comes when it is made", async () => {
  const made = broker();
  const followed = new Followed(made, plainTopic("later"));
  await waitFor(() => made.status().missing.length > 0, "it is told");
  expect(made.status()).toMatchObject({
    state: { name: "connected" },
    missing: [
      { topic: "later", reason: `topic "later" does not exist at ${kafka.url}: make it, or correct source_topic` },
    ],
  });
  expect(followed.inputs).toEqual([]);
  await desk.topic("later", 2);
  const inputs = await followed.of(2);
  expect(inputs.map(({ id, topic }) => [id, topic])).toEqual([
    ["later/0", "later"],
    ["later/1", "later"],
  ]);
  await waitFor(() => made.status().missing.length === 0, "it is not missing any more");
});

test("kafka - a pattern finds the topics of known symbols, also new ones", async () => {
  await desk.topic("md.btcusdt");
  await desk.topic("md.unknown");
  const made = broker();
  const symbols = ["btcusdt", "ethusdt"];
  const followed = new Followed(made, {
    text: "md.{symbol}",
    symbolOf: (topic) => symbols.find((symbol) => topic === `md.${symbol}`) ?? null,
    topics: () => symbols.map((symbol) => `md.${symbol}`),
  });
  expect((await followed.of(1))[0]?.id).toBe("md.btcusdt/0");
  await desk.topic("md.ethusdt", 2);
  expect((await followed.of(3)).map(({ id }) => id)).toEqual(["md.btcusdt/0", "md.ethusdt/0", "md.ethusdt/1"]);
});

test("kafka - a wrong address is told in a sentence and tried again", async () => {
  const port = await freePort();
  const made = brokerOf(`127.0.0.1:${port}`);
  open.add(made);
  const told = `nobody listens on 127.0.0.1:${port}: start the broker, or correct bootstrap.servers`;
  await waitFor(
    () => errorOf(made) === told,
    () => `it is told, not ${errorOf(made)}`,
  );
  const { state } = made.status();
  expect(state).toMatchObject({ name: "connecting", attempt: expect.any(Number), retryAt: expect.any(Number) });
});

const errorOf = (made: ReturnType<typeof brokerOf>): string => {
  const { state } = made.status();
  return state.name === "connecting" ? state.error : "";
};

test("kafka - partitions that are added begin behind the older records, in a new epoch of all", async () => {
  await desk.topic("grown", 2);
  await desk.count("grown", 50, 0, 0);
  await desk.count("grown", 50, 0, 1);
  const { running, followed } = await readers("grown", 2, { "auto.offset.reset": "latest" });
  const [one, two] = running as [Running, Running];
  for (const { sink } of [one, two]) await waitFor(() => sink.records.length > 0, "it has found the end");
  one.sink.pause();
  await desk.count("grown", 20, 50, 0);
  await desk.count("grown", 20, 50, 1);
  await desk.grow("grown", 3);
  await desk.count("grown", 10, 100, 2);
  await followed.of(3);
  const added = run(followed.inputs[2]!.open());
  await two.has(20);
  const why = 'topic "grown" has more partitions now: its older records come first';
  await waitFor(
    () => Bun.deepMatch({ name: "connecting", error: why }, added.source.status().state),
    () => `it waits and says so: ${Bun.inspect(added.source.status().state)}`,
  );
  expect([added.sink.records, typesOf(two).slice(1)]).toEqual([[], Array(20).fill("data")]);
  one.sink.release();
  await added.has(10);
  for (const old of [one, two]) {
    expect(old.sink.values).toEqual(numbers(20, 50));
    expect(old.sink.records.at(-1)).toMatchObject({ type: "epoch", moved: true, position: "70" });
  }
  // From its start, although new topics begin at their end.
  expect(added.sink.values).toEqual(numbers(10, 100));
  await desk.count("grown", 1, 70, 0);
  await one.has(21);
  expect(one.sink.records.at(-1)).toMatchObject({ type: "data", offset: 70 });
});

const RECORD_BYTES = 1000;

/** A reader whose way to Kafka is a bad one, and which asks for nothing but records. */
async function afar(topic: string) {
  await desk.topic(topic);
  const proxy = await CuttingProxy.start({ port: Number(kafka.url.split(":")[1]), seed: 1 });
  closing.push(proxy);
  const resolveAddress = (named: string) => (named === kafka.url ? `127.0.0.1:${proxy.port}` : named);
  // A request may take 1.1 s.
  const quiet = { "metadata.max.age.ms": 60_000, "fetch.max.wait.ms": 100, "request.timeout.ms": 100 };
  const small = { "max.partition.fetch.bytes": 32 * 1024 };
  const made = brokerOf(
    kafka.url,
    { ...quiet, ...small },
    { resolveAddress },
    { endsMs: 60_000, stallMs: 60_000, commitMs: 100 },
  );
  open.add(made);
  const reader = run((await new Followed(made, plainTopic(topic)).of(1))[0]!.open());
  let count = 0;
  return {
    proxy,
    reader,
    /** Each batch holds four. */
    async write(batches: number): Promise<void> {
      for (let batch = 0; batch < batches; batch++) {
        const values = numbers(4, count).map((number) => number.padEnd(RECORD_BYTES));
        await desk.write(values.map((value) => ({ topic, value })));
        count += values.length;
      }
    },
    /** All of them, in order, each once. */
    async isWhole(): Promise<void> {
      await reader.has(count);
      expect(reader.sink.values.map((value) => value.trim())).toEqual(numbers(count));
      expect(reader.sink.records.every(({ type, offset }, at) => type === "data" && offset === at)).toBe(true);
      expect(reader.source.status()).toMatchObject({ lagRecords: 0, records: count });
    },
  };
}

test.concurrent("kafka - a connection that is too slow for what a fetch may bring gets less at a time", async () => {
  const { proxy, reader, write, isWhole } = await afar("slow");
  await write(8);
  await isWhole();
  // An answer with all that waits is under way for longer than one may be.
  proxy.pause();
  await write(8);
  proxy.change({ bytesPerSecond: 20_000, delayMs: [5, 20] });
  proxy.resume();
  await waitFor(() => reader.source.status().reconnects > 0, "it did not come in time");
  const before = reader.sink.records.length;
  await reader.has(before + 1);
  proxy.change(CLEAR);
  await isWhole();
});

test.concurrent("kafka - a reset in the middle of an answer, and answers half written, lose nothing and double nothing", async () => {
  const { proxy, reader, write, isWhole } = await afar("torn");
  await write(1);
  await isWhole();
  proxy.change({ bytesPerSecond: 10_000 });
  const before = proxy.bytesToClients;
  await write(8);
  await waitFor(() => proxy.bytesToClients > before + 1000, "a part of an answer has come");
  proxy.reset();
  proxy.change(CLEAR);
  await isWhole();
  expect(reader.source.status().reconnects).toBeGreaterThanOrEqual(1);
  for (let time = 0; time < 2; time++) {
    const { reconnects } = reader.source.status();
    proxy.tear();
    await write(4);
    await isWhole();
    expect(reader.source.status().reconnects).toBeGreaterThan(reconnects);
  }
  expect(proxy.torn).toBeGreaterThanOrEqual(1);
});

test("kafka - a hung broker is found out, and nothing is lost or doubled when it wakes up", async () => {
  await desk.topic("hung");
  await desk.count("hung", 10);
  const { running, broker: made } = await readers("hung");
  const reader = running[0]!;
  await reader.has(10);
  kafka.freeze();
  try {
    await waitFor(() => reader.source.status().state.name === "connecting", "the source tells it");
    await waitFor(
      () => errorOf(made).startsWith(`${kafka.url} does not answer in time`),
      () => `the broker tells it, not ${errorOf(made)}`,
    );
  } finally {
    kafka.thaw();
  }
  await desk.count("hung", 10, 10);
  await reader.has(20);
  expect(reader.sink.values).toEqual(numbers(20));
  await waitFor(() => reader.source.status().state.name === "connected", "it is well again");
});

test("kafka - kill -9 and a restart while records are written lose nothing and double nothing", async () => {
  await desk.topic("restarted", 2);
  const log = new KeptLog();
  const { running } = await readers("restarted", 2, {}, log);
  let written = 0;
  let writing = true;
  const writer = (async () => {
    while (writing) {
      await desk.count("restarted", 20, written, 0);
      await desk.count("restarted", 20, written, 1);
      written += 20;
    }
  })();
  await waitFor(() => written > 100, "records are written");
  await running[0]!.has(written);
  await kafka.kill("SIGKILL");
  await waitFor(() => running[0]!.source.status().state.name === "connecting", "the source tells it");
  await kafka.restart();
  const before = written;
  await waitFor(() => written > before + 100, "records are written again");
  writing = false;
  await writer;
  for (const reader of running) {
    await reader.has(written);
    expect(reader.sink.values).toEqual(numbers(written));
    expect(reader.sink.records.every(({ type, offset }, at) => type === "data" && offset === at)).toBe(true);
    expect(reader.source.status().reconnects).toBeGreaterThanOrEqual(1);
  }
  // That Kafka is away is no news for a stack trace; whatever was told is taken back.
  expect(log.lines.filter((line) => /\n\s+at /.test(line))).toEqual([]);
  expect(log.lines.filter((line) => line.includes("kafka: fetching")).at(-1) ?? "again").toContain("again");
});

test("kafka - a closed broker ends its sources and leaves nothing open", async () => {
  await desk.topic("closed");
  await desk.count("closed", 5);
  const { running, broker: made } = await readers("closed");
  await running[0]!.has(5);
  await made.close();
  await running[0]!.ended;
  expect(running[0]!.source.status().state.name).toBe("idle");
  expect(textOf(running[0]!.sink.records.flatMap((one) => (one.type === "data" ? [one.value] : []))[0])).toBe("0");
});
