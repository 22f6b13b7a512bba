/**
 * Adds up what the edge workers count, across their restarts.
 *
 * Invariants: totals never fall, although a new worker counts from zero; what describes the present (sessions, bytes
 * waiting) is forgotten with the worker that said it.
 */
import { RUNGS, type WorkerCounters } from "../ring/messages.ts";

export type EdgeSums = Omit<WorkerCounters, "loopLagMs">;

export interface EdgeTotals {
  /** The newest counters of a running worker. */
  update(worker: number, counters: WorkerCounters): void;
  /** The worker is gone: its totals stay, its sessions do not. */
  gone(worker: number): void;
  sums(): EdgeSums;
  /** Of a running worker; 0 if it has not said. */
  loopLagMs(worker: number): number;
}

export function createEdgeTotals(): EdgeTotals {
  let dead = NOTHING;
  const alive = new Map<number, WorkerCounters>();
  return {
    update: (worker, counters) => void alive.set(worker, counters),
    gone(worker) {
      const last = alive.get(worker);
      if (last !== undefined) dead = add(dead, { ...last, ...PRESENT });
      alive.delete(worker);
    },
    sums: () => [...alive.values()].reduce<EdgeSums>(add, dead),
    loopLagMs: (worker) => alive.get(worker)?.loopLagMs ?? 0,
  };
}

/** The fields that end with a worker. */
const PRESENT = { sessions: 0, subscriptions: 0, outboxBytes: 0, rungSessions: RUNGS.map(() => 0) };

const NOTHING: EdgeSums = { ...PRESENT, delivered: 0, deliveredBytes: 0, laps: 0, errors: {}, closes: {}, latency: {} };

function add(a: EdgeSums, b: EdgeSums): EdgeSums {
  return {
    sessions: a.sessions + b.sessions,
    subscriptions: a.subscriptions + b.subscriptions,
    delivered: a.delivered + b.delivered,
    deliveredBytes: a.deliveredBytes + b.deliveredBytes,
    laps: a.laps + b.laps,
    outboxBytes: a.outboxBytes + b.outboxBytes,
    errors: byKey(a.errors, b.errors, plus),
    closes: byKey(a.closes, b.closes, plus),
    rungSessions: inStep(a.rungSessions, b.rungSessions),
    latency: byKey(a.latency, b.latency, (one, other) => ({
      counts: inStep(one.counts, other.counts),
      sumUs: one.sumUs + other.sumUs,
    })),
  };
}

const plus = (a: number, b: number): number => a + b;

const inStep = (a: readonly number[], b: readonly number[]): number[] =>
  Array.from({ length: Math.max(a.length, b.length) }, (_, index) => (a[index] ?? 0) + (b[index] ?? 0));

function byKey<Value>(
  a: Readonly<Record<string, Value>>,
  b: Readonly<Record<string, Value>>,
  join: (one: Value, other: Value) => Value,
): Record<string, Value> {
  const joined: Record<string, Value> = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const before = joined[key];
    joined[key] = before === undefined ? value : join(before, value);
  }
  return joined;
}
