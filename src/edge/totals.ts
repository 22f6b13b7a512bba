/**
 * The counters of all workers together.
 *
 * Invariants: totals of workers that are gone stay in the sum, so no total ever falls; what is a state and no total
 * (sessions, subscriptions, outbox) is that of the living.
 */
import { RUNGS, type WorkerCounters } from "../ring/messages.ts";

export interface EdgeTotals extends WorkerCounters {
  /** Workers started again. */
  readonly restarts: number;
}

type Counts = Readonly<Record<string, number>>;
type Latency = WorkerCounters["latency"];

const NOTHING: WorkerCounters = {
  sessions: 0,
  subscriptions: 0,
  delivered: 0,
  deliveredBytes: 0,
  laps: 0,
  outboxBytes: 0,
  outboxAgeMs: 0,
  errors: {},
  closes: {},
  limited: {},
  slow: {},
  rungSessions: RUNGS.map(() => 0),
  latency: {},
  loopLagMs: 0,
};

/** Close code that the clients of a worker see when it dies. */
const GOING_AWAY = "1001";

export class Totals {
  readonly #living = new Map<number, WorkerCounters>();
  #retired = NOTHING;
  #restarts = 0;

  update(worker: number, counters: WorkerCounters): void {
    this.#living.set(worker, counters);
  }

  /** The worker is gone: its totals stay, its sessions were closed. */
  retire(worker: number): void {
    const last = this.#living.get(worker);
    if (last === undefined) return;
    this.#living.delete(worker);
    const closes = addCounts(last.closes, last.sessions > 0 ? { [GOING_AWAY]: last.sessions } : {});
    const { rungSessions } = NOTHING;
    const ended = {
      ...last,
      sessions: 0,
      subscriptions: 0,
      outboxBytes: 0,
      outboxAgeMs: 0,
      loopLagMs: 0,
      rungSessions,
      closes,
    };
    this.#retired = add(this.#retired, ended);
  }

  restarted(): void {
    this.#restarts++;
  }

  /** Of a running worker; 0 if it has not said. */
  loopLagMs(worker: number): number {
    return this.#living.get(worker)?.loopLagMs ?? 0;
  }

  sum(): EdgeTotals {
    let sum = this.#retired;
    for (const counters of this.#living.values()) sum = add(sum, counters);
    return { ...sum, restarts: this.#restarts };
  }
}

function add(a: WorkerCounters, b: WorkerCounters): WorkerCounters {
  return {
    sessions: a.sessions + b.sessions,
    subscriptions: a.subscriptions + b.subscriptions,
    delivered: a.delivered + b.delivered,
    deliveredBytes: a.deliveredBytes + b.deliveredBytes,
    laps: a.laps + b.laps,
    outboxBytes: a.outboxBytes + b.outboxBytes,
    outboxAgeMs: Math.max(a.outboxAgeMs, b.outboxAgeMs),
    errors: addCounts(a.errors, b.errors),
    closes: addCounts(a.closes, b.closes),
    limited: addCounts(a.limited, b.limited),
    slow: addCounts(a.slow, b.slow),
    rungSessions: a.rungSessions.map((sessions, at) => sessions + (b.rungSessions[at] ?? 0)),
    latency: addLatency(a.latency, b.latency),
    loopLagMs: Math.max(a.loopLagMs, b.loopLagMs),
  };
}

function addCounts(a: Counts, b: Counts): Counts {
  const sum: Record<string, number> = { ...a };
  for (const [label, count] of Object.entries(b)) sum[label] = (sum[label] ?? 0) + count;
  return sum;
}

function addLatency(a: Latency, b: Latency): Latency {
  const sum: Record<string, Latency[string]> = { ...a };
  for (const [kind, { counts, sumUs }] of Object.entries(b)) {
    const known = sum[kind];
    if (known === undefined) sum[kind] = { counts, sumUs };
    else sum[kind] = { counts: known.counts.map((n, at) => n + (counts[at] ?? 0)), sumUs: known.sumUs + sumUs };
  }
  return sum;
}
