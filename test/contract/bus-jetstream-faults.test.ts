/** The persistent bus in bad times, and which topics it stores. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { LOST, NOW, withFaults } from "../../src/bus/faults.ts";
import { createNatsBus, type NatsBus, type NatsBusOptions } from "../../src/bus/nats/mod.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLog } from "../../src/lib/log.ts";
import { type NatsServer, startNats } from "../lib/services/mod.ts";
import { TEST_MS_MAX } from "../lib/wait.ts";
import { type NatsBusFixture, natsBusFixture } from "./bus-nats-fixture.ts";
import { PATIENT_TEST_MS_MAX, Pair, patiently } from "./bus-pair.ts";
import { type Recorder, ScriptedOwner, topicOf } from "./bus-scripted.ts";

const TRADES = "btcusdt@trade";
const DEPTH = "btcusdt@depth";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
}, TEST_MS_MAX);
afterAll(() => server.stop());

const stream = { maxAgeSeconds: 600, maxBytes: 16 * 1024 * 1024, storage: "file", replicas: 1 } as const;
const fixtureOf = (defaults: Partial<NatsBusOptions> = {}): NatsBusFixture => {
  const nats = { servers: [server.url], pingMs: 300, retryMaxMs: 200 };
  return natsBusFixture(() => server.url, { kind: "jetstream", stream, nats, topicOf, ...defaults });
};

/** Messages in the cluster's stream, by subject. */
async function storedBy(bus: NatsBus, fixture: NatsBusFixture): Promise<Record<string, number>> {
  const manager = await jetstreamManager(await bus.link.connected());
  const { state } = await manager.streams.info(`TG_${fixture.cluster}`, { subjects_filter: ">" });
  return state.subjects ?? {};
}

test(
  "jetstream bus - killed in full flow: everything is stored once, in order, and acknowledged before it counts as flushed",
  async () => {
    const fixture = fixtureOf();
    const [one, two] = [await fixture.node(), await fixture.node()];
    const pair = new Pair(one, two);
    const trades = pair.follow(TRADES);
    for (let i = 0; i < 50; i++) pair.owner.publish(TRADES);
    await patiently(() => one.status().unacknowledged === 0, "all is acknowledged");
    await one.flushed();
    for (let i = 0; i < 200; i++) pair.owner.publish(TRADES);
    await server.kill();
    for (let i = 0; i < 50; i++) pair.owner.publish(TRADES);
    let flushed = false;
    one.flushed().then(
      () => (flushed = true),
      () => (flushed = true),
    );
    await patiently(() => one.state().name === "connecting", "it knows");
    expect(flushed).toBe(false);
    await server.restart();
    await patiently(() => one.status().unacknowledged === 0, "all is acknowledged");
    await one.flushed();
    await pair.same(trades);
    expect(trades.runs.map((run) => run.cause)).toEqual(["first"]);
    expect(await storedBy(one, fixture)).toEqual({ [`tg.${fixture.cluster}.${topicOf(TRADES)}`]: 300 });
    expect(one.status().counters.storedAgain).toBeGreaterThan(0);
    pair.close();
    await fixture.close();
  },
  PATIENT_TEST_MS_MAX,
);

