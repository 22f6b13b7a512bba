/** The source of JetStream: where it begins, what it finds out about its stream, durable consumers, dead letters. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { BrokerRecord } from "../../src/ingest/broker.ts";
import { type NatsServer, startNats } from "../lib/services/mod.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { Followed, numbers, plainTopic, Running } from "./broker-rig.ts";
import { Brokers, Desk, missingReason, sourceOf } from "./nats-rig.ts";

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

const run = async (subject: string, properties = {}, from: number | null = null): Promise<Running> =>
  new Running(await sourceOf(brokers.jetstream(properties), subject), from);

/** What the server has delivered to the one consumer of a stream. */
async function deliveredOf(stream: string): Promise<number> {
  let count = 0;
  for await (const one of (await desk.manager()).consumers.list(stream)) count = one.delivered.consumer_seq;
  return count;
}

test("jetstream - records of a wildcard name their subjects; offsets are the stream's numbers, gaps and all", async () => {
  await desk.stream("WILD", ["wild.>"]);
  for (const subject of ["wild.trade.btc", "wild.other", "wild.trade.eth"]) await desk.store(subject, [subject]);
  const before = Date.now();
  const running = await run("wild.trade.{symbol}");
  await running.has(2);
  const given = running.sink.records.flatMap((one) => (one.type === "data" ? [one.value as BrokerRecord] : []));
  expect(given.map(({ topic }) => topic)).toEqual(["wild.trade.btc", "wild.trade.eth"]);
  expect(running.sink.values).toEqual(["wild.trade.btc", "wild.trade.eth"]);
  expect(running.sink.offsets).toEqual([1, 3]);
  expect(Math.abs((given[0]?.time ?? 0) - before)).toBeLessThan(60_000);
  expect(running.source.status()).toMatchObject({ lagRecords: 0, records: 2 });
  await running.stop();
});

test("jetstream - begins as the configuration says", async () => {
  await desk.stream("BEGIN", ["begin.>"]);
  await desk.store("begin.a", numbers(5));
  await desk.store("begin.b", ["b"]);
  await Bun.sleep(5);
  const middle = new Date().toISOString();
  await Bun.sleep(5);
  await desk.store("begin.a", ["late"]);
  const cases: readonly [Readonly<Record<string, unknown>>, string, readonly string[]][] = [
    [{}, "begin.a", [...numbers(5), "late"]],
    [{ deliver_policy: "last" }, "begin.a", ["late"]],
    [{ deliver_policy: "last_per_subject" }, "begin.*", ["b", "late"]],
    [{ deliver_policy: "by_start_sequence", opt_start_seq: "4" }, "begin.a", ["3", "4", "late"]],
    [{ deliver_policy: "by_start_time", opt_start_time: middle }, "begin.a", ["late"]],
  ];
  for (const [properties, subject, values] of cases) {
    const running = await run(subject, properties);
    await running.has(values.length);
    expect(running.sink.values).toEqual([...values]);
    await running.stop();
  }
  const fresh = await run("begin.a", { deliver_policy: "new" });
  await fresh.is("connected");
  await desk.store("begin.a", ["newest"]);
  await fresh.has(1);
  expect(fresh.sink.values).toEqual(["newest"]);
  await fresh.stop();
});

test("jetstream - what is missing is told in a sentence, and read as soon as it is there", async () => {
  const broker = brokers.jetstream();
  const followed = new Followed(broker, plainTopic("late.trade"));
  expect(await missingReason(broker, "late.trade")).toBe("no stream holds late.trade: make one with this subject");
  await desk.stream("LATE", ["late.>"]);
  await followed.one();
  expect(broker.status()).toMatchObject({ state: { name: "connected" }, missing: [] });

  await desk.stream("LATE2", ["later.x"]);
  const cases: readonly [Readonly<Record<string, unknown>>, string, string][] = [
    [{}, "*.x.", "is no NATS subject"],
    [{}, "tg.main.trade", "to the bus"],
    [{ stream: "NOWHERE" }, "a.b", "there is no stream NOWHERE: make it"],
    [{ stream: "LATE" }, "a.b", "stream LATE does not take a.b, it takes late.>"],
    [{ domain: "nowhere" }, "late.x", "JetStream is not enabled for the domain nowhere"],
    [{ dead_letter_subject: "late.dead" }, "late.*", "holds the dead letters"],
  ];
  for (const [properties, subject, reason] of cases) {
    const one = brokers.jetstream(properties);
    new Followed(one, plainTopic(subject));
    expect(await missingReason(one, subject)).toContain(reason);
  }
  await desk.stream("LATE3", ["more.a"]);
  await desk.stream("LATE4", ["more.b"]);
  const between = brokers.jetstream();
  new Followed(between, plainTopic("more.*"));
  expect(await missingReason(between, "more.*")).toMatch(/held by the streams LATE3, LATE4: say which one/);
});

