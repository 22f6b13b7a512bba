/**
 * The contract every Source keeps, as tests over a factory (src/ingest/source.ts says it in words).
 *
 * A source passes by running `sourceContract(name, cases)` in a file of its own.
 */
import { afterAll, expect, test } from "bun:test";
import type { Update } from "../../src/channel/types.ts";
import type { RecordSink, Source, SourceRecord } from "../../src/ingest/source.ts";
import { GatewayError } from "../../src/lib/errors.ts";

export interface SourceCases {
  /** A fresh source over one and the same input; it gives at least 3,000 records within a second or two. */
  readonly open: () => Source;
  /** Offset of its first record, where that is not 0. */
  readonly first?: number;
  /** It ends by itself after so many records; null if it goes on for ever. */
  readonly endsAfter: number | null;
  /** What a data record's value means to the mapper of this source; checked: at most one update per channel. */
  readonly updates?: (value: unknown) => readonly Update[];
  /** A source whose input is bad in places, and how many records it must give all the same. */
  readonly bad?: { readonly open: () => Source; readonly records: number };
  /** A source that cannot work at all. */
  readonly failing?: () => Source;
  /** Removes what `open` needed. */
  readonly close?: () => void | Promise<void>;
}

/** Records a source may still hand on after the sink became busy: one read batch. */
const BATCH_MAX = 2048;
const ABORT_MS_MAX = 1000;

/** A sink that keeps everything and is busy when told so. */
class Keep implements RecordSink {
  readonly records: SourceRecord[] = [];
  readonly #waiting: { count: number; resolve: () => void }[] = [];
  #busy: { promise: Promise<void>; resolve: () => void } | null = null;
  #busyAt: number | null = null;

