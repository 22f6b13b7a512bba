/**
 * Everything a load run counts. One per process; those of several processes add up to the run's.
 *
 * Invariants: a fault is something a correct node and a correct network never do; what a node tells (gaps, stale,
 * cadence, closes) is counted apart and is never a fault.
 */
import { Histogram, type HistogramWire } from "./histogram.ts";

/**
 * `chain`: a publication is missing between two, and nobody said so. `order`: one came twice or backwards.
 * `ids`: a trade is missing, doubled or out of order by its id. `book`: crossed, or not the book another session or the
 * node itself has at the same seq. `frame`: not WebSocket, not JSON, or not the dialect.
 */
export const FAULTS = ["chain", "order", "ids", "book", "frame"] as const;
export type Fault = (typeof FAULTS)[number];

const HISTOGRAMS = ["connect", "subscribe", "latency", "source", "slow"] as const;

const COUNTS = [
  // connecting
  "attempts",
  "opened",
  "failed",
  "open",
  "reconnects",
  "subscribed",
  "refused",
  "recovered",
  "notRecovered",
  // receiving; `measured*` only in the window
  "messages",
  "bytes",
  "measuredMessages",
  "measuredBytes",
  "pings",
  // told by the node
  "gaps",
  "gapsUnknown",
  "missed",
  "stale",
  "cadences",
  "drains",
  // verified
  "links",
  "overlaps",
  "ids",
  "books",
  "compared",
] as const;
export type Count = (typeof COUNTS)[number];

const SAMPLES_MAX = 20;

export interface TallyWire {
  readonly counts: Readonly<Record<Count, number>>;
  readonly faults: Readonly<Record<Fault, number>>;
  readonly samples: readonly string[];
  readonly closes: Readonly<Record<string, number>>;
  readonly failures: Readonly<Record<string, number>>;
  readonly refusals: Readonly<Record<string, number>>;
  readonly histograms: Readonly<Record<(typeof HISTOGRAMS)[number], HistogramWire>>;
  /** Of the process. */
  readonly memory: { readonly startBytes: number; readonly bytes: number };
  readonly cpuSeconds: number;
  readonly measuredSeconds: number;
}

const zeroes = <Name extends string>(names: readonly Name[]): Record<Name, number> =>
  Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;

export class Tally {
  readonly counts = zeroes(COUNTS);
  readonly faults = zeroes(FAULTS);
  /** The first faults as sentences. */
  readonly samples: string[] = [];
  /** Sessions that ended by the other side, by close code and reason. */
  readonly closes: Record<string, number> = {};
  /** Connections that were never opened, by why. */
  readonly failures: Record<string, number> = {};
  /** Channels that were refused, by why. */
  readonly refusals: Record<string, number> = {};
  readonly connect = new Histogram();
  readonly subscribe = new Histogram();
  /** From the node's encoding (`sentUs`, `E`) to our read, of healthy sessions in the window. */
  readonly latency = new Histogram();
  /** From the source's own wall clock in the data (`"ts"`), likewise. */
  readonly source = new Histogram();
  /** As `latency`, of slow sessions. */
  readonly slow = new Histogram();
  startBytes = process.memoryUsage.rss();
  bytes = this.startBytes;
  measuredSeconds = 0;
  /** User and system time of the process in the window. */
  cpuSeconds = 0;

  fault(kind: Fault, sentence: () => string): void {
    this.faults[kind] += 1;
    if (this.samples.length < SAMPLES_MAX) this.samples.push(`${kind}: ${sentence()}`);
  }

  get allFaults(): number {
    return FAULTS.reduce((sum, kind) => sum + this.faults[kind], 0);
  }

  wire(): TallyWire {
    const { counts, faults, samples, closes, failures, refusals, startBytes, bytes, measuredSeconds, cpuSeconds } =
      this;
    const histograms = Object.fromEntries(
      HISTOGRAMS.map((name) => [name, this[name].wire()]),
    ) as TallyWire["histograms"];
    const memory = { startBytes, bytes };
    return { counts, faults, samples, closes, failures, refusals, histograms, memory, measuredSeconds, cpuSeconds };
  }

  merge(other: TallyWire): void {
    addTo(this.counts, other.counts);
    addTo(this.faults, other.faults);
    addTo(this.closes, other.closes);
    addTo(this.failures, other.failures);
    addTo(this.refusals, other.refusals);
    for (const sample of other.samples) if (this.samples.length < SAMPLES_MAX) this.samples.push(sample);
    for (const name of HISTOGRAMS) this[name].merge(other.histograms[name]);
    this.startBytes += other.memory.startBytes;
    this.bytes += other.memory.bytes;
    this.cpuSeconds += other.cpuSeconds;
    this.measuredSeconds = Math.max(this.measuredSeconds, other.measuredSeconds);
  }
}

/** The run's tally out of those of its processes. */
export function merged(wires: readonly TallyWire[]): Tally {
  const tally = new Tally();
  tally.startBytes = 0;
  tally.bytes = 0;
  for (const wire of wires) tally.merge(wire);
  return tally;
}

function addTo(into: Record<string, number>, from: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(from)) into[name] = (into[name] ?? 0) + count;
}
