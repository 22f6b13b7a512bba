import { expect, test } from "bun:test";
import type { Depth, Trade, Update } from "../channel/types.ts";
import type { Clock } from "../lib/clock.ts";
import { createFakeClock, type FakeClock, nextTurn } from "../lib/fake-clock.ts";
import { createSim, type SimMarket, type SimOptions, simInstruments } from "./sim.ts";
import type { RecordSink, SourceRecord } from "./source.ts";

const HOUR = 3_600_000;
const START_US = 1_795_321_303_824_000;

class Keep implements RecordSink {
  readonly records: SourceRecord[] = [];
  busyUntil: Promise<void> | null = null;
  accept(record: SourceRecord): void {
    this.records.push(record);
  }
  busy(): Promise<void> | null {
    return this.busyUntil;
  }
  get updates(): Update[] {
    return this.records.flatMap((record) => (record.type === "data" ? (record.value as Update[]) : []));
  }
}

function start(options: Partial<SimOptions> & { readonly clock: Clock }, sink = new Keep()) {
  const source = createSim({ market: "spot", seed: 1, historyHours: 0, ...options });
  const abort = new AbortController();
  const run = source.run(sink, null, abort.signal);
  const stop = async () => {
    abort.abort();
    await run;
  };
  return { source, sink, stop, run, abort };
}

/** Runs for `ms` of the fake clock and stops. */
async function recordsOf(options: Partial<SimOptions>, ms: number, clock: FakeClock = createFakeClock(START_US)) {
  const { sink, stop } = start({ ...options, clock });
  // While this clock stands still, history is one turn; then come the snapshots.
  for (let turns = 0; turns < 10 && !sink.updates.some((update) => update.type === "snapshot"); turns++) {
    await nextTurn();
  }
  await clock.run(ms);
  await stop();
  return sink;
}

test("sim source - equal seed and clock give equal records, history and all", async () => {
  for (const market of ["spot", "usdm"] as const) {
    const once = await recordsOf({ market, historyHours: 2 }, 1500);
    const again = await recordsOf({ market, historyHours: 2 }, 1500);
    expect(once.updates.filter((update) => update.type === "delta").length).toBeGreaterThan(200);
    expect(once.updates.filter((update) => update.kind === "trade").length).toBeGreaterThan(1700);
    expect(JSON.stringify(again.records)).toBe(JSON.stringify(once.records));
    const other = await recordsOf({ market, historyHours: 2, seed: 2 }, 1500);
    expect(JSON.stringify(other.records)).not.toBe(JSON.stringify(once.records));
  }
});

test("sim source - history first, then a snapshot of each book, then deltas from now on", async () => {
  const { updates } = await recordsOf({ historyHours: 25 }, 500);
  const snapshots = updates.flatMap((update, i) => (update.type === "snapshot" ? [i] : []));
  expect(snapshots.length).toBe(10);
  expect(snapshots.at(-1)! - snapshots[0]!).toBe(9);
  const past = updates.slice(0, snapshots[0]);
  expect(past.length).toBeGreaterThan(20_000);
  expect(past[0]!.time).toBeLessThan(START_US / 1000 - 24.9 * HOUR);
  let last = 0;
  for (const { time } of updates) {
    if (time < last) throw new Error(`time fell from ${last} to ${time}`);
    last = time;
  }
  expect(past.at(-1)!.time).toBeLessThan(START_US / 1000);
  const ids = new Map<string, number>();
  for (const { kind, channel, data } of updates) {
    if (kind !== "trade") continue;
    for (const { t } of data as Trade[]) {
      const before = ids.get(channel);
      if (before !== undefined && t !== before + 1) throw new Error(`${channel}: ${t} after ${before}`);
      ids.set(channel, t);
    }
  }
  for (const t of ids.values()) expect(t).toBeLessThan(1e14);
});

