import { expect, test } from "bun:test";
import fc from "fast-check";
import type { InstrumentRegistry } from "../channel/registry.ts";
import type { Publication } from "../channel/types.ts";
import { createFakeClock, nextTurn } from "../lib/fake-clock.ts";
import { type Checkpoint, type CheckpointStore, MemoryCheckpoints } from "./checkpoint.ts";
import type { Mapper } from "./mapper/mapper.ts";
import { CEILING_STEP } from "./numbering.ts";
import { ChannelOwners } from "./owners.ts";
import { Shard } from "./shard.ts";
import type { SourceRecord } from "./source.ts";
import {
  data,
  delta,
  json,
  ListSource,
  RecordingBus,
  RecordingLog,
  recordsOf,
  rig,
  runThrough,
  type Step,
  snapshot,
  testRegistry,
  trade,
  trades,
  updatesMapper,
} from "./testing/rig.ts";

const T = 1_767_225_600_000;
const DEPTH = "btcusdt@depth";

/** A store that keeps what JSON keeps, as a real one would. */
class JsonCheckpoints extends MemoryCheckpoints {
  override save(shard: string, checkpoint: Checkpoint): Promise<boolean> {
    return super.save(shard, JSON.parse(JSON.stringify(checkpoint)));
  }
}

const all = (bus: RecordingBus): string[] => bus.published.map((one) => JSON.stringify(one.publication));

/** A lively hour: books, trades, clock records, a loss. */
function lively(count: number): SourceRecord[] {
  const steps: Step[] = [];
  let time = T;
  for (let i = 0; i < count; i++) {
    time += (i * 7919) % 4000;
    const price = (100 + ((i * 31) % 17) / 10).toFixed(2);
    if (i % 50 === 0) steps.push(data(snapshot(time, { bids: [["90", "1"]], asks: [["120", "1"]] })));
    else if (i === 77) steps.push({ type: "lost" });
    else if (i % 11 === 0) steps.push({ type: "clock", time });
    else if (i % 3 === 0) steps.push(data(delta(time, { bids: [[`9${i % 10}`, String(i % 4)]] }), json(time, `${i}`)));
    else steps.push(data(trades([trade(time, price, `0.${1 + (i % 9)}`, { side: i % 2 ? "buy" : "sell" })])));
  }
  return recordsOf(steps);
}

test("shard - a replay restarted from its checkpoint continues with the same epoch, numbers and bytes", async () => {
  const records = lively(300);
  const whole = await runThrough(records);
  const expected = all(whole.bus);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: records.length - 1 }), async (cutAt) => {
      const checkpoints = new JsonCheckpoints();
      const first = await runThrough(records.slice(0, cutAt), { checkpoints });
      const second = await runThrough(records, { checkpoints });
      expect(second.source.from).toBe(cutAt - 1);
      expect(second.shard.status()).toMatchObject({ epoch: "epoch-1", base: whole.shard.status().base });
      expect(second.shard.status().token).toBe(first.shard.status().token + 1);
      expect([...all(first.bus), ...all(second.bus)]).toEqual(expected);
    }),
    // Right before and right behind the loss, wherever else chance cuts.
    { numRuns: 25, examples: [[77], [78]] },
  );
});

test("shard - a checkpoint behind the last publication repeats exactly those after it", async () => {
  const records = lively(120);
  let kept: Checkpoint | null = null;
  const checkpoints: CheckpointStore = {
    load: () => Promise.resolve(kept),
    save: (_shard, checkpoint) => {
      // The owner dies without a word after its first cut with data.
      if (kept === null || kept.offset === null) kept = JSON.parse(JSON.stringify(checkpoint)) as Checkpoint;
      return Promise.resolve(true);
    },
  };
  const first = rig(records.slice(0, 60), { checkpoints });
  await first.shard.start();
  await first.source.through;
  await first.clock.run(1000);
  for (const record of records.slice(60)) first.shard.accept(record);
  const second = await runThrough(records, { checkpoints });
  expect(second.source.from).toBe(59);
  expect(all(second.bus)).toEqual(all(first.bus).slice(-second.bus.published.length));
  expect(second.bus.published.length).toBeGreaterThan(100);
  await first.shard.stop();
});

