/** The bus over NATS in bad times: the server killed, frozen, cut off; messages nobody can read; too much of everything. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { subjectOf } from "../../src/bus/subject.ts";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import { type NatsServer, startNats } from "../lib/services/mod.ts";
import { TEST_MS_MAX } from "../lib/wait.ts";
import { natsBusFixture } from "./bus-nats-fixture.ts";
import { PATIENT_TEST_MS_MAX, Pair, patiently } from "./bus-pair.ts";
import { topicOf } from "./bus-scripted.ts";

const TRADES = "btcusdt@trade";
const DEPTH = "btcusdt@depth";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ jetstream: false, settings: ["max_pending: 2MB"] });
}, TEST_MS_MAX);
afterAll(() => server.stop());

const FAST = { nats: { servers: [] as string[], pingMs: 300, retryMaxMs: 200 } };
const fixtureOf = (defaults = {}) => {
  const nats = { ...FAST.nats, servers: [server.url] };
  return natsBusFixture(() => server.url, { nats, batch: 100, requestTimeoutMs: 500, ...defaults });
};

test(
  "nats bus - server killed: its own node goes on, the others lose nothing once it is back",
  async () => {
    const fixture = fixtureOf({ heldMsMax: 60_000 });
    const [one, two] = [await fixture.node(), await fixture.node()];
    const pair = new Pair(one, two);
    const recorders = [pair.follow(TRADES), pair.follow(DEPTH)];
    const near = pair.follow(TRADES, pair.near);
    for (let i = 0; i < 20; i++) pair.owner.publish(i % 2 === 0 ? TRADES : DEPTH);
    await pair.same(...recorders, near);

    await server.kill();
    await patiently(() => one.state().name === "connecting" && two.state().name === "connecting", "they know");
    for (let i = 0; i < 30; i++) pair.owner.publish(i % 2 === 0 ? TRADES : DEPTH);
    expect(near.seq).toBe(pair.owner.lastOf(TRADES));
    const state = one.state();
    expect(state.name === "connecting" ? state.error : "").toMatch(/lost|listens/);
    // Nothing to wait for: plain NATS has nothing to acknowledge.
    await one.flushed();

    await server.restart();
    await pair.same(...recorders, near);
    expect(one.state().name).toBe("connected");
    expect(one.status().reconnects).toBeGreaterThanOrEqual(1);
    expect(one.status().counters.dropped).toBe(0);
    // Lossless: one state, the first; everything else came as publications.
    expect(recorders[0]?.runs.map((run) => run.cause)).toEqual(["first"]);
    pair.close();
    await fixture.close();
  },
  PATIENT_TEST_MS_MAX,
);

test(
  "nats bus - gone for longer than anything is kept: dropped and counted, told, then whole again",
  async () => {
    const fixture = fixtureOf({ heldMsMax: 0 });
    const [one, two] = [await fixture.node(), await fixture.node()];
    const pair = new Pair(one, two, { historyMax: 3 });
    const [trades, depth] = [pair.follow(TRADES), pair.follow(DEPTH)];
    for (let i = 0; i < 4; i++) pair.owner.publish(i % 2 === 0 ? TRADES : DEPTH);
    await pair.same(trades, depth);
    await server.kill();
    await patiently(() => one.state().name === "connecting" && two.state().name === "connecting", "they know");
    for (let i = 0; i < 40; i++) {
      pair.owner.publish(i % 2 === 0 ? TRADES : DEPTH);
      await Bun.sleep(1);
    }
    await server.restart();
    await patiently(() => one.link.connection !== null && two.link.connection !== null, "both are back");
    // HEADs of meanwhile were lost too: the next full one, which would come by itself.
    pair.owner.head(true);
    await pair.same(trades, depth);
    expect(one.status().counters.dropped).toBeGreaterThan(30);
    expect(trades.runs.map((run) => run.cause).slice(0, 2)).toEqual(["first", "heal"]);
    pair.close();
    await fixture.close();
  },
  PATIENT_TEST_MS_MAX,
);

test(
  "nats bus - a server that hangs is found out, fills no memory, and is used again when it wakes up",
  async () => {
    const nats = { ...FAST.nats, servers: [server.url], pingMs: 100 };
    const fixture = fixtureOf({ nats, windowBytes: 64 * 1024, heldBytesMax: 256 * 1024 });
    const [one, two] = [await fixture.node(), await fixture.node()];
    const pair = new Pair(one, two);
    const trades = pair.follow(TRADES);
    pair.owner.publish(TRADES);
    await pair.same(trades);
    server.freeze();
    try {
      for (let i = 0; i < 5000; i++) pair.owner.publish(TRADES);
      await patiently(() => one.status().counters.dropped > 0, "what is too much is dropped");
      expect(one.status().heldBytes).toBeLessThanOrEqual(256 * 1024);
      const error = () => {
        const state = one.state();
        return state.name === "connecting" ? state.error : "";
      };
      await patiently(() => /no answer|does not answer|answers at/.test(error()), error);
    } finally {
      server.thaw();
    }
    await pair.same(trades);
    expect(trades.runs.map((run) => run.cause)).toEqual(["first"]);
    pair.close();
    await fixture.close();
  },
  PATIENT_TEST_MS_MAX,
);

test(
  "nats bus - a receiver whose connection is torn, reset and stopped ends with what the source has",
  async () => {
    using proxy = await CuttingProxy.start({ port: server.port, seed: 7 });
    const fixture = fixtureOf();
    const nats = { ...FAST.nats, servers: [`127.0.0.1:${proxy.port}`], pingMs: 60_000 };
    const [one, two] = [await fixture.node(), await fixture.node({ nats })];
    const pair = new Pair(one, two);
    const recorders = [pair.follow(TRADES), pair.follow(DEPTH)];
    pair.owner.publish(DEPTH);
    pair.owner.publish(TRADES);
    await pair.same(...recorders);
    const publish = (times: number): void => {
      for (let i = 0; i < times; i++) pair.owner.publish(i % 2 === 0 ? TRADES : DEPTH);
    };
    for (const [at, fault] of [() => proxy.tear(), () => proxy.reset()].entries()) {
      fault();
      publish(50);
      await patiently(() => two.status().reconnects > at, "it is connected again");
      publish(50);
      await pair.same(...recorders);
    }

    // It does not read any more: the server cuts it off at its max_pending.
    const before = two.status().reconnects;
    const cutOff = (): number => server.log.split("Slow Consumer").length;
    const times = cutOff();
    proxy.pause();
    while (cutOff() === times) {
      publish(1000);
      await one.flushed();
    }
    proxy.resume();
    await patiently(() => two.status().reconnects > before, "it was cut off and is back");
    publish(2);
    await pair.same(...recorders);
    expect(recorders[0]?.runs.map((run) => run.cause)).toEqual(["first"]);
    pair.close();
    await fixture.close();
  },
  PATIENT_TEST_MS_MAX,
);

test(
  "nats bus - what cannot be read is counted by reason, and the chain goes on",
  async () => {
    const fixture = fixtureOf();
    const [one, two, stranger] = [await fixture.node(), await fixture.node(), await fixture.node()];
    const pair = new Pair(one, two);
    const trades = pair.follow(TRADES);
    pair.owner.publish(TRADES);
    await pair.same(trades);
    const raw = stranger.link.connection;
    const newer = Buffer.from(`TG\u0009\u0001${JSON.stringify({ ...pair.owner.header(), publications: [] })}`);
    const truncated = Buffer.from('TG\u0001\u0001{"version":1,"shard":"shard-1","tok');
    const shapeless = Buffer.from('TG\u0001\u0001{"version":1}');
    const subjects = [subjectOf(fixture.cluster, topicOf(TRADES)), `tgc.${fixture.cluster}.heads`];
    for (const subject of [...subjects, `tgc.${fixture.cluster}.ask`]) {
      for (const bytes of [newer, truncated, shapeless, Buffer.from("hello"), Buffer.alloc(0)]) {
        raw?.publish(subject, bytes);
      }
    }
    await raw?.flush();
    pair.owner.publish(TRADES);
    await pair.same(trades);
    const { refusedVersion, refusedMalformed } = two.status().counters;
    // Sort and version of a HEAD or a request are wrong here too.
    expect(refusedVersion).toBe(3);
    expect(refusedMalformed).toBe(12);
    expect(pair.follower.status().counters.refusedTokens).toBe(0);
    pair.close();
    await fixture.close();
  },
  PATIENT_TEST_MS_MAX,
);

test(
  "nats bus - an upgrade: who writes the version before is understood by both sides; two versions apart nobody is",
  async () => {
    const fixture = fixtureOf();
    const [old, careful, next, far] = [
      await fixture.node({ version: 1 }),
      await fixture.node({ version: 2, writes: 1 }),
      await fixture.node({ version: 2 }),
      await fixture.node({ version: 3 }),
    ];
    const pair = new Pair(old, careful);
    const second = new Pair(next, careful, { shard: "shard-2" });
    const stranger = new Pair(far, far, { shard: "far" });
    const [trades, depth, strange] = [pair.follow(TRADES), second.follow(DEPTH), stranger.follow(TRADES)];
    for (let i = 0; i < 3; i++) {
      pair.owner.publish(TRADES);
      second.owner.publish(DEPTH);
    }
    await pair.same(trades);
    await second.same(depth);
    await patiently(() => far.status().counters.refusedVersion > 0, "the far one refuses");
    await patiently(() => old.status().counters.refusedVersion > 0, "the old one refuses");
    expect(strange.calls.filter((call) => !call.startsWith("unavailable"))).toEqual([]);
    for (const each of [pair, second, stranger]) each.close();
    await fixture.close();
  },
  PATIENT_TEST_MS_MAX,
);