test(
  "jetstream bus - what is missing is healed from the stream while its owner does not answer",
  async () => {
    const fixture = fixtureOf({ requestTimeoutMs: 100 });
    const [one, two] = [await fixture.node(), await fixture.node()];
    let lose = false;
    const bad = withFaults(two, {
      node: "two",
      clock: systemClock(),
      faults: { fate: ({ what }) => (lose && what === "publication" ? LOST : NOW) },
      requestTimeoutMs: 5000,
    });
    const pair = new Pair(one, bad, {}, { requestTimeoutMs: 5000 });
    const [trades, depth] = [pair.follow(TRADES), pair.follow(DEPTH)];
    for (let i = 0; i < 10; i++) pair.owner.publish(i % 2 === 0 ? TRADES : DEPTH);
    await pair.same(trades, depth);
    // Its HEADs go on, but it does not answer.
    pair.owner.stopServing();
    lose = true;
    for (let i = 0; i < 30; i++) pair.owner.publish(i % 2 === 0 ? TRADES : DEPTH);
    await fixture.settle();
    lose = false;
    const has = (recorder: Recorder): boolean => recorder.seq === pair.owner.lastOf(recorder.channel);
    await patiently(() => has(trades) && has(depth), "they have it from the stream");
    expect(two.status().counters.streamHeals).toBeGreaterThanOrEqual(2);
    for (const { runs } of [trades, depth]) expect(runs.map((run) => run.cause)).toEqual(["first"]);
    // Of another epoch than the owner's the stream says nothing.
    const old = { channel: TRADES, user: "", since: { epoch: "e0", seq: 1000 } };
    expect(await two.request(old).catch((error: { code?: string }) => error.code)).toBe("BUS_NO_ANSWER");
    pair.owner.serve();
    await pair.same(trades, depth);
    pair.close();
    await fixture.close();
  },
  PATIENT_TEST_MS_MAX,
);

test(
  "jetstream bus - a topic may go its own way: through the stream, past it, or nowhere",
  async () => {
    const ways = { [topicOf("a@trade")]: "jetstream", [topicOf("c@trade")]: "memory" } as const;
    const busOf = (topic: string) => ways[topic as keyof typeof ways] ?? null;
    const fixture = fixtureOf({ kind: "nats", busOf });
    const [one, two] = [await fixture.node(), await fixture.node()];
    const seen: string[][] = [[], []];
    for (const [at, bus] of [one, two].entries()) {
      for (const channel of ["a@trade", "b@trade", "c@trade"]) {
        bus.subscribe(topicOf(channel), ({ publications }) => seen[at]?.push(...publications.map((p) => p.channel)));
      }
    }
    await fixture.settle();
    const owner = new ScriptedOwner({ bus: one });
    for (const channel of ["c@trade", "b@trade", "a@trade"]) owner.publish(channel);
    await patiently(() => one.status().storing && one.status().unacknowledged === 0, "what is stored is acknowledged");
    await fixture.settle();
    expect(seen[0]).toEqual(["c@trade", "b@trade", "a@trade"]);
    expect(seen[1]?.sort()).toEqual(["a@trade", "b@trade"]);
    owner.head(true);
    await fixture.settle();
    expect(await storedBy(one, fixture)).toEqual({ [`tg.${fixture.cluster}.${topicOf("a@trade")}`]: 1 });
    await fixture.close();
  },
  PATIENT_TEST_MS_MAX,
);

test(
  "jetstream bus - without a stream nothing counts as flushed, the bus says why, and owners are told to wait",
  async () => {
    await using plain = await startNats({ jetstream: false });
    const bus = createNatsBus({
      nats: { servers: [plain.url] },
      kind: "jetstream",
      storedBytesMax: 20_000,
      cluster: "without",
      name: "one",
      log: silentLog,
      batch: 1,
    });
    const error = (): string => {
      const state = bus.state();
      return state.name === "connecting" ? state.error : "";
    };
    await patiently(() => error().includes("the stream cannot be had"), error);
    const owner = new ScriptedOwner({ bus });
    while (bus.busy() === null) owner.publish(TRADES);
    expect(bus.status().counters.dropped).toBe(0);
    const waiting = bus.flushed().catch((error: { code?: string }) => error.code);
    for (let i = 0; i < 200; i++) owner.publish(TRADES);
    expect(bus.status().counters.dropped).toBeGreaterThan(0);
    expect(await waiting).toBe("BUS_NOT_STORED");
    expect(await bus.flushed().catch((error: { code?: string }) => error.code)).toBe("BUS_NOT_STORED");
    await bus.close();
  },
  PATIENT_TEST_MS_MAX,
);
