/**
 * What a worker counts, as it is posted to main every second.
 *
 * Invariants: totals never fall; counting allocates nothing once the label exists. Latency is from a record's receipt to
 * the end of the flush that wrote it to the sockets, weighted by the sessions that got it.
 */
import { LATENCY_BUCKETS_US, type WorkerCounters } from "../ring/messages.ts";

export interface LatencySums {
  readonly counts: readonly number[];
  readonly sumUs: number;
}

const KINDS: ReadonlyMap<string, string> = new Map([
  ["depth5", "partialDepth"],
  ["depth10", "partialDepth"],
  ["depth20", "partialDepth"],
  ["forceOrder", "liquidation"],
]);
const PLAIN_KINDS = new Set("trade aggTrade depth bookTicker ticker miniTicker markPrice index funding".split(" "));

/** The metric label of a channel name. */
export function kindLabel(channel: string): string {
  const stream = channel.slice(channel.lastIndexOf("@") + 1);
  if (stream.startsWith("kline_")) return "kline";
  return KINDS.get(stream) ?? (PLAIN_KINDS.has(stream) ? stream : "json");
}

/** Counts that the hub keeps itself. */
interface Population {
  readonly sessions: { readonly length: number };
  readonly subscriptions: number;
  rungSessions(): number[];
}

/** What the slow policy knows of all outboxes. */
interface OutboxView {
  readonly outboxBytes: number;
  /** The most since the last call. */
  takeAgeMs(): number;
}

class Histogram {
  readonly counts: number[] = new Array<number>(LATENCY_BUCKETS_US.length + 1).fill(0);
  sumUs = 0;

  add(us: number, weight: number): void {
    let bucket = 0;
    while (bucket < LATENCY_BUCKETS_US.length && us > LATENCY_BUCKETS_US[bucket]!) bucket++;
    this.counts[bucket]! += weight;
    this.sumUs += us * weight;
  }
}

export class Counters {
  delivered = 0;
  deliveredBytes = 0;
  laps = 0;
  loopLagMs = 0;
  readonly errors: Record<string, number> = {};
  readonly closes: Record<string, number> = {};
  readonly limits: Record<string, number> = {};
  readonly slow: Record<string, number> = {};
  readonly #latency = new Map<string, Histogram>();
  /** Publications of the flush that is being written: three arrays in step, reused. */
  readonly #kinds: Histogram[] = [];
  readonly #receivedUs: number[] = [];
  readonly #weights: number[] = [];
  #unsettled = 0;

  error(code: number): void {
    this.errors[code] = (this.errors[code] ?? 0) + 1;
  }

  close(code: number): void {
    this.closes[code] = (this.closes[code] ?? 0) + 1;
  }

  /** A limit (its name in EdgeLimits) refused something. */
  limited(limit: string, times = 1): void {
    this.limits[limit] = (this.limits[limit] ?? 0) + times;
  }

  /** Something was done about a slow session. */
  slowed(action: string, times = 1): void {
    this.slow[action] = (this.slow[action] ?? 0) + times;
  }

  /** The histogram to hand to `published`; looked up once per topic. */
  histogram(channel: string): Histogram {
    const label = kindLabel(channel);
    let found = this.#latency.get(label);
    if (found === undefined) {
      found = new Histogram();
      this.#latency.set(label, found);
    }
    return found;
  }

  /** A publication went out to `sessions`; its latency is known when the flush ends. */
  published(histogram: Histogram, receivedUs: number, sessions: number): void {
    const at = this.#unsettled++;
    this.#kinds[at] = histogram;
    this.#receivedUs[at] = receivedUs;
    this.#weights[at] = sessions;
  }

  /** The flush ended. */
  settle(nowUs: number): void {
    for (let at = 0; at < this.#unsettled; at++) {
      this.#kinds[at]!.add(Math.max(0, nowUs - this.#receivedUs[at]!), this.#weights[at]!);
    }
    this.#unsettled = 0;
  }

  report(population: Population, outboxes: OutboxView): WorkerCounters {
    return {
      sessions: population.sessions.length,
      subscriptions: population.subscriptions,
      delivered: this.delivered,
      deliveredBytes: this.deliveredBytes,
      laps: this.laps,
      outboxBytes: outboxes.outboxBytes,
      outboxAgeMs: outboxes.takeAgeMs(),
      errors: { ...this.errors },
      closes: { ...this.closes },
      limited: { ...this.limits },
      slow: { ...this.slow },
      rungSessions: population.rungSessions(),
      latency: this.#latencySums(),
      loopLagMs: this.loopLagMs,
    };
  }

  #latencySums(): Record<string, LatencySums> {
    const all: Record<string, LatencySums> = {};
    for (const [label, { counts, sumUs }] of this.#latency) all[label] = { counts: counts.slice(), sumUs };
    return all;
  }
}

export type LatencyHistogram = Histogram;