test("shard - a store that lost what it had: the next owner's token is above all that nodes have seen", async () => {
  const before = await runThrough(recordsOf([data(json(T, "1"))]), { checkpoints: new MemoryCheckpoints() });
  const after = rig([], { checkpoints: new MemoryCheckpoints() });
  await after.clock.run(5);
  await after.shard.start();
  expect(after.shard.status().token).toBeGreaterThan(before.shard.status().token);
  await after.shard.stop();
});

test("shard - an owner without records fills a store that lost what it had", async () => {
  const memory = { now: new MemoryCheckpoints() };
  const checkpoints: CheckpointStore = {
    load: (shard) => memory.now.load(shard),
    save: (shard, checkpoint) => memory.now.save(shard, checkpoint),
    head: (shard) => memory.now.head(shard),
  };
  const { shard, clock } = rig([], { checkpoints });
  await shard.start();
  memory.now = new MemoryCheckpoints();
  await clock.run(2000);
  expect((await memory.now.head("shard-1"))?.token).toBe(shard.status().token);
  await shard.stop();
});

test("shard - a checkpoint from before the first record is not gone on from: the source may begin elsewhere now", async () => {
  const checkpoints = new MemoryCheckpoints();
  const first = rig([], { checkpoints });
  await first.shard.start();
  const { base, ceiling } = first.shard.status();
  const second = rig([], { checkpoints, more: { randomId: () => "other" } });
  await second.shard.start();
  expect(second.source.from).toBeNull();
  expect(second.shard.status()).toMatchObject({ epoch: "other", base: ceiling + 1 });
  expect(second.shard.status().base).toBeGreaterThan(base);
  for (const one of [first, second]) await one.shard.stop();
});

test("shard - who went on from a checkpoint and meets a new epoch begins above all that the owner before may have published", async () => {
  const checkpoints = new MemoryCheckpoints();
  const first = rig(recordsOf([data(json(T, "1"))]), { checkpoints });
  await first.shard.start();
  await first.source.through;
  await first.clock.run(1000);
  // Published behind its last checkpoint, in which nothing of it is.
  for (let offset = 1; offset <= 500; offset++) first.shard.accept(record(offset));
  const last = first.bus.published.at(-1)!.publication.seq;
  const second = rig([], { checkpoints });
  await second.shard.start();
  second.shard.accept({ type: "epoch", offset: 1, receivedUs: 0 });
  second.shard.accept(record(3));
  await second.clock.run(10);
  expect(second.bus.published[0]!.publication.seq).toBeGreaterThan(last);
  for (const one of [first, second]) await one.shard.stop();
});

test("shard - a source without replay begins a new epoch above the old ceiling", async () => {
  const checkpoints = new MemoryCheckpoints();
  const first = await runThrough(recordsOf([data(json(T, "1"))]), { checkpoints, replayable: false });
  const again = rig(recordsOf([data(json(T, "2"))]), {
    checkpoints,
    replayable: false,
    more: { randomId: () => "other" },
  });
  await again.shard.start();
  await again.source.through;
  const before = first.shard.status();
  const now = again.shard.status();
  expect(again.source.from).toBeNull();
  expect(now).toMatchObject({ epoch: "other", token: before.token + 1 });
  expect(now.base).toBe(before.ceiling + 1);
  expect(again.bus.of("c0")[0]).toMatchObject({ prev: null, seq: now.base });
  await again.shard.stop();
});