  accept(record: SourceRecord): void {
    this.records.push(record);
    if (this.records.length === this.#busyAt) this.pause();
    for (const one of this.#waiting) if (this.records.length >= one.count) one.resolve();
  }

  busy(): Promise<void> | null {
    return this.#busy?.promise ?? null;
  }

  pauseAt(count: number): void {
    this.#busyAt = count;
  }

  pause(): void {
    this.#busy = Promise.withResolvers<void>();
  }

  release(): void {
    this.#busy?.resolve();
    this.#busy = null;
  }

  reached(count: number): Promise<void> {
    if (this.records.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }
}

/** Everything the next so many turns of the event loop could do has been done. */
async function quiet(ms: number): Promise<void> {
  await Bun.sleep(ms);
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Runs behind `last` until `count` records came, then aborts and waits for the end of the run. */
async function take(source: Source, count: number, last: SourceRecord | null = null): Promise<readonly SourceRecord[]> {
  const sink = new Keep();
  const abort = new AbortController();
  const run = source.run(sink, last?.offset ?? null, abort.signal, last?.position ?? null);
  await Promise.race([sink.reached(count), run]);
  abort.abort();
  await run;
  return sink.records;
}

const repeatable = (record: SourceRecord): unknown => ({ ...record, receivedUs: 0 });

export function sourceContract(name: string, cases: SourceCases): void {
  if (cases.close !== undefined) afterAll(cases.close);
  const { first: begin = 0 } = cases;

  test(`${name} - offsets count every record from ${begin}`, async () => {
    const records = await take(cases.open(), 3000);
    expect(records.length).toBeGreaterThanOrEqual(3000);
    let next = begin;
    for (const record of records) {
      if (record.offset !== next) expect(record.offset).toBe(next);
      next = record.type === "epoch" ? begin : next + 1;
    }
  });

  test(`${name} - receivedUs is whole microseconds and never falls`, async () => {
    const before = Date.now() * 1000 - 60_000_000;
    let last = before;
    for (const { receivedUs } of await take(cases.open(), 500)) {
      if (!Number.isInteger(receivedUs) || receivedUs < last) expect(receivedUs).toBe(last);
      last = receivedUs;
    }
    expect(last).toBeGreaterThan(before);
    expect(last).toBeLessThan(Date.now() * 1000 + 60_000_000);
  });

  test(`${name} - goes on behind an offset; a replayable one with the same records`, async () => {
    const whole = await take(cases.open(), 1500);
    for (const from of [0, 499, 1000]) {
      const part = await take(cases.open(), 400, whole[from]);
      expect(part[0]?.offset).toBe(begin + from + 1);
      if (cases.open().replayable) {
        expect(part.slice(0, 400).map(repeatable)).toEqual(whole.slice(from + 1, from + 401).map(repeatable));
      }
    }
  });

  test(`${name} - an abort ends the run at once, and nothing comes after it`, async () => {
    const sink = new Keep();
    const abort = new AbortController();
    const run = cases.open().run(sink, null, abort.signal);
    await sink.reached(10);
    const start = performance.now();
    abort.abort();
    await run;
    expect(performance.now() - start).toBeLessThan(ABORT_MS_MAX);
    const count = sink.records.length;
    await quiet(20);
    expect(sink.records.length).toBe(count);
  });

  test(`${name} - a run that is aborted before it begins gives nothing`, async () => {
    const sink = new Keep();
    await cases.open().run(sink, null, AbortSignal.abort());
    expect(sink.records.length).toBe(0);
  });

  test(`${name} - a busy sink pauses it, and nothing is lost`, async () => {
    const sink = new Keep();
    sink.pauseAt(100);
    const abort = new AbortController();
    const run = cases.open().run(sink, null, abort.signal);
    await sink.reached(100);
    await quiet(30);
    const paused = sink.records.length;
    expect(paused).toBeLessThan(100 + BATCH_MAX);
    await quiet(30);
    expect(sink.records.length).toBe(paused);
    sink.release();
    await sink.reached(paused + 100);
    expect(sink.records[paused]?.offset).toBe(sink.records[paused - 1]!.offset + 1);
    abort.abort();
    await run;
  });

  test(`${name} - an abort ends a run whose sink is busy`, async () => {
    const sink = new Keep();
    sink.pause();
    const abort = new AbortController();
    const run = cases.open().run(sink, null, abort.signal);
    await quiet(5);
    abort.abort();
    await run;
    expect(sink.records.length).toBeLessThan(BATCH_MAX);
  });

  test(`${name} - its status says idle, connected, idle, and counts`, async () => {
    const source = cases.open();
    expect(source.status()).toMatchObject({ state: { name: "idle" }, records: 0, reconnects: 0 });
    const sink = new Keep();
    const abort = new AbortController();
    const run = source.run(sink, null, abort.signal);
    await sink.reached(10);
    const { state, lagMs, records } = source.status();
    expect(state).toEqual({ name: "connected" });
    expect(lagMs === null || lagMs >= 0).toBe(true);
    expect(records).toBeGreaterThanOrEqual(10);
    abort.abort();
    await run;
    expect(source.status()).toMatchObject({ state: { name: "idle" }, records: sink.records.length });
  });

  test(`${name} - it can run again after an abort`, async () => {
    const source = cases.open();
    const first = await take(source, 50);
    const last = first.at(-1)!;
    const second = await take(source, 50, last);
    expect(second[0]?.offset).toBe(last.offset + 1);
  });

  const { endsAfter, updates, bad, failing } = cases;
  if (endsAfter !== null) {
    test(`${name} - it ends by itself and says so; behind its last offset there is nothing`, async () => {
      const source = cases.open();
      const sink = new Keep();
      await source.run(sink, null, new AbortController().signal);
      expect(sink.records.length).toBe(endsAfter);
      expect(source.status().state).toEqual({ name: "ended" });
      const rest = new Keep();
      await source.run(rest, endsAfter - 1, new AbortController().signal);
      expect(rest.records.length).toBe(0);
      expect(source.status().state).toEqual({ name: "ended" });
    });
  }

  if (updates !== undefined) {
    test(`${name} - a record has at most one update per channel, in whole milliseconds`, async () => {
      for (const record of await take(cases.open(), 1000)) {
        if (record.type !== "data") continue;
        const made = updates(record.value);
        expect(new Set(made.map(({ channel, user }) => `${channel} ${user}`)).size).toBe(made.length);
        expect(made.every(({ time }) => Number.isInteger(time) && time >= 0)).toBe(true);
      }
    });
  }

  if (bad !== undefined) {
    test(`${name} - bad input never stops it`, async () => {
      expect((await take(bad.open(), bad.records)).length).toBeGreaterThanOrEqual(bad.records);
    });
  }

  if (failing !== undefined) {
    test(`${name} - what cannot work rejects with a GatewayError and is failed`, async () => {
      const source = failing();
      const error = await source.run(new Keep(), null, new AbortController().signal).catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(GatewayError);
      const { state } = source.status();
      expect(state).toEqual({ name: "failed", reason: error instanceof GatewayError ? error.message : "" });
    });
  }
}
