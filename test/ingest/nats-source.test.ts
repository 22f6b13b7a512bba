/** The source of core NATS: subjects, losses that are told, faults of the server and of the way to it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { BrokerRecord } from "../../src/ingest/broker.ts";
import type { Source } from "../../src/ingest/source.ts";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import { type NatsServer, startNats } from "../lib/services/mod.ts";
import { TEST_MS_MAX, untilWorks, waitFor } from "../lib/wait.ts";
import { Followed, type Kept, numbers, plainTopic, Running } from "./broker-rig.ts";
import { Brokers, Desk, missingReason, sourceOf } from "./nats-rig.ts";

let server: NatsServer;
let desk: Desk;
const brokers = new Brokers(() => server.url);

const USERS = `authorization { users: [
  { user: all, password: all }
  { user: some, password: some, permissions: { subscribe: ["open.>", "_INBOX.>"] } }
] }`;
const ALL = { user: "all", password: "all" };

beforeAll(async () => {
  server = await startNats({ jetstream: false, settings: [USERS, "no_auth_user: all"] });
  desk = await Desk.open(server.url);
}, TEST_MS_MAX);

afterAll(async () => {
  await brokers.close();
  await desk.close();
  await server.stop();
});

const run = async (subject: string, properties = {}): Promise<Running> => {
  const running = new Running(await sourceOf(brokers.nats({ ...ALL, ...properties }), subject));
  await running.is("connected");
  return running;
};

const stateOf = (source: Source): string => JSON.stringify(source.status().state);

/** Every jump in the numbers has a loss right where it is, and no number comes twice or out of order. */
function expectToldLosses(sink: Kept): void {
  let last: number | null = null;
  let lost = false;
  for (const value of sink.told) {
    if (value === "lost") lost = true;
    else {
      const number = Number(value);
      if (last !== null && !(number === last + 1 || (number > last && lost))) {
        throw new Error(`${number} comes behind ${last}, ${lost ? "with" : "without"} a loss`);
      }
      last = number;
      lost = false;
    }
  }
  expect(sink.offsets).toEqual(sink.offsets.map((_, at) => at));
}

test("nats - records of a wildcard name their subjects, in order", async () => {
  const running = await run("wild.trade.{symbol}");
  for (const subject of ["wild.trade.btc", "wild.other", "wild.trade.eth", "wild.trade.btc"]) {
    await desk.say(subject, subject);
  }
  await running.has(3);
  const given = running.sink.records.flatMap((one) => (one.type === "data" ? [one.value as BrokerRecord] : []));
  expect(given.map(({ topic }) => topic)).toEqual(["wild.trade.btc", "wild.trade.eth", "wild.trade.btc"]);
  expect(given.map(({ key, time }) => [key, time])).toEqual(Array(3).fill([null, null]));
  expect(running.sink.values).toEqual(given.map(({ topic }) => topic));
  await running.stop();
});

test("nats - subjects that cannot be read are told with the reason", async () => {
  const broker = brokers.nats({ ...ALL, dead_letter_subject: "dead.letters" });
  for (const [topic, reason] of [
    ["tg.main.trade", "to the bus"],
    ["{symbol}.trade", "to the bus"],
    ["a..b", "is no NATS subject"],
    ["dead.*", "holds the dead letters"],
  ] as const) {
    new Followed(broker, plainTopic(topic));
    expect(await missingReason(broker, topic)).toContain(reason);
  }
  const some = brokers.nats({ user: "some", password: "some" });
  const refused = new Running(await sourceOf(some, "closed.a"));
  expect(await missingReason(some, "closed.a")).toContain(
    "the server does not let us read closed.a (Permissions Violation",
  );
  expect(stateOf(refused.source)).toContain("check the user's permissions");
  const allowed = new Running(await sourceOf(some, "open.a"));
  await allowed.is("connected");
  await desk.say("open.a", "1");
  await allowed.has(1);
  await Promise.all([refused.stop(), allowed.stop()]);
  expect(some.status().missing).toEqual([]);
});