test("sim source - the rate is the clock's, at any rate", async () => {
  const cases: readonly (readonly [number, number])[] = [
    [1, 60_000],
    [7, 10_000],
    [200, 5000],
    [20_000, 300],
  ];
  for (const [rate, ms] of cases) {
    const { updates } = await recordsOf({ rate }, ms);
    const live = updates.filter((update) => update.type !== "snapshot").length;
    const due = (rate * ms) / 1000 + 1;
    // A record may hold a few updates more than are due.
    expect(live).toBeGreaterThanOrEqual(Math.floor(due * 0.999));
    expect(live).toBeLessThanOrEqual(Math.ceil(due) + 3);
  }
});

test("sim source - a low rate is not eaten up by mark prices", async () => {
  const { updates } = await recordsOf({ market: "usdm", rate: 10 }, 20_000);
  const marks = updates.filter((update) => update.kind === "markPrice").length;
  expect(marks).toBeGreaterThan(20);
  expect(marks).toBeLessThanOrEqual(0.25 * updates.length);
});

test("sim source - channel names are canonical, or as asked; symbols can be chosen", async () => {
  const names = async (options: Partial<SimOptions>) =>
    new Set((await recordsOf(options, 3000)).updates.map((update) => update.channel));
  expect(await names({ symbols: ["ethusdt"] })).toEqual(new Set(["ethusdt@depth", "ethusdt@trade"]));
  const usdm = await names({ market: "usdm", symbols: ["ethusdt"] });
  for (const name of ["usdm:ethusdt@depth", "usdm:ethusdt@trade", "usdm:ethusdt@markPrice"]) {
    expect(usdm.has(name)).toBe(true);
  }
  const asked = await names({
    symbols: ["ethusdt"],
    channelName: (market, symbol, stream) => market + symbol + stream,
  });
  expect(asked.has("spotethusdtdepth")).toBe(true);
});

test("sim source - an abort ends it at once and leaves no timer", async () => {
  const clock = createFakeClock(START_US);
  const { sink, stop, source } = start({ clock });
  await clock.run(100);
  expect(source.status().state).toEqual({ name: "connected" });
  await stop();
  expect(source.status().state).toEqual({ name: "idle" });
  expect(clock.pending).toBe(0);
  const count = sink.records.length;
  await clock.run(1000);
  expect(sink.records.length).toBe(count);
});

test("sim source - what was due while the sink was busy is made up for, but not more than a second of it", async () => {
  const clock = createFakeClock(START_US);
  const { sink, stop } = start({ clock, rate: 100 });
  await clock.run(1000);
  const before = sink.updates.length;
  for (const [pauseMs, expected] of [
    [500, 50],
    [60_000, 100],
  ] as const) {
    const { promise, resolve } = Promise.withResolvers<void>();
    sink.busyUntil = promise;
    await clock.run(pauseMs);
    const paused = sink.updates.length;
    sink.busyUntil = null;
    resolve();
    await clock.run(0);
    expect(Math.abs(sink.updates.length - paused - expected)).toBeLessThanOrEqual(4);
  }
  expect(sink.updates.length).toBeGreaterThan(before);
  await stop();
});

/** A clock on which every look takes some time, as on a machine that has work to do. */
function slowClock(clock: FakeClock, lookMs: number): Clock {
  return {
    wallUs: () => clock.wallUs(),
    monotonicMs() {
      clock.advance(lookMs);
      return clock.monotonicMs();
    },
    after: (ms, call) => clock.after(ms, call),
  };
}

test("sim source - a turn stops after maxTurnMs and lets the event loop run", async () => {
  const fake = createFakeClock(START_US);
  const { sink, stop } = start({ clock: slowClock(fake, 1), historyHours: 25, maxTurnMs: 5 });
  // The first turn ran within `start`, up to its first wait; the history is longer than that.
  const perTurn: number[] = [];
  for (let i = 0; i < 20; i++) {
    const before = sink.records.length;
    await nextTurn();
    perTurn.push(sink.records.length - before);
  }
  await stop();
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(2 * 16 * 6);
  expect(perTurn.reduce((sum, count) => sum + count)).toBeGreaterThan(200);
  expect(sink.updates.every((update) => update.kind === "trade")).toBe(true);
});

