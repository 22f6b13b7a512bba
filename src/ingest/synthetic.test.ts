import { expect, test } from "bun:test";
import type { Update } from "../channel/types.ts";
import { createFakeClock, nextTurn } from "../lib/fake-clock.ts";
import type { RecordSink, SourceRecord } from "./source.ts";
import { createSynthetic, type SyntheticShape } from "./synthetic.ts";
import { parseSynthetic } from "./synthetic-flag.ts";

const SHAPE: SyntheticShape = { channels: 2, rate: 10, size: 200, spread: false };
const START_US = 1_795_000_000_000_000;

interface Came {
  readonly ms: number;
  readonly record: SourceRecord;
}

/** Everything handed on until the clock stands at `ms`; it moves in steps of `stepMs`. */
async function play(shape: SyntheticShape, ms: number, stepMs = 1): Promise<Came[]> {
  const clock = createFakeClock(START_US);
  const came: Came[] = [];
  const abort = new AbortController();
  const sink: RecordSink = {
    accept: (record) => void came.push({ ms: clock.monotonicMs(), record }),
    busy: () => null,
  };
  const run = createSynthetic({ ...shape, clock }).run(sink, null, abort.signal);
  while (clock.monotonicMs() < ms) {
    await until(() => clock.pending > 0);
    clock.advance(stepMs);
  }
  await until(() => clock.pending > 0);
  abort.abort();
  await run;
  return came;
}
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}
const updatesOf = ({ record }: Came): readonly Update[] => (record.type === "data" ? (record.value as Update[]) : []);
const jsonOf = (update: Update | undefined): string =>
  update?.type === "value" && "json" in update.data ? update.data.json : "";

test("synthetic - common ticks hold an update of every channel, rate times a second", async () => {
  const came = await play(SHAPE, 1000);
  expect(came.map(({ ms }) => ms)).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
  for (const one of came) {
    expect(updatesOf(one).map(({ channel, kind, user, type }) => [channel, kind, user, type])).toEqual([
      ["c0", "json", "", "value"],
      ["c1", "json", "", "value"],
    ]);
  }
});

test("synthetic - evenly spread, each channel has its own instants", async () => {
  const came = await play({ ...SHAPE, spread: true }, 300);
  expect(came.map((one) => [one.ms, ...updatesOf(one).map(({ channel }) => channel)])).toEqual([
    [0, "c0"],
    [50, "c1"],
    [100, "c0"],
    [150, "c1"],
    [200, "c0"],
    [250, "c1"],
    [300, "c0"],
  ]);
});

test("synthetic - ts is the wall clock when the record is handed on", async () => {
  for (const one of await play(SHAPE, 300)) {
    const update = updatesOf(one)[0]!;
    expect(JSON.parse(jsonOf(update)).ts).toBe(START_US + one.ms * 1000);
    expect(one.record.receivedUs).toBe(START_US + one.ms * 1000);
    expect(update.time).toBe((START_US + one.ms * 1000) / 1000);
  }
});

test("synthetic - late ticks are all made up for, at any rate", async () => {
  for (const rate of [7, 333, 10_000, 100_000]) {
    const came = await play({ ...SHAPE, channels: 1, rate }, 1000, 250);
    expect(came).toHaveLength(rate + 1);
    expect(came.map(({ record }) => record.offset)).toEqual(came.map((_, index) => index));
  }
});

test("synthetic - a slow rate waits on a timer and takes no turns of the event loop", async () => {
  const clock = createFakeClock(START_US);
  let turns = 0;
  const abort = new AbortController();
  const sink: RecordSink = {
    accept: () => undefined,
    busy: () => {
      turns++;
      return null;
    },
  };
  const run = createSynthetic({ ...SHAPE, rate: 100, clock }).run(sink, null, abort.signal);
  for (let tick = 0; tick < 100; tick++) {
    await until(() => clock.pending > 0);
    clock.advance(10);
  }
  expect(turns).toBeLessThanOrEqual(101);
  abort.abort();
  await run;
});

test("synthetic - the frame has the asked size with every name's length, and a smaller one is refused", () => {
  const clock = createFakeClock(START_US);
  const create = (channels: number, size: number) => () => createSynthetic({ ...SHAPE, channels, size, clock });
  expect(create(10, 150)).toThrow("size=150 is below the smallest frame: give at least 159");
  expect(create(10, 159)).not.toThrow();
  expect(create(11, 159)).toThrow("give at least 160");
  const after2027 = createFakeClock(1_810_000_000_000_000);
  expect(() => createSynthetic({ ...SHAPE, size: 160, clock: after2027 })).toThrow("give at least 161");
});

test("synthetic flag - reads every field, with defaults for the rest", () => {
  expect(parseSynthetic("channels=10,rate=30,size=200")).toEqual({ channels: 10, rate: 30, size: 200, spread: false });
  expect(parseSynthetic("rate=0.5, spread ,channels=3")).toEqual({ channels: 3, rate: 0.5, size: 200, spread: true });
  expect(parseSynthetic("")).toEqual({ channels: 10, rate: 30, size: 200, spread: false });
});

test("synthetic flag - names the bad field", () => {
  for (const [text, sentence] of [
    ["channels=0", `"channels" must be a number above 0 and up to 100000`],
    ["channels=1.5", `"channels" must be a whole number from 1 to 100000`],
    ["channels", `"channels" must be a number`],
    ["channels=", `"channels" must be a number`],
    ["rate=fast", `"rate" must be a number above 0 and up to 100000`],
    ["rate=100001", `"rate" must be a number`],
    ["size=-5", `"size" must be a number`],
    ["size=1e9", `"size" must be a number`],
    ["spread=yes", `"spread" takes no value: leave "=yes" out`],
    ["speed=3", `unknown field "speed": use channels=N, rate=N, size=N, spread`],
    ["rate=3,rate=4", `"rate" is given twice`],
    ["channels=1000,rate=2000", `channels x rate is above 1000000 updates per second`],
  ] as const) {
    expect(() => parseSynthetic(text)).toThrow(`synthetic: ${sentence}`);
  }
});