test("nats - a busy sink: what does not fit is dropped, counted and told where it happened", async () => {
  const running = await run("busy.a", { pending_msgs_limit: 1000 });
  await desk.say("busy.a", ...numbers(500));
  await running.has(500);
  running.sink.pause();
  await desk.say("busy.a", ...numbers(3000, 500));
  // All of it has come: nothing fills the inbox again after the release.
  await waitFor(
    () => running.source.status().counts?.dropped === 2000,
    () => JSON.stringify(running.source.status()),
  );
  running.sink.release();
  await waitFor(
    () => running.sink.count("lost") === 1,
    () => JSON.stringify(running.source.status()),
  );
  await desk.say("busy.a", "9999");
  await waitFor(
    () => running.sink.values.at(-1) === "9999",
    () => `${running.sink.values.at(-1)}`,
  );
  expectToldLosses(running.sink);
  const { overflowed, dropped } = running.source.status().counts ?? {};
  expect(overflowed).toBe(1);
  expect(running.sink.values.length + (dropped ?? 0)).toBe(3501);
  await running.stop();
});

test("nats - what the mapper cannot use goes to the dead-letter subject", async () => {
  const letters = desk.connection.subscribe("letters", { max: 1 });
  await desk.connection.flush();
  const running = await run("poison.a", { dead_letter_subject: "letters" });
  await desk.say("poison.a", "bad");
  await running.has(1);
  const record = running.sink.records[0]!;
  if (record.type === "data") running.source.deadLetter?.(record.value, "no JSON");
  for await (const { data, headers } of letters) {
    expect(Buffer.from(data).toString()).toBe("bad");
    expect(headers?.get("Tidegate-Reason")).toBe("no JSON");
    expect(headers?.get("Tidegate-Source")).toBe("n");
  }
  expect(running.source.status().counts).toMatchObject({ "dead letters": 1 });
  await running.stop();
});

test("nats - connections that are cut in the middle of a record: losses are told, nothing twice", async () => {
  using proxy = await CuttingProxy.start({ port: server.port, seed: 5 });
  const broker = brokers.nats(ALL, {}, `nats://127.0.0.1:${proxy.port}`);
  const running = new Running(await sourceOf(broker, "cut.a"));
  await running.is("connected");
  let said = 0;
  const talking = setInterval(() => {
    for (let i = 0; i < 20; i++) desk.connection.publish("cut.a", `${said++}`);
  }, 1);
  try {
    for (let cut = 1; cut <= 5; cut++) {
      const before = running.sink.values.length;
      await running.has(before + 200);
      if (cut === 3) proxy.reset();
      else proxy.tear();
      await waitFor(
        () => running.sink.count("lost") === cut,
        () => `${cut} losses: ${running.sink.count("lost")} ${JSON.stringify(running.source.status())}`,
      );
    }
    const before = running.sink.values.length;
    await running.has(before + 200);
  } finally {
    clearInterval(talking);
  }
  expectToldLosses(running.sink);
  expect(running.source.status().reconnects).toBe(5);
  await running.stop();
});

test("nats - a server that hangs is told within seconds, and read again when it goes on", async () => {
  const running = await run("hang.a", { ping_interval: 0.2, connect_timeout: 0.5 });
  await desk.say("hang.a", "0");
  await running.has(1);
  server.freeze();
  try {
    await running.is("connecting");
    await waitFor(
      () => stateOf(running.source).includes("no NATS server answers"),
      () => stateOf(running.source),
    );
  } finally {
    server.thaw();
  }
  await running.is("connected");
  await desk.say("hang.a", "1");
  await running.has(2);
  expect(running.sink.told).toEqual(["0", "lost", "1"]);
  await running.stop();
});

test("nats - a server that is killed and started again, also one that was absent at first", async () => {
  const running = await run("kill.a");
  await desk.say("kill.a", "0");
  await running.has(1);
  await server.kill();
  // A loss is told at once, not when somebody is there again.
  await waitFor(
    () => running.sink.count("lost") === 1,
    () => JSON.stringify(running.source.status()),
  );
  const absent = brokers.nats({ ...ALL, max_reconnect_attempts: 3, reconnect_time_wait: 0.05 });
  const later = new Running(await sourceOf(absent, "kill.a"));
  await waitFor(
    () => absent.status().state.name === "failed",
    () => JSON.stringify(absent.status()),
  );
  expect(JSON.stringify(absent.status())).toMatch(/connection refused.*it is tried again all the same/);
  expect(later.source.status().state.name).toBe("failed");
  await server.restart();
  await Promise.all([running.is("connected"), later.is("connected")]);
  await untilWorks(() => desk.connection.flush());
  await desk.say("kill.a", "1");
  await Promise.all([running.has(2), later.has(1)]);
  expect(running.sink.told).toEqual(["0", "lost", "1"]);
  expect(later.sink.told).toEqual(["1"]);
  expect(running.source.status()).toMatchObject({ reconnects: 1, lagMs: null });
  await Promise.all([running.stop(), later.stop()]);
});