test("shard - another mapper version or other provided kinds: a new epoch right behind what was read", async () => {
  const records = [
    data(json(T, "1"), trades([trade(T, "5", "1")]), snapshot(T, { bids: [["9", "1"]], asks: [["11", "1"]] })),
    data(json(T + 1, "2"), trades([trade(T + 1, "6", "1")]), delta(T + 1, { bids: [["10", "2"]] })),
    data(delta(T + 2, { bids: [["9", "0"]] })),
  ];
  for (const change of [{ mapper: { ...updatesMapper(), version: 2 } }, { provides: ["ticker"] as const }]) {
    const checkpoints = new MemoryCheckpoints();
    const first = await runThrough(recordsOf(records.slice(0, 1)), { checkpoints });
    const more = { randomId: () => "second" };
    const second = await runThrough(recordsOf(records), { checkpoints, more, ...change });
    expect(second.source.from).toBe(0);
    const [before, after] = [first, second].map(({ shard }) => shard.status());
    expect(after?.epoch).toBe("second");
    expect(after?.base).toBeGreaterThan(before?.ceiling as number);
    expect(second.bus.of("c0")).toMatchObject([{ prev: null, data: { json: "2" } }]);
    expect(second.bus.of("btcusdt@trade")).toMatchObject([{ prev: null, data: [{ price: "6" }] }]);
    // The book is the source's: with what was read of it before, and whole in its first publication.
    const [whole, next] = second.bus.of("btcusdt@depth");
    expect(whole).toMatchObject({ prev: null, type: "snapshot" });
    expect(whole?.data).toEqual({
      bids: [
        ["10", "2"],
        ["9", "1"],
      ],
      asks: [["11", "1"]],
    });
    expect(next).toMatchObject({ prev: whole?.seq as number, type: "delta", data: { bids: [["9", "0"]], asks: [] } });
    expect(after?.partialBooks).toBe(0);
  }
});

test("shard - an epoch record resets books, values, counters and prev; seq goes on rising", async () => {
  const feed: Step[] = [
    data(snapshot(T, { bids: [["1", "1"]] }), trades([trade(T, "1", "1")])),
    data(delta(T, { bids: [["2", "1"]] })),
  ];
  const list = recordsOf(feed);
  const loop = [...list, { type: "epoch", offset: 2, receivedUs: 1 } as const, ...list];
  const one = rig(loop);
  await one.shard.start();
  await one.source.through;
  const [a, b, c, d] = one.bus.of(DEPTH);
  expect([a?.type, b?.type, c?.type, d?.type]).toEqual(["snapshot", "delta", "snapshot", "delta"]);
  expect([c?.prev, d?.prev]).toEqual([null, c!.seq]);
  expect(c?.seq).toBe(a!.seq + 3);
  const numbers = one.bus.of("btcusdt@trade").map((p) => (p.type === "items" ? p.data : []));
  expect(numbers).toMatchObject([[{ t: a!.seq }], [{ t: c!.seq }]]);
  expect(one.bus.published.at(-1)?.header.epoch).toBe("epoch-2");
  expect(one.bus.headed.map((head) => head.epoch)).toEqual(["epoch-1", "epoch-2"]);
  const candles = one.bus.of("btcusdt@kline_1d").map((p) => (p.type === "candles" ? p.data[0]?.count : 0));
  expect(candles).toEqual([1, 1]);
  await one.shard.stop();
});

test("shard - records at or below the last offset are refused and counted", async () => {
  const one = rig([]);
  await one.shard.start();
  const at = (offset: number): SourceRecord => ({ type: "data", value: [json(T, "1")], offset, receivedUs: 0 });
  for (const offset of [0, 0, 2, 1, 1.5, Number.NaN, -1, 3]) one.shard.accept(at(offset));
  expect(one.bus.of("c0")).toHaveLength(3);
  expect(one.shard.status().refused).toEqual({ offset: 5 });
  await one.shard.stop();
});

