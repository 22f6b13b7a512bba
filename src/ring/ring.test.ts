import { expect, test } from "bun:test";
import { GatewayError } from "../lib/errors.ts";
import { createRing, RING_BYTES_MAX, RING_BYTES_MIN } from "./layout.ts";
import { Flag, RecordKind } from "./messages.ts";
import { createRingReader } from "./reader.ts";
import type { RecordFields, RingReader, RingRecord } from "./ring.ts";
import { createRingWriter } from "./writer.ts";

const KIB = 1024;
const TAIL = { startAt: "tail" } as const;

function pair(options: { bytes?: number; readers?: number; startUnits?: number } = {}) {
  const shared = createRing(options.bytes ?? 64 * KIB, options.readers ?? 2, { startUnits: options.startUnits ?? 0 });
  return { shared, writer: createRingWriter(shared), reader: createRingReader(shared, 0, TAIL) };
}

function readRecord(reader: RingReader): RingRecord {
  const record = reader.read();
  if (record === null || record === "lapped") throw new Error(`expected a record, got ${record}`);
  return record;
}

test("ring - every kind comes back with every field", () => {
  const { writer, reader } = pair();
  const all: (readonly [RecordKind, RecordFields, string])[] = [
    [RecordKind.ANNOUNCE, { topic: 7 }, '{"channel":"btcusdt@trade"}'],
    [RecordKind.PUBLISH, { topic: 7, flags: Flag.MANY, seq: 2 ** 53 - 1, receivedUs: 1795321303826123 }, "a\nb"],
    [RecordKind.DIRECT, { worker: 0, topic: 2 ** 32 - 1, request: 2 ** 32 - 2, seq: 5 }, '{"is":"joined"}\nframe'],
    [RecordKind.TICK, { topic: 0b10000101 }, ""],
    [RecordKind.CONTROL, {}, '{"do":"fresh","topic":7}'],
  ];
  for (const [kind, fields, payload] of all) writer.write(kind, fields, payload);
  expect(reader.read()).toBeNull();
  writer.notify();
  for (const [kind, fields, payload] of all) {
    expect(readRecord(reader)).toEqual({
      kind,
      flags: fields.flags ?? 0,
      worker: fields.worker ?? 0,
      topic: fields.topic ?? 0,
      request: fields.request ?? 0,
      seq: fields.seq ?? 0,
      receivedUs: fields.receivedUs ?? 0,
      text: payload,
    });
  }
  expect(reader.read()).toBeNull();
});

test("ring - text of every width comes back as it was, small and large", () => {
  const { writer, reader } = pair({ bytes: 1024 * KIB });
  const pieces = ["x", "é", "ÿ", "€", "漢", "\u{1F600}", "\u0000", "\n"];
  for (const piece of pieces) {
    for (const length of [1, 2, 7, 8, 9, 1023, 1024, 1025, 20_000]) {
      const text = piece.repeat(length);
      writer.write(RecordKind.PUBLISH, {}, `${text}{"mixed":"${piece}"}`);
      writer.notify();
      expect(readRecord(reader).text).toBe(`${text}{"mixed":"${piece}"}`);
    }
  }
});

test("ring - a lone surrogate becomes U+FFFD, as in every encoder", () => {
  const { writer, reader } = pair();
  writer.write(RecordKind.PUBLISH, {}, "a\ud800b");
  writer.notify();
  expect(readRecord(reader).text).toBe("a\ufffdb");
});

test("ring - records of exactly an eighth fill the ring without padding, and are all readable while reserved room lasts", () => {
  const { writer, reader } = pair();
  const text = "m".repeat(writer.recordBytesMax);
  for (let lap = 0; lap < 3; lap++) {
    for (let i = 0; i < 8; i++) {
      writer.write(RecordKind.PUBLISH, { seq: i }, text);
      writer.notify();
      const record = readRecord(reader);
      expect([record.seq, record.text]).toEqual([i, text]);
    }
    expect(writer.written).toBe((lap + 1) * writer.capacityBytes);
  }
});

