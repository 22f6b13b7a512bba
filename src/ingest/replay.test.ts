import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFakeClock, type FakeClock, nextTurn } from "../lib/fake-clock.ts";
import { createReplay } from "./replay.ts";
import type { RecordSink, Source, SourceRecord } from "./source.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-replay-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
async function fileOf(...lines: string[]): Promise<string> {
  const path = join(folder, String(files++));
  await Bun.write(path, lines.map((line) => `${line}\n`).join(""));
  return path;
}

class Keep implements RecordSink {
  readonly records: SourceRecord[] = [];
  accept(record: SourceRecord): void {
    this.records.push(record);
  }
  busy(): null {
    return null;
  }
}
const shape = (records: readonly SourceRecord[]): unknown[] =>
  records.map((record) => [record.offset, record.type === "data" ? record.value : record.type]);

/** Runs to the end, moving the clock while the source waits for it; gives the ms at which each record came. */
async function play(
  source: Source,
  clock: FakeClock,
  from: number | null = null,
  stepMs = 1,
): Promise<[number, SourceRecord][]> {
  const came: [number, SourceRecord][] = [];
  const sink = { accept: (record: SourceRecord) => void came.push([clock.monotonicMs(), record]), busy: () => null };
  let ended = false;
  const run = source.run(sink, from, new AbortController().signal).finally(() => {
    ended = true;
  });
  while (!ended) {
    await nextTurn();
    if (clock.pending > 0) clock.advance(stepMs);
  }
  await run;
  return came;
}

const RECORDING = [
  "wss://a.b <-> 99.0",
  'wss://a.b <- 99.5: {"ask":1}',
  "100.0: [0]",
  "100.5: [1]",
  "100.5: [2]",
  "103.0: [3]",
  "",
];

test("replay - keeps the recorded pace, N times faster if asked", async () => {
  const path = await fileOf(...RECORDING);
  for (const speed of [1, 10]) {
    const clock = createFakeClock();
    const came = await play(createReplay({ path, speed, loop: false, clock }), clock);
    expect(came.map(([ms]) => ms)).toEqual([0, 500 / speed, 500 / speed, 3000 / speed]);
    expect(shape(came.map(([, record]) => record))).toEqual([
      [0, "[0]"],
      [1, "[1]"],
      [2, "[2]"],
      [3, "[3]"],
    ]);
    expect(came.map(([ms, { receivedUs }]) => receivedUs - createFakeClock().wallUs() - ms * 1000)).toEqual([
      0, 0, 0, 0,
    ]);
  }
});

test("replay - as fast as possible waits for no time", async () => {
  const clock = createFakeClock();
  const path = await fileOf(...RECORDING);
  const came = await play(createReplay({ path, speed: Number.POSITIVE_INFINITY, loop: false, clock }), clock);
  expect(came.map(([ms]) => ms)).toEqual([0, 0, 0, 0]);
});

test("replay - going on behind an offset begins at once with the next record", async () => {
  const clock = createFakeClock();
  const path = await fileOf(...RECORDING);
  const came = await play(createReplay({ path, speed: 1, loop: false, clock }), clock, 1);
  expect(came.map(([ms, { offset }]) => [ms, offset])).toEqual([
    [0, 2],
    [2500, 3],
  ]);
});

test("replay - a long silence in the recording is slept through in parts", async () => {
  const clock = createFakeClock();
  const path = await fileOf("100.0: [0]", "1000.0: [1]");
  const came = await play(createReplay({ path, speed: 1, loop: false, clock }), clock, null, 10_000);
  expect(came.map(([ms]) => ms)).toEqual([0, 900_000]);
});

test("replay - a reconnect inside the recording is a lost record with an offset of its own", async () => {
  const path = await fileOf(
    "wss://a.b <-> 99.0",
    "wss://a.b <-> 99.1",
    "100.0: [0]",
    "wss://a.b <-> 101.0",
    "102.0: [1]",
  );
  const sink = new Keep();
  const clock = createFakeClock();
  await createReplay({ path, speed: Number.POSITIVE_INFINITY, loop: false, clock }).run(
    sink,
    null,
    new AbortController().signal,
  );
  expect(shape(sink.records)).toEqual([
    [0, "[0]"],
    [1, "lost"],
    [2, "[1]"],
  ]);
});

test("replay - a malformed line is handed on whole and keeps its place", async () => {
  const path = await fileOf("100.0: [0]", "oops", '100.1: {"cut', "100.2: [3]");
  const sink = new Keep();
  const clock = createFakeClock();
  await createReplay({ path, speed: Number.POSITIVE_INFINITY, loop: false, clock }).run(
    sink,
    null,
    new AbortController().signal,
  );
  expect(shape(sink.records)).toEqual([
    [0, "[0]"],
    [1, "oops"],
    [2, '{"cut'],
    [3, "[3]"],
  ]);
});

test("replay - looping hands on an epoch record and begins at 0 again", async () => {
  const path = await fileOf("100.0: [0]", "100.1: [1]");
  const clock = createFakeClock();
  const abort = new AbortController();
  const sink = new Keep();
  const accept = sink.accept.bind(sink);
  sink.accept = (record) => {
    accept(record);
    if (sink.records.length === 7) abort.abort();
  };
  await createReplay({ path, speed: Number.POSITIVE_INFINITY, loop: true, clock }).run(sink, 0, abort.signal);
  expect(shape(sink.records).slice(0, 7)).toEqual([
    [1, "[1]"],
    [2, "epoch"],
    [0, "[0]"],
    [1, "[1]"],
    [2, "epoch"],
    [0, "[0]"],
    [1, "[1]"],
  ]);
});

test("replay - a checkpoint of another, longer file is refused by name", async () => {
  const path = await fileOf("100.0: [0]");
  const source = createReplay({ path, speed: Number.POSITIVE_INFINITY, loop: false, clock: createFakeClock() });
  const run = source.run(new Keep(), 5, new AbortController().signal);
  await expect(run).rejects.toThrow(`${path} holds 1 records but is to go on at 6`);
  expect(source.status().state.name).toBe("failed");
});

test("replay - a file without records fails instead of looping for nothing", async () => {
  const path = await fileOf("wss://a.b <-> 99.0");
  const source = createReplay({ path, speed: 1, loop: true, clock: createFakeClock() });
  const run = source.run(new Keep(), null, new AbortController().signal);
  await expect(run).rejects.toThrow("holds no record");
});

test("replay - a speed that is none is refused", () => {
  for (const speed of [0, -1, Number.NaN]) {
    expect(() => createReplay({ path: "x", speed, loop: false, clock: createFakeClock() })).toThrow("is not above 0");
  }
});

test("replay - the lag says how late the newest record was", async () => {
  const clock = createFakeClock();
  const source = createReplay({ path: await fileOf("100.0: [0]", "100.010: [1]"), speed: 1, loop: false, clock });
  let count = 0;
  const sink: RecordSink = {
    accept: () => {
      if (++count === 1) clock.advance(25);
    },
    busy: () => null,
  };
  await source.run(sink, null, new AbortController().signal);
  expect(source.status().lagMs).toBeCloseTo(15, 6);
});