test("jetstream - a stream made again is a new epoch, found while it runs and told by its incarnation", async () => {
  await desk.stream("AGAIN", ["again.>"]);
  await desk.store("again.a", numbers(3));
  const running = await run("again.a");
  await running.has(3);
  const before = running.source.incarnation;
  expect(before).toStartWith("AGAIN@");
  const manager = await desk.manager();
  await manager.streams.delete("AGAIN");
  await running.is("connecting");
  await waitFor(
    () => JSON.stringify(running.source.status().state).includes("no stream holds again.a"),
    () => JSON.stringify(running.source.status()),
  );
  await desk.stream("AGAIN", ["again.>"]);
  await desk.store("again.a", ["new"]);
  await running.has(4);
  expect(running.sink.told).toEqual([...numbers(3), "epoch", "new"]);
  expect(running.sink.offsets).toEqual([1, 2, 3, 4, 1]);
  expect(running.source.incarnation).not.toBe(before);
  expect(running.source.status().counts).toMatchObject({ recreated: 1 });
  await running.stop();
});

test("jetstream - a stream made again while nobody read it is read from its start, wherever others begin", async () => {
  await desk.stream("ANEW", ["anew.>"]);
  await desk.store("anew.a", numbers(2));
  const source = await sourceOf(brokers.jetstream({ deliver_policy: "new" }), "anew.a");
  source.madeAnew?.();
  const running = new Running(source);
  await running.has(2);
  expect(running.sink.told).toEqual(numbers(2));
  expect(running.sink.offsets).toEqual([1, 2]);
  await running.stop();
});

test("jetstream - records that the stream removed before they were read are a new epoch, not a silent gap", async () => {
  await desk.stream("GONE", ["gone.>"]);
  await desk.store("gone.a", numbers(10));
  const manager = await desk.manager();
  await manager.streams.purge("GONE", { seq: 7 });
  const behind = await run("gone.a", {}, 3);
  await behind.has(4);
  expect(behind.sink.told).toEqual(["epoch", "6", "7", "8", "9"]);
  expect(behind.sink.offsets).toEqual([4, 7, 8, 9, 10]);
  expect(behind.sink.records[0]).toMatchObject({ position: "6" });
  await behind.stop();
  const first = await run("gone.a");
  await first.has(4);
  await waitFor(
    () => first.source.status().lagRecords === 0,
    () => JSON.stringify(first.source.status()),
  );
  expect(first.sink.told).toEqual(["6", "7", "8", "9"]);
  await first.stop();
  const exact = await run("gone.a", {}, 6);
  await exact.has(4);
  expect(exact.sink.told).toEqual(["6", "7", "8", "9"]);
  await exact.stop();
  const beyond = await run("gone.a", {}, 99);
  await beyond.is("connected");
  await desk.store("gone.a", ["end"]);
  await beyond.has(1);
  expect(beyond.sink.told).toEqual(["epoch", "end"]);
  expect(beyond.source.status().counts).toMatchObject({ rewound: 1 });
  await beyond.stop();
});

test("jetstream - limits that pass a busy sink are found out; what was received already is not lost", async () => {
  await desk.stream("PASS", ["pass.a"]);
  await desk.store("pass.a", numbers(3000));
  const running = await run("pass.a");
  running.sink.pause();
  const manager = await desk.manager();
  await waitFor(async () => (await deliveredOf("PASS")) === 1024, "a batch is on its way");
  // As limits would, but at a moment of our choice.
  await manager.streams.purge("PASS", { seq: 2501 });
  // Longer than a source goes on after without looking.
  await Bun.sleep(100);
  running.sink.release();
  await waitFor(
    () => running.sink.values.at(-1) === "2999",
    () => `${running.sink.values.at(-1)} ${JSON.stringify(running.source.status())}`,
  );
  const at = running.sink.told.indexOf("epoch");
  expect(at).toBe(1024);
  expect(running.sink.told).toEqual([...numbers(at), "epoch", ...numbers(500, 2500)]);
  expect(running.source.status().counts).toMatchObject({ expired: 1 });
  await running.stop();
});

