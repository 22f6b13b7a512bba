/** Worker of the overrun test: reads as slowly as asked, checks every record it is given, reports when told to stop. */
import { isWhole } from "./overrun-content.ts";
import { createRingReader } from "./reader.ts";

declare const self: Worker;

export interface OverrunStart {
  readonly ring: SharedArrayBuffer;
  readonly worker: number;
  /** One word: 1 = stop; then a word a worker: records read so far. */
  readonly stop: SharedArrayBuffer;
  /** Turns of an empty loop after each record. */
  readonly slowness: number;
}

export interface OverrunReport {
  readonly read: number;
  readonly laps: number;
  readonly torn: number;
  readonly backwards: number;
}

self.onmessage = (event: MessageEvent<OverrunStart>) => {
  const { ring, worker, slowness } = event.data;
  const stop = new Int32Array(event.data.stop);
  const reader = createRingReader(ring, worker, { startAt: "tail" });
  postMessage("ready");
  const report = { read: 0, laps: 0, torn: 0, backwards: 0 };
  let last = -1;
  let spin = 0;
  while (Atomics.load(stop, 0) === 0) {
    const record = reader.read();
    if (record === null) continue;
    if (record === "lapped") {
      report.laps++;
      continue;
    }
    report.read++;
    Atomics.store(stop, 1 + worker, report.read);
    if (!isWhole(record)) report.torn++;
    if (record.seq <= last) report.backwards++;
    last = record.seq;
    for (let turn = 0; turn < slowness; turn++) spin = (spin + turn) | 0;
  }
  postMessage(report satisfies OverrunReport);
};