test("shard - HEADs every 500 ms say what changed, every 5 s all, also when the source is idle", async () => {
  const one = rig(recordsOf([data(json(T, "1")), data(snapshot(T, { bids: [["1", "1"]] }))]));
  await one.shard.start();
  await one.source.through;
  const { base } = one.shard.status();
  expect(one.bus.headed).toMatchObject([{ full: true, last: [], offset: null, provides: [] }]);
  one.clock.advance(500);
  expect(one.bus.headed[1]).toMatchObject({
    full: false,
    offset: 1,
    source: "connected",
    last: [
      ["c0", "", base],
      [DEPTH, "", base + 1],
    ],
  });
  one.source.state = { name: "ended" };
  one.clock.advance(4500);
  expect(one.bus.headed).toHaveLength(11);
  expect(one.bus.headed.slice(2, 10).every((head) => head.last.length === 0 && !head.full)).toBe(true);
  expect(one.bus.headed[10]).toMatchObject({
    full: true,
    source: "ended",
    last: [
      ["c0", "", base],
      [DEPTH, "", base + 1],
    ],
  });
  await one.shard.stop();
  expect(one.clock.pending).toBe(0);
  expect(one.bus.serving.size).toBe(0);
});

test("shard - no seq passes the stored ceiling: records wait until it is stored", async () => {
  const memory = new MemoryCheckpoints();
  let gate = Promise.withResolvers<void>();
  gate.resolve();
  const checkpoints: CheckpointStore = {
    load: (shard) => memory.load(shard),
    save: async (shard, checkpoint) => {
      await gate.promise;
      return memory.save(shard, checkpoint);
    },
  };
  const one = rig([], { checkpoints });
  await one.shard.start();
  gate = Promise.withResolvers();
  const at = (offset: number): SourceRecord => ({ type: "data", value: [json(T, `${offset}`)], offset, receivedUs: 0 });
  const far = CEILING_STEP * 3;
  one.shard.accept(at(0));
  one.shard.accept(at(far));
  one.shard.accept(at(far + 1));
  expect(one.bus.of("c0")).toHaveLength(1);
  const room = one.shard.busy();
  expect(room).not.toBeNull();
  gate.resolve();
  await room;
  expect(one.shard.busy()).toBeNull();
  expect(one.bus.of("c0").map((p) => p.seq - one.shard.status().base)).toEqual([0, far, far + 1]);
  expect((await memory.load("shard-1"))!.ceiling).toBeGreaterThanOrEqual(one.shard.status().seq!);
  await one.shard.stop();
});

test("shard - a store that fails is counted and tried again; nothing is published unstored", async () => {
  const memory = new MemoryCheckpoints();
  let isDown = true;
  const checkpoints: CheckpointStore = {
    load: (shard) => memory.load(shard),
    save: (shard, checkpoint) => (isDown ? Promise.reject(new Error("down")) : memory.save(shard, checkpoint)),
  };
  const one = rig([], { checkpoints, more: { token: 5 } });
  await one.shard.start();
  one.shard.accept({ type: "data", value: [json(T, "1")], offset: 0, receivedUs: 0 });
  await nextTurn();
  expect(one.bus.published).toHaveLength(0);
  expect(one.shard.status().checkpointErrors).toBeGreaterThan(0);
  isDown = false;
  await one.clock.run(1000);
  expect(one.bus.published).toHaveLength(1);
  await one.shard.stop();
});

test("shard - an owner says nothing before its claim is stored: another may have read the same checkpoint", async () => {
  const memory = new MemoryCheckpoints();
  const isDown = { one: true, other: true };
  const store = (owner: "one" | "other"): CheckpointStore => ({
    load: (shard) => memory.load(shard),
    save: (shard, saved) => (isDown[owner] ? Promise.reject(new Error("down")) : memory.save(shard, saved)),
  });
  const [one, other] = [rig([], { checkpoints: store("one") }), rig([], { checkpoints: store("other") })];
  const starting = [one.shard.start(), other.shard.start()];
  for (const { clock } of [one, other]) await clock.run(2500);
  expect(one.bus.headed.length + other.bus.headed.length).toBe(0);
  isDown.other = false;
  await other.clock.run(1000);
  isDown.one = false;
  await one.clock.run(1000);
  await Promise.all(starting);
  expect(one.shard.status().token).toBeGreaterThan(other.shard.status().token);
  expect(other.bus.headed.length).toBeGreaterThan(0);
  for (const { shard } of [one, other]) await shard.stop();
});

