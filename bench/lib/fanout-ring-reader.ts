/** Worker of bench/ring.ts: reads the ring as an edge worker does and reports counts and write-to-read times. */
import { RecordKind } from "../../src/ring/messages.ts";
import { createRingReader } from "../../src/ring/mod.ts";

declare const self: Worker;

export interface RingReaderStart {
  readonly ring: SharedArrayBuffer;
  readonly worker: number;
}

/** Sent when a CONTROL record says that the round is over. */
export interface RingReaderReport {
  readonly records: number;
  readonly bytes: number;
  readonly laps: number;
  /** Write-to-read times of the records that carry one, microseconds, sorted. */
  readonly latenciesUs: Float64Array;
}

const LATENCIES_MAX = 1_000_000;
const nowUs = (): number => (performance.timeOrigin + performance.now()) * 1000;

self.onmessage = async (event: MessageEvent<RingReaderStart>) => {
  const reader = createRingReader(event.data.ring, event.data.worker, { startAt: "tail" });
  const latencies = new Float64Array(LATENCIES_MAX);
  let timed = 0;
  let records = 0;
  let bytes = 0;
  let laps = 0;
  postMessage("ready");
  for (;;) {
    const record = reader.read();
    if (record === null) {
      await reader.wait();
    } else if (record === "lapped") {
      laps++;
    } else if (record.kind === RecordKind.CONTROL) {
      const latenciesUs = latencies.slice(0, timed).sort();
      postMessage({ records, bytes, laps, latenciesUs } satisfies RingReaderReport);
      timed = records = bytes = laps = 0;
    } else {
      records++;
      bytes += record.text.length;
      if (record.receivedUs > 0 && timed < LATENCIES_MAX) latencies[timed++] = nowUs() - record.receivedUs;
    }
  }
};