test("sim source - live turns stop after maxTurnMs too", async () => {
  const fake = createFakeClock(START_US);
  const { sink, stop } = start({ clock: slowClock(fake, 1), rate: 50_000, maxTurnMs: 5 });
  await nextTurn();
  fake.advance(500);
  const perTurn: number[] = [];
  for (let i = 0; i < 200; i++) {
    const before = sink.records.length;
    await nextTurn();
    perTurn.push(sink.records.length - before);
  }
  await stop();
  // A look at the clock costs a millisecond, in which 50 updates fall due and 16 records are made: it never catches up.
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(2 * 16 * 6);
  expect(Math.min(...perTurn)).toBeGreaterThan(0);
});

test("sim source - a wall clock that jumps ahead is followed, one that falls back is not", async () => {
  const fake = createFakeClock(START_US);
  let stepUs = 0;
  const clock: Clock = { ...fake, wallUs: () => fake.wallUs() + stepUs };
  const { sink, stop } = start({ clock, rate: 50 });
  await fake.run(1000);
  stepUs = 3 * HOUR * 1000;
  await fake.run(1000);
  const late = sink.updates.at(-1)!.time;
  expect(Math.abs(late - (START_US / 1000 + 3 * HOUR + 2000))).toBeLessThan(100);
  stepUs = 0;
  await fake.run(1000);
  expect(sink.updates.at(-1)!.time).toBeGreaterThan(late + 900);
  await stop();
});

test("sim source - resync hands on a fresh snapshot of that book, inside the stream", async () => {
  const clock = createFakeClock(START_US);
  const { sink, stop, source } = start({ clock });
  await clock.run(500);
  source.resync?.("ethusdt@depth");
  source.resync?.("nosuch@depth");
  const before = sink.updates.length;
  await clock.run(500);
  await stop();
  const snapshots = sink.updates.slice(before).filter((update) => update.type === "snapshot");
  expect(snapshots.map((update) => update.channel)).toEqual(["ethusdt@depth"]);
  const book = new Map<string, string>();
  for (const update of sink.updates.slice(0, sink.updates.indexOf(snapshots[0]!))) {
    if (update.channel !== "ethusdt@depth") continue;
    for (const [price, quantity] of (update.data as Depth).bids) {
      if (Number(quantity) === 0) book.delete(price);
      else book.set(price, quantity);
    }
  }
  expect(new Map((snapshots[0]!.data as Depth).bids)).toEqual(book);
});

test("sim source - instruments are the symbols it feeds", async () => {
  for (const market of ["spot", "usdm"] as const satisfies readonly SimMarket[]) {
    const instruments = simInstruments(market);
    expect(instruments.length).toBe(10);
    for (const { tick, lot, status, base, quote, symbol } of instruments) {
      expect(tick).toMatch(/^(0\.0*10*|1)$/);
      expect(lot).toMatch(/^(0\.0*10*|1)$/);
      expect([status, symbol]).toEqual(["trading", (base + quote).toLowerCase()]);
    }
  }
});

test("sim source - a wrong option is refused by name", () => {
  const clock = createFakeClock(START_US);
  const refused = (options: Partial<SimOptions>) => () => createSim({ market: "spot", seed: 1, clock, ...options });
  expect(refused({ rate: 0 })).toThrow("sim rate must be from 1 to 100000, not 0");
  expect(refused({ rate: 100_001 })).toThrow("sim rate");
  expect(refused({ rate: Number.NaN })).toThrow("sim rate");
  expect(refused({ historyHours: -1 })).toThrow("sim historyHours");
  expect(refused({ maxTurnMs: 0 })).toThrow("sim maxTurnMs");
  expect(refused({ symbols: ["xx"] })).toThrow('does not list "xx"');
  expect(refused({ symbols: [] })).toThrow("at least one symbol");
});