test("ring - a record that does not fit before the end goes to the start, behind padding", () => {
  const { writer, reader } = pair();
  const text = "p".repeat(5000);
  for (let seq = 0; seq < 100; seq++) {
    writer.write(RecordKind.PUBLISH, { seq }, text);
    writer.notify();
    const record = readRecord(reader);
    expect([record.seq, record.text]).toEqual([seq, text]);
  }
  expect(writer.written).toBeGreaterThan(100 * 5032);
});

test("ring - a payload over an eighth of the ring is refused and nothing is written", () => {
  const { writer, reader } = pair();
  expect(writer.recordBytesMax).toBe(8 * KIB - 32);
  for (const text of ["x".repeat(writer.recordBytesMax + 1), "€".repeat(Math.ceil(writer.recordBytesMax / 3) + 1)]) {
    let error: unknown = null;
    try {
      writer.write(RecordKind.PUBLISH, {}, text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(GatewayError);
    expect((error as GatewayError).code).toBe("RING_RECORD_TOO_BIG");
  }
  expect(writer.written).toBe(0);
  writer.write(RecordKind.PUBLISH, { seq: 1 }, "fits");
  writer.notify();
  expect(readRecord(reader).text).toBe("fits");
});

test("ring - sizes out of bounds are refused, others rounded up to a power of two", () => {
  for (const bytes of [0, RING_BYTES_MIN - 1, RING_BYTES_MAX * 2, Number.NaN]) {
    expect(() => createRing(bytes, 1)).toThrow(GatewayError);
  }
  expect(createRingWriter(createRing(RING_BYTES_MIN, 1)).capacityBytes).toBe(64 * KIB);
  expect(createRingWriter(createRing(RING_BYTES_MIN + 1, 1)).capacityBytes).toBe(128 * KIB);
});

test("ring - a reader over one capacity behind is told once and goes on with what is written next", () => {
  const { writer, reader } = pair();
  for (let seq = 0; seq < 500; seq++) writer.write(RecordKind.PUBLISH, { seq }, "z".repeat(200));
  writer.notify();
  expect(reader.read()).toBe("lapped");
  expect(reader.read()).toBeNull();
  writer.write(RecordKind.PUBLISH, { seq: 1000 }, "after");
  writer.notify();
  const record = readRecord(reader);
  expect([record.seq, record.text]).toEqual([1000, "after"]);
});

test("ring - a record overwritten before it was made visible again is never used, whatever bytes lie there", () => {
  const { writer, reader } = pair();
  writer.write(RecordKind.PUBLISH, { seq: 1 }, "first");
  writer.notify();
  // 64 KiB of digits: read as a header they are lengths and kinds out of every bound.
  const text = "99999999".repeat(1000);
  for (let i = 0; i < 9; i++) writer.write(RecordKind.PUBLISH, { seq: 2 + i }, text);
  expect(reader.read()).toBe("lapped");
});

test("ring - DIRECT records for other workers are skipped", () => {
  const { shared, writer, reader } = pair();
  const other = createRingReader(shared, 1, TAIL);
  writer.write(RecordKind.DIRECT, { worker: 1, request: 11 }, "for one");
  writer.write(RecordKind.DIRECT, { worker: 0, request: 12 }, "for zero");
  writer.write(RecordKind.PUBLISH, { seq: 3 }, "for all");
  writer.notify();
  expect(readRecord(reader).text).toBe("for zero");
  expect(readRecord(reader).text).toBe("for all");
  expect(readRecord(other).text).toBe("for one");
  expect(readRecord(other).text).toBe("for all");
});

test("ring - positions wrap at 2^32 units without losing or lapping anything", () => {
  const { writer, reader } = pair({ startUnits: 2 ** 32 - 1000 });
  for (let seq = 0; seq < 2000; seq++) {
    writer.write(RecordKind.PUBLISH, { seq }, `number ${seq}`);
    if (seq % 7 !== 6) continue;
    writer.notify();
    for (let i = 6; i >= 0; i--) expect(readRecord(reader).seq).toBe(seq - i);
    expect(reader.read()).toBeNull();
    expect(writer.lagBytes()).toBe(0);
  }
  for (let seq = 0; seq < 2000; seq++) writer.write(RecordKind.PUBLISH, { seq }, `number ${seq}`);
  writer.notify();
  expect(reader.read()).toBe("lapped");
});

test("ring - a lap across the wrap at 2^32 units is seen", () => {
  const { writer, reader } = pair({ startUnits: 2 ** 32 - 1000 });
  for (let seq = 0; seq < 2000; seq++) writer.write(RecordKind.PUBLISH, { seq }, `number ${seq}`);
  writer.notify();
  expect(reader.read()).toBe("lapped");
});

test("ring - a new reader starts at the tail", () => {
  const { shared, writer } = pair();
  writer.write(RecordKind.PUBLISH, { seq: 1 }, "before");
  writer.notify();
  const late = createRingReader(shared, 1, TAIL);
  expect(late.read()).toBeNull();
  writer.write(RecordKind.PUBLISH, { seq: 2 }, "after");
  writer.notify();
  expect(readRecord(late).seq).toBe(2);
});

test("ring - lag is that of the slowest reader that is alive and not lapped", () => {
  const { shared, writer, reader } = pair();
  const slow = createRingReader(shared, 1, TAIL);
  expect(writer.lagBytes()).toBe(0);
  for (let seq = 0; seq < 10; seq++) writer.write(RecordKind.TICK, {}, "");
  writer.notify();
  expect(writer.lagBytes()).toBe(10 * 32);
  while (reader.read() !== null);
  expect(writer.lagBytes()).toBe(10 * 32);
  for (let i = 0; i < 4; i++) slow.read();
  expect(writer.lagBytes()).toBe(6 * 32);
  writer.removeReader(1);
  expect(writer.lagBytes()).toBe(0);
  slow.attach();
  writer.write(RecordKind.TICK, {}, "");
  expect(writer.lagBytes()).toBe(32);
  writer.notify();
  while (reader.read() !== null);
  for (let seq = 0; seq < 4000; seq++) {
    writer.write(RecordKind.TICK, {}, "");
    writer.notify();
    while (reader.read() !== null);
  }
  expect(writer.lagBytes()).toBe(0);
  expect(slow.read()).toBe("lapped");
  reader.detach();
  slow.detach();
  writer.write(RecordKind.TICK, {}, "");
  expect(writer.lagBytes()).toBe(0);
});

test("ring - beats are counted per worker", () => {
  const { shared, writer, reader } = pair();
  const other = createRingReader(shared, 1, TAIL);
  reader.beat();
  reader.beat();
  other.beat();
  expect([writer.beats(0), writer.beats(1)]).toEqual([2, 1]);
});

test("ring - wait settles at once if something is there, and on notify otherwise, from one waiter only", async () => {
  const { writer, reader } = pair();
  writer.write(RecordKind.TICK, { topic: 1 }, "");
  writer.notify();
  await reader.wait();
  expect(readRecord(reader).topic).toBe(1);
  expect(reader.read()).toBeNull();

  const first = reader.wait();
  expect(reader.wait()).toBe(first);
  writer.write(RecordKind.TICK, { topic: 2 }, "");
  writer.notify();
  await first;
  expect(readRecord(reader).topic).toBe(2);
  expect(reader.read()).toBeNull();
  expect(reader.wait()).not.toBe(first);
  writer.write(RecordKind.TICK, { topic: 3 }, "");
  writer.notify();
});

test("ring - nothing written between the last empty read and the wait is slept over", async () => {
  const { writer, reader } = pair();
  for (let turn = 1; turn <= 1000; turn++) {
    expect(reader.read()).toBeNull();
    writer.write(RecordKind.TICK, { topic: turn }, "");
    writer.notify();
    await reader.wait();
    expect(readRecord(reader).topic).toBe(turn);
  }
});

test("ring - a batch too long for one wake becomes visible before it laps its readers", () => {
  const { writer, reader } = pair();
  let seen = 0;
  for (let seq = 0; seq < 5000; seq++) {
    writer.write(RecordKind.PUBLISH, { seq }, "q".repeat(100));
    for (;;) {
      const record = reader.read();
      if (record === null) break;
      if (record === "lapped") throw new Error("lapped");
      expect(record.seq).toBe(seen++);
    }
  }
  writer.notify();
  while (reader.read() !== null) seen++;
  expect(seen).toBe(5000);
});
