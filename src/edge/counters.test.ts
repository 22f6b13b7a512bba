/** Counting: labels, latency, totals over workers that come and go. */
import { expect, test } from "bun:test";
import type { WorkerCounters } from "../ring/messages.ts";
import { Counters, kindLabel } from "./counters.ts";
import { Totals } from "./totals.ts";

const nobody = { sessions: [], subscriptions: 0, rungSessions: () => [0, 0, 0, 0, 0, 0, 0, 0] };

const outboxes = (outboxBytes: number) => ({ outboxBytes, takeAgeMs: () => 0 });

test("counters - a channel's metric label is its kind", () => {
  const names = ["btcusdt@trade", "usdm:btcusdt@depth", "btcusdt@depth20", "btcusdt@kline_1M", "c0", "x@forceOrder"];
  expect(names.map(kindLabel)).toEqual(["trade", "depth", "partialDepth", "kline", "json", "liquidation"]);
  expect(kindLabel("a@constructor")).toBe("json");
});

test("counters - latency is up to the end of the flush, weighted by sessions", () => {
  const counters = new Counters();
  const trade = counters.histogram("btcusdt@trade");
  counters.published(trade, 1000, 10);
  counters.published(trade, 1900, 1);
  counters.published(counters.histogram("ethusdt@trade"), 2500, 5);
  counters.settle(2000);
  counters.settle(1_000_000);
  const { latency } = counters.report(nobody, outboxes(0));
  expect(Object.keys(latency)).toEqual(["trade"]);
  // Up to 100 us: the one of 100 us, and the five whose clock ran ahead; up to 1000 us: ten.
  expect(latency.trade?.counts.slice(0, 5)).toEqual([6, 0, 0, 10, 0]);
  expect(latency.trade?.sumUs).toBe(10 * 1000 + 100);
});

function counted(sessions: number, delivered: number): WorkerCounters {
  const counters = new Counters();
  counters.delivered = delivered;
  counters.error(1203);
  counters.close(1000);
  counters.published(counters.histogram("a@trade"), 0, delivered);
  counters.settle(50);
  counters.loopLagMs = sessions;
  return counters.report({ ...nobody, sessions: { length: sessions }, rungSessions: () => [sessions] }, outboxes(7));
}

test("totals - the dead keep their totals, the living their state", () => {
  const totals = new Totals();
  totals.update(0, counted(3, 10));
  totals.update(1, counted(5, 20));
  expect(totals.sum()).toMatchObject({ sessions: 8, delivered: 30, outboxBytes: 14, loopLagMs: 5, restarts: 0 });
  totals.retire(0);
  totals.retire(0);
  totals.restarted();
  expect(totals.sum()).toMatchObject({ sessions: 5, delivered: 30, outboxBytes: 7, restarts: 1 });
  expect(totals.sum().closes).toEqual({ "1000": 2, "1001": 3 });
  totals.update(0, counted(1, 4));
  const sum = totals.sum();
  expect(sum).toMatchObject({ sessions: 6, delivered: 34, errors: { "1203": 3 } });
  expect(sum.rungSessions[0]).toBe(6);
  expect(sum.latency.trade?.counts[0]).toBe(34);
  expect(sum.latency.trade?.sumUs).toBe(34 * 50);
});