test("shard - who stops while the store is away does not wait for it", async () => {
  const checkpoints: CheckpointStore = {
    load: () => Promise.resolve(null),
    save: () => Promise.reject(new Error("down")),
  };
  const { shard, bus, clock } = rig([], { checkpoints });
  const starting = shard.start();
  await clock.run(1500);
  await shard.stop();
  await starting;
  expect(bus.headed).toHaveLength(0);
  expect(clock.pending).toBe(0);
});

test("shard - an owner whose checkpoint is refused falls silent, one that comes too late does not start", async () => {
  const checkpoints = new MemoryCheckpoints();
  const old = rig([], { checkpoints });
  await old.shard.start();
  const taker = rig([], { checkpoints });
  await taker.shard.start();
  expect(taker.shard.status().token).toBe(old.shard.status().token + 1);
  old.shard.accept({ type: "data", value: [json(T, "1")], offset: 0, receivedUs: 0 });
  await old.clock.run(1000);
  expect(old.shard.status().failure).toBe("a newer owner has taken it");
  expect(old.bus.serving.size).toBe(0);
  const published = old.bus.published.length;
  old.shard.accept({ type: "data", value: [json(T, "2")], offset: 1, receivedUs: 0 });
  expect(old.bus.published).toHaveLength(published);
  const late = rig([], { checkpoints, more: { token: 1 } });
  await expect(late.shard.start()).rejects.toThrow("a newer owner");
  for (const one of [old, taker, late]) await one.shard.stop();
  expect(old.clock.pending + late.clock.pending).toBe(0);
});

test("shard - a channel is fed by one shard of the node; a second one's records are refused until it stops", async () => {
  const owners = new ChannelOwners();
  const shards = ["a", "b"].map((id) => rig([], { more: { id, owners } }));
  const [a, b] = [shards[0]!, shards[1]!];
  for (const one of shards) await one.shard.start();
  const record = (offset: number): SourceRecord => ({
    type: "data",
    value: [trades([trade(T, "1", "1")])],
    offset,
    receivedUs: 0,
  });
  a.shard.accept(record(0));
  b.shard.accept(record(0));
  expect(b.bus.published).toHaveLength(0);
  expect(b.shard.status().refused).toEqual({ "other shard": 1 });
  await a.shard.stop();
  b.shard.accept(record(1));
  expect(b.bus.of("btcusdt@trade")).toHaveLength(1);
  await b.shard.stop();
});

test("shard - a source that fails for good is told, and HEADs go on", async () => {
  class Failing extends ListSource {
    override run(): Promise<void> {
      this.state = { name: "failed", reason: "no such file" };
      return Promise.reject(new Error("no such file"));
    }
  }
  const clock = createFakeClock();
  const bus = new RecordingBus();
  const log = new RecordingLog();
  const shard = new Shard({
    id: "s",
    source: new Failing([]),
    mapper: updatesMapper(),
    bus,
    catalog: testRegistry(),
    owners: new ChannelOwners(),
    checkpoints: new MemoryCheckpoints(),
    clock,
    topicOf: (channel) => channel,
    provides: [],
    log,
    randomId: () => "e",
  });
  await shard.start();
  await shard.ended;
  clock.advance(500);
  expect(shard.status().failure).toBe("no such file");
  expect(bus.headed.slice(-2).map((head) => head.source)).toEqual(["failed", "failed"]);
  expect(log.lines.some((line) => line.level === "error")).toBe(true);
  await shard.stop();
});

test("shard - pausing is passed on to the source", async () => {
  const paused = Promise.withResolvers<void>();
  const one = rig([], { more: { pause: () => paused.promise } });
  await one.shard.start();
  expect(one.shard.busy()).toBe(paused.promise);
  await one.shard.stop();
});

