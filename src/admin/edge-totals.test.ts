import { expect, test } from "bun:test";
import { RUNGS, type WorkerCounters } from "../ring/messages.ts";
import { createEdgeTotals } from "./edge-totals.ts";

const counters = (n: number): WorkerCounters => ({
  sessions: n,
  subscriptions: 2 * n,
  delivered: 10 * n,
  deliveredBytes: 100 * n,
  laps: n,
  outboxBytes: n,
  errors: { 1203: n },
  closes: n > 1 ? { 1012: n } : {},
  rungSessions: RUNGS.map((_, at) => (at === 2 ? n : 0)),
  latency: { depth: { counts: [n, 0, 1], sumUs: 5 * n } },
  loopLagMs: n,
});

test("edge totals - workers are added up", () => {
  const totals = createEdgeTotals();
  totals.update(0, counters(1));
  totals.update(1, counters(2));
  expect(totals.sums()).toEqual({
    sessions: 3,
    subscriptions: 6,
    delivered: 30,
    deliveredBytes: 300,
    laps: 3,
    outboxBytes: 3,
    errors: { 1203: 3 },
    closes: { 1012: 2 },
    rungSessions: [0, 0, 3, 0, 0, 0, 0, 0],
    latency: { depth: { counts: [3, 0, 2], sumUs: 15 } },
  });
  expect([totals.loopLagMs(1), totals.loopLagMs(7)]).toEqual([2, 0]);
});

test("edge totals - a worker that dies leaves its totals and takes its sessions, and its successor adds to them", () => {
  const totals = createEdgeTotals();
  totals.update(0, counters(4));
  totals.gone(0);
  expect(totals.sums()).toMatchObject({
    sessions: 0,
    subscriptions: 0,
    outboxBytes: 0,
    delivered: 40,
    closes: { 1012: 4 },
  });
  expect(totals.sums().rungSessions).toEqual(RUNGS.map(() => 0));
  totals.update(0, counters(1));
  expect(totals.sums()).toMatchObject({ sessions: 1, delivered: 50, errors: { 1203: 5 } });
  totals.gone(0);
  totals.gone(0);
  expect(totals.sums()).toMatchObject({ sessions: 0, delivered: 50 });
});
