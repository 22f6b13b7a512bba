import { expect, test } from "bun:test";
import { createRing } from "./layout.ts";
import { RecordKind } from "./messages.ts";
import { fieldsOf, TEXTS, textOf } from "./overrun-content.ts";
import type { OverrunReport, OverrunStart } from "./overrun-reader.ts";
import { createRingWriter } from "./writer.ts";

const RUN_MS = 1000;
/** A starved reader gets more time, so that the test always says something. */
const RUN_MS_MAX = 15_000;
const READ_MIN = 100;

test("ring - a writer that laps its readers at full speed never makes one use a torn record", async () => {
  const slownesses = [0, 2_000];
  const ring = createRing(64 * 1024, slownesses.length);
  // The stop word, then what each reader has read so far.
  const stop = new SharedArrayBuffer(4 * (1 + slownesses.length));
  const progress = new Int32Array(stop, 4);
  const workers = slownesses.map(() => new Worker(new URL("./overrun-reader.ts", import.meta.url).href));
  try {
    const ready = workers.map((worker) => nextMessage(worker));
    workers.forEach((worker, index) => {
      worker.postMessage({ ring, worker: index, stop, slowness: slownesses[index]! } satisfies OverrunStart);
    });
    await Promise.all(ready);

    // Made beforehand: the writer itself shall be as fast as it can.
    const texts = Array.from({ length: TEXTS }, (_, seq) => textOf(seq));
    const writer = createRingWriter(ring);
    const reports = workers.map((worker) => nextMessage(worker) as Promise<OverrunReport>);
    const start = performance.now();
    const starved = (): boolean => slownesses.some((_, index) => Atomics.load(progress, index) <= READ_MIN);
    const goOn = (ranMs: number): boolean => ranMs < RUN_MS || (ranMs < RUN_MS_MAX && starved());
    let seq = 0;
    while (goOn(performance.now() - start)) {
      for (let batch = 0; batch < 16; batch++, seq++) {
        writer.write(RecordKind.PUBLISH, fieldsOf(seq), texts[seq & (TEXTS - 1)]!);
      }
      writer.notify();
    }
    Atomics.store(new Int32Array(stop), 0, 1);
    for (const report of await Promise.all(reports)) {
      expect(report.torn).toBe(0);
      expect(report.backwards).toBe(0);
      expect(report.laps).toBeGreaterThan(0);
      expect(report.read).toBeGreaterThan(READ_MIN);
    }
  } finally {
    for (const worker of workers) worker.terminate();
  }
}, 30_000);

function nextMessage(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.onmessage = (event) => resolve(event.data);
    worker.onerror = (event) => reject(new Error(event.message));
  });
}