test("shard - a wrong book asks its source at once, and again every 5 s while it stays stale", async () => {
  const mapper = updatesMapper(() => 1);
  const one = rig([], { mapper });
  await one.shard.start();
  let offset = 0;
  const give = (...updates: Parameters<typeof data>): void =>
    one.shard.accept({ type: "data", value: updates, offset: offset++, receivedUs: 0 });
  give(snapshot(T, { bids: [["1", "1"]] }, { checksum: 1 }));
  give(delta(T, { bids: [["2", "1"]] }, { checksum: 2 }));
  expect(one.source.resyncs).toEqual([DEPTH]);
  give(snapshot(T, { bids: [["1", "1"]] }, { checksum: 2 }));
  expect(one.source.resyncs).toHaveLength(1);
  expect(one.shard.status()).toMatchObject({ staleBooks: [DEPTH], resyncs: { checksum: 2 } });
  one.clock.advance(5500);
  expect(one.source.resyncs).toHaveLength(2);
  give(snapshot(T, { bids: [["1", "1"]] }, { checksum: 1 }));
  one.clock.advance(20_000);
  expect(one.source.resyncs).toHaveLength(2);
  expect(one.shard.status().staleBooks).toEqual([]);
  await one.shard.stop();
});

test("shard - learned instruments: tick and lot from the data, known again after a restart", async () => {
  const feed = (registry: InstrumentRegistry): Mapper => ({
    name: "learning",
    version: 1,
    map: (value) => {
      const { symbol } = registry.learn("spot", "KSM/XBT");
      return [{ ...snapshot(T, value as Parameters<typeof snapshot>[1]), channel: `${symbol}@depth` }];
    },
  });
  const checkpoints = new JsonCheckpoints();
  const start = async (records: SourceRecord[]) => {
    const catalog = testRegistry();
    const one = rig(records, { checkpoints, mapper: feed(catalog), more: { catalog } });
    await one.shard.start();
    await one.source.through;
    return { ...one, catalog };
  };
  const records = recordsOf([{ type: "data", value: { bids: [["0.0075330", "1.250"]], asks: [["0.0076", "3"]] } }]);
  const first = await start(records);
  expect(first.catalog.find("spot", "ksmxbt")).toMatchObject({ tick: "0.000001", lot: "0.01", inferred: true });
  await first.shard.stop();
  const second = await start(records);
  expect(second.bus.published).toHaveLength(0);
  expect(second.catalog.find("spot", "ksmxbt")).toMatchObject({ tick: "0.000001", spelling: "KSM/XBT" });
  const reply = await second.bus.request({ channel: "ksmxbt@depth", user: "", since: null });
  expect(reply?.state).toMatchObject({ type: "snapshot", data: { asks: [["0.0076", "3"]] } });
  await second.shard.stop();
});

// --- answers ------------------------------------------------------------------------------------------------------

/** What a follower of candles knows after these publications: the last state of each candle. */
function candlesAfter(publications: readonly Publication[]): Map<number, string> {
  const known = new Map<number, string>();
  for (const one of publications) {
    if (one.type === "candles") for (const candle of one.data) known.set(candle.openTime, JSON.stringify(candle));
  }
  return known;
}