test("jetstream - limits that pass a reader who asks all the time are told afterwards", async () => {
  await desk.stream("SLIP", ["slip.a"], { max_msgs: 10 });
  await desk.store("slip.a", ["0"]);
  const running = await run("slip.a");
  await running.has(1);
  server.freeze();
  // What comes at once when the server goes on is far more than it keeps: it removes before it delivers.
  for (const value of numbers(20_000, 1)) desk.connection.publish("slip.a", value);
  server.thaw();
  await waitFor(
    () => running.sink.values.at(-1) === "20000",
    () => `${running.sink.values.at(-1)} ${JSON.stringify(running.source.status())}`,
  );
  const isWhole = running.sink.values.length === 20_001;
  await waitFor(
    () => running.sink.count("epoch") > 0 !== isWhole,
    () => `${running.sink.values.length} values, ${JSON.stringify(running.source.status())}`,
  );
  await running.stop();
});

test("jetstream - a quiet subject of a busy stream keeps up with it, so that its limits mean nothing", async () => {
  await desk.stream("QUIET", ["quiet.>"], { max_msgs: 2000 });
  await desk.store("quiet.a", ["one"]);
  const running = await run("quiet.a");
  await running.has(1);
  await desk.store("quiet.b", numbers(1500));
  await waitFor(
    () => running.sink.count("clock") > 0,
    () => JSON.stringify(running.source.status()),
  );
  const last = running.sink.offsets.at(-1)!;
  expect(running.sink.records.at(-1)).toMatchObject({ type: "clock", time: 0 });
  expect(last).toBeGreaterThan(1000);
  await running.stop();
  await desk.store("quiet.b", numbers(1900));
  await desk.store("quiet.a", ["two"]);
  const next = await run("quiet.a", {}, last);
  await next.has(1);
  expect(next.sink.told).toEqual(["two"]);
  await next.stop();
});

test("jetstream - a consumer that is deleted, or gives nothing, is made again and nothing is lost", async () => {
  await desk.stream("HEAL", ["heal.a"]);
  await desk.store("heal.a", numbers(5));
  const running = await run("heal.a");
  await running.has(5);
  const manager = await desk.manager();
  const consumer = async (): Promise<string> => {
    let name = "";
    await waitFor(async () => {
      for await (const one of manager.consumers.list("HEAL")) name = one.name;
      return name !== "";
    }, "a consumer");
    return name;
  };
  const first = await consumer();
  await manager.consumers.delete("HEAL", first);
  await desk.store("heal.a", numbers(5, 5));
  await running.has(10);
  const second = await consumer();
  await manager.consumers.pause("HEAL", second, new Date(Date.now() + 3_600_000));
  await desk.store("heal.a", numbers(5, 10));
  await running.has(15);
  expect(running.sink.told).toEqual(numbers(15));
  expect(running.source.status().counts).toMatchObject({ stalled: 1 });
  expect(running.source.status().reconnects).toBe(2);
  await running.stop();
});

test("jetstream - a busy sink stops the reading, and afterwards nothing is missing", async () => {
  await desk.stream("BUSY", ["busy.a"]);
  await desk.store("busy.a", numbers(3500));
  const source = await sourceOf(brokers.jetstream(), "busy.a");
  const running = new Running(source);
  running.sink.pause();
  await waitFor(async () => (await deliveredOf("BUSY")) >= 1024, "a batch");
  for (let look = 0; look < 5; look++) {
    await Bun.sleep(20);
    expect(await deliveredOf("BUSY")).toBeLessThanOrEqual(2048);
  }
  expect(running.sink.records.length).toBeLessThanOrEqual(256);
  running.sink.release();
  await running.has(3500);
  expect(running.sink.told).toEqual(numbers(3500));
  await running.stop();
});

