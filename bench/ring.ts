/**
 * Benchmark: the ring between the engine and the edge workers.
 *
 * Measures (a) the writer alone, (b) writer and one reading worker as fast as the reader follows, (c) write-to-read time
 * across threads at a steady rate, woken by notify. Expected: every record written is read once, none lapped.
 */
import { parseArgs } from "node:util";
import { Flag, RecordKind } from "../src/ring/messages.ts";
import { createRing, createRingWriter, RING_BYTES_DEFAULT, type RingWriter } from "../src/ring/mod.ts";
import { fixed, grouped, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";
import type { RingReaderReport, RingReaderStart } from "./lib/fanout-ring-reader.ts";

const PAYLOAD_BYTES = 180;
const BATCH = 100;
const STEADY_PER_SECOND = 10_000;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log("bun bench/ring.ts [--rounds 5] [--seconds 3]");
  process.exit(0);
}
const millis = Number(values.seconds) * 1000;
const payload = `"type":"value","prev":1000000000000,"seq":1000000000001,"data":{"pad":"`
  .padEnd(PAYLOAD_BYTES - 3, "x")
  .concat('"}}');
const nowUs = (): number => (performance.timeOrigin + performance.now()) * 1000;

interface Round {
  readonly writerPerSecond: number;
  readonly throughPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly faults: readonly string[];
}

const rounds: Round[] = [];
for (let index = 0; index < Number(values.rounds); index++) {
  const round = await measure();
  rounds.push(round);
  console.log(
    `round ${index + 1}: writer alone ${grouped(round.writerPerSecond)} records/s, through to a worker ` +
      `${grouped(round.throughPerSecond)} records/s, write-to-read p50 ${fixed(round.p50Us, 1)} us, ` +
      `p99 ${fixed(round.p99Us, 1)} us, p99.9 ${fixed(round.p999Us, 1)} us${round.faults.map((fault) => `  FAULT: ${fault}`).join("")}`,
  );
}
await report();

/** Each figure has a ring and a worker of its own: garbage of the one would be in the other's times. */
async function measure(): Promise<Round> {
  const writerPerSecond = full(createRingWriter(createRing(RING_BYTES_DEFAULT, 1)));
  const through = await withReader(follow);
  const timed = await withReader(steady);
  const quantile = (q: number): number => timed.latenciesUs[Math.floor(q * timed.latenciesUs.length)] ?? Number.NaN;
  return {
    writerPerSecond,
    throughPerSecond: (through.records / through.millis) * 1000,
    p50Us: quantile(0.5),
    p99Us: quantile(0.99),
    p999Us: quantile(0.999),
    faults: [...through.faults, ...timed.faults],
  };
}

interface Outcome extends RingReaderReport {
  readonly millis: number;
  readonly faults: readonly string[];
}

/** Lets `produce` write for a reading worker; it returns how many records it wrote. */
async function withReader(produce: (writer: RingWriter) => Promise<number>): Promise<Outcome> {
  const ring = createRing(RING_BYTES_DEFAULT, 1);
  const writer = createRingWriter(ring);
  const worker = new Worker(new URL("./lib/fanout-ring-reader.ts", import.meta.url).href);
  try {
    const ready = nextMessage(worker);
    worker.postMessage({ ring, worker: 0 } satisfies RingReaderStart);
    await ready;
    const start = performance.now();
    const written = await produce(writer);
    const answer = nextMessage(worker) as Promise<RingReaderReport>;
    writer.write(RecordKind.CONTROL, {}, "");
    writer.notify();
    const report = await answer;
    const faults = [
      ...(report.records === written ? [] : [`${written} written, ${report.records} read`]),
      ...(report.laps === 0 ? [] : [`${report.laps} laps`]),
    ];
    return { ...report, millis: performance.now() - start, faults };
  } finally {
    worker.terminate();
  }
}

function write(writer: RingWriter, seq: number, receivedUs: number): void {
  writer.write(RecordKind.PUBLISH, { topic: seq & 1023, flags: Flag.MANY, seq, receivedUs }, payload);
}

function writeBatch(writer: RingWriter, written: number): number {
  for (let i = 1; i <= BATCH; i++) write(writer, written + i, 0);
  writer.notify();
  return written + BATCH;
}

/** As fast as one thread can, with nobody reading; records per second. */
function full(writer: RingWriter): number {
  let written = 0;
  const start = performance.now();
  while (performance.now() - start < millis) written = writeBatch(writer, written);
  return (written / (performance.now() - start)) * 1000;
}

/** As fast as the reader follows. */
async function follow(writer: RingWriter): Promise<number> {
  let written = 0;
  const start = performance.now();
  while (performance.now() - start < millis) {
    if (writer.lagBytes() <= writer.capacityBytes / 2) written = writeBatch(writer, written);
  }
  return written;
}

/** Every millisecond what is due, notified once, as the engine does. */
async function steady(writer: RingWriter): Promise<number> {
  let written = 0;
  const start = performance.now();
  for (;;) {
    const elapsed = performance.now() - start;
    if (elapsed >= millis) return written;
    const due = Math.floor((elapsed * STEADY_PER_SECOND) / 1000);
    while (written < due) write(writer, ++written, nowUs());
    writer.notify();
    await Bun.sleep(1);
  }
}

function nextMessage(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.onmessage = (event) => resolve(event.data);
    worker.onerror = (event) => reject(new Error(event.message));
  });
}

async function report(): Promise<void> {
  const pick = (of: (round: Round) => number): number => median(rounds.map(of));
  const writer = pick((round) => round.writerPerSecond);
  const through = pick((round) => round.throughPerSecond);
  const p50 = pick((round) => round.p50Us);
  const p99 = pick((round) => round.p99Us);
  const head = ["medians", "writer/s", "through/s", "p50 us", "p99 us", "p99.9 us"];
  const row = [
    "ring",
    grouped(writer),
    grouped(through),
    fixed(p50, 1),
    fixed(p99, 1),
    fixed(
      pick((round) => round.p999Us),
      1,
    ),
  ];
  console.log(`\n${table(head, [row])}\n`);
  const summary: SummaryRow[] = [
    { what: "ring, writer alone", value: `${grouped(writer)} records/s`, aim: "", met: null },
    { what: "ring, through to a worker", value: `${grouped(through)} records/s`, aim: "", met: null },
    { what: "ring, write to read", value: `p50 ${fixed(p50, 0)} us, p99 ${fixed(p99, 0)} us`, aim: "", met: null },
  ];
  await save("ring", { options: values, summary, rounds });
  const faults = rounds.flatMap((round) => round.faults);
  if (faults.length > 0) throw new Error(`records were lost: ${faults.join("; ")}`);
}