test("shard - answers: from any seq of its chain a follower gets to the same place, for every family", async () => {
  const one = rig(lively(160));
  await one.shard.start();
  await one.source.through;
  for (const channel of [
    "btcusdt@trade",
    "btcusdt@aggTrade",
    "c0",
    "btcusdt@ticker",
    "btcusdt@kline_1s",
    "btcusdt@kline_1h",
  ]) {
    const published = one.bus.of(channel);
    const last = published.at(-1)!;
    expect(published.length).toBeGreaterThan(10);
    for (const [index, { seq }] of published.entries()) {
      const reply = (await one.bus.request({ channel, user: "", since: { epoch: "epoch-1", seq } }))!;
      const after = reply.after!;
      expect(reply.seq).toBe(last.seq);
      expect(after[0]?.prev ?? seq).toBe(seq);
      expect(after.at(-1)?.seq ?? seq).toBe(last.seq);
      const family = last.type;
      if (family === "items") expect(after).toEqual(published.slice(index + 1));
      if (family === "value" && after.length > 0) expect(after).toEqual([{ ...last, prev: seq }]);
      if (family === "candles") {
        expect(candlesAfter([...published.slice(0, index + 1), ...after])).toEqual(candlesAfter(published));
      }
    }
    const whole = (await one.bus.request({ channel, user: "", since: null }))!;
    expect(whole.after).toBeNull();
    if (last.type === "value") expect(whole.state).toEqual({ type: "value", data: last.data } as never);
    if (last.type === "items") expect(whole.history).toEqual(published);
    if (last.type === "candles") {
      expect(whole.state).toEqual({ type: "candles", data: [last.data.at(-1)] } as never);
      expect(whole.history[0]?.prev).toBeNull();
      expect(candlesAfter(whole.history)).toEqual(candlesAfter(published));
    }
  }
  await one.shard.stop();
});

test("shard - answers: another epoch, a seq from the future or an unknown channel", async () => {
  const one = rig(recordsOf([data(json(T, "1")), data(json(T, "2"))]));
  await one.shard.start();
  await one.source.through;
  const { base } = one.shard.status();
  const ask = (epoch: string, seq: number) => one.bus.request({ channel: "c0", user: "", since: { epoch, seq } });
  expect(await ask("old", base)).toMatchObject({ after: null, state: { type: "value", data: { json: "2" } } });
  expect(await ask("epoch-1", base + 5)).toMatchObject({ after: null, seq: base + 1 });
  expect(await ask("epoch-1", base + 1)).toMatchObject({ after: [], state: null });
  expect(await one.bus.request({ channel: "btcusdt@depth", user: "", since: null })).toBeNull();
  await one.shard.stop();
});

const record = (offset: number): SourceRecord => ({
  type: "data",
  value: [json(T, String(offset))],
  offset,
  receivedUs: 0,
});

test("shard - what was stored of a numbering that is over is not told to the source: its offsets mean other records now", async () => {
  const gate = { open: Promise.resolve() };
  const memory = new MemoryCheckpoints();
  const checkpoints: CheckpointStore = {
    load: (shard) => memory.load(shard),
    save: (shard, checkpoint) => gate.open.then(() => memory.save(shard, checkpoint)),
  };
  const { shard, source, clock } = rig([], { checkpoints });
  const committed: number[] = [];
  Object.assign(source, { commit: (offset: number) => committed.push(offset) });
  await shard.start();
  const held = Promise.withResolvers<void>();
  gate.open = held.promise;
  for (const record of recordsOf([data(json(T, "1")), data(json(T, "2"))])) shard.accept(record);
  await clock.run(1000);
  // The stream was made again while the checkpoint was on its way: what is at offset 1 now is not stored anywhere.
  shard.accept({ type: "epoch", offset: 2, receivedUs: 0 });
  shard.accept({ type: "data", offset: 0, receivedUs: 0, value: [json(T, "3")] });
  held.resolve();
  await nextTurn();
  expect(committed).toEqual([]);
  await clock.run(1000);
  expect(committed).toEqual([0]);
  await shard.stop();
});

test("shard - a source that was made anew since the checkpoint hears of it; one without a checkpoint does not", async () => {
  const checkpoints = new MemoryCheckpoints();
  const heard: string[] = [];
  for (const incarnation of ["one", "one", "two"]) {
    const { shard, source } = rig(recordsOf([data(json(T, "1"))]), { checkpoints });
    Object.assign(source, { incarnation, madeAnew: () => heard.push(`${incarnation} is new`) });
    await shard.start();
    await source.through;
    await shard.stop();
  }
  expect(heard).toEqual(["two is new"]);
});