test("jetstream - a durable consumer shows what is committed, and an interest stream lets go of it", async () => {
  await desk.stream("KEEP", ["keep.a"], { retention: "interest" });
  const running = await run("keep.a", { durable_name: "gate" });
  await running.is("connected");
  await desk.store("keep.a", numbers(100));
  await running.has(100);
  const manager = await desk.manager();
  const held = async (): Promise<number> => (await manager.streams.info("KEEP")).state.messages;
  expect(await held()).toBe(100);
  running.source.commit?.(60, null);
  await waitFor(async () => (await held()) === 40, "60 are let go");
  const names: string[] = [];
  for await (const one of manager.consumers.list("KEEP")) names.push(`${one.name} ${one.ack_floor.stream_seq}`);
  expect(names).toEqual([expect.stringMatching(/^gate_keep_a-[0-9a-f]{8} 60$/)]);
  await running.stop();

  // What was not stored with us comes again, though it was handed on once.
  const again = await run("keep.a", { durable_name: "gate" }, 60);
  await again.has(40);
  expect(again.sink.told).toEqual(numbers(40, 60));
  await desk.store("keep.a", numbers(10, 100));
  await again.has(50);
  again.source.commit?.(110, null);
  await waitFor(async () => (await held()) === 0, "all are let go");
  await again.stop();
});

test("jetstream - what was handed on and not committed outlives a consumer that is made again", async () => {
  await desk.stream("SAFE", ["safe.a"], { retention: "interest" });
  const running = await run("safe.a", { durable_name: "gate" });
  await running.is("connected");
  await desk.store("safe.a", numbers(50));
  await running.has(50);
  running.source.commit?.(20, null);
  const manager = await desk.manager();
  const held = async (): Promise<number> => (await manager.streams.info("SAFE")).state.messages;
  await waitFor(async () => (await held()) === 30, "20 are let go");
  for await (const one of manager.consumers.list("SAFE")) {
    await manager.consumers.pause("SAFE", one.name, new Date(Date.now() + 3_600_000));
  }
  await desk.store("safe.a", ["50"]);
  await running.has(51);
  expect(running.sink.told).toEqual(numbers(51));
  expect(await held()).toBe(31);
  running.source.commit?.(51, null);
  await waitFor(async () => (await held()) === 0, "all are let go");
  await running.stop();
});

test("jetstream - a work queue is read with a durable name, and freed by what is committed", async () => {
  await desk.stream("WORK", ["work.>"], { retention: "workqueue" });
  await desk.store("work.a", numbers(30));
  const without = await run("work.a");
  await waitFor(
    () => JSON.stringify(without.source.status().state).includes("give a durable_name"),
    () => JSON.stringify(without.source.status()),
  );
  await without.stop();
  const running = await run("work.a", { durable_name: "gate" });
  await running.has(30);
  running.source.commit?.(25, null);
  const manager = await desk.manager();
  const held = async (): Promise<number> => (await manager.streams.info("WORK")).state.messages;
  await waitFor(async () => (await held()) === 5, "25 are let go");
  await running.stop();
  const again = await run("work.a", { durable_name: "gate" }, 27);
  await again.has(3);
  expect(again.sink.told).toEqual(numbers(3, 27));
  await again.stop();
});

test("jetstream - two readers of one subject: the first has the durable consumer, both have every record", async () => {
  await desk.stream("TWO", ["two.a"]);
  await desk.store("two.a", numbers(20));
  const input = await new Followed(brokers.jetstream({ durable_name: "gate" }), plainTopic("two.a")).one();
  const [one, other] = [new Running(input.open()), new Running(input.open())];
  await Promise.all([one.has(20), other.has(20)]);
  expect([one.sink.told, other.sink.told]).toEqual([numbers(20), numbers(20)]);
  await Promise.all([one.stop(), other.stop()]);
});

test("jetstream - what the mapper cannot use goes to the dead-letter subject with what is known of it", async () => {
  await desk.stream("POISON", ["poison.>"]);
  await desk.store("poison.a", ["good", "bad"]);
  const letters = desk.connection.subscribe("letters", { max: 1 });
  await desk.connection.flush();
  const running = await run("poison.a", { dead_letter_subject: "letters" });
  await running.has(2);
  const record = running.sink.records[1]!;
  if (record.type === "data") running.source.deadLetter?.(record.value, "no\r\nJSON");
  running.source.deadLetter?.("not of a broker", "odd");
  for await (const { data, headers } of letters) {
    expect(Buffer.from(data).toString()).toBe("bad");
    expect(headers?.get("Tidegate-Reason")).toBe("no JSON");
    expect(headers?.get("Tidegate-Subject")).toBe("poison.a");
  }
  expect(running.source.status().counts).toMatchObject({ "dead letters": 1, "dead letters left out": 0 });
  await running.stop();
});
