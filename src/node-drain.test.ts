import { expect, test } from "bun:test";
import type { EdgeTotals } from "./edge/mod.ts";
import { createFakeClock } from "./lib/fake-clock.ts";
import { type Log, silentLog } from "./lib/log.ts";
import { NodeDrain } from "./node-drain.ts";

function rig(sessions: number) {
  const clock = createFakeClock();
  const lines: string[] = [];
  const line = (message: string, fields: unknown = {}) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { debug: line, info: line, warn: line, error: line, child: () => log };
  const emptied = Promise.withResolvers<void>();
  const drains: number[] = [];
  const edge = {
    now: { sessions, closes: { "1000": 5 } as Record<string, number> },
    counters: () => edge.now as EdgeTotals,
    drain(ms: number) {
      drains.push(ms);
      return emptied.promise;
    },
  };
  let stops = 0;
  const stop = async () => void stops++;
  return { clock, lines, drains, edge, emptied, stops: () => stops, drain: new NodeDrain({ edge, clock, log, stop }) };
}

test("node drain - empties the edge, lets the answers come, stops, and says what happened", async () => {
  const r = rig(10);
  expect(r.drain.state).toBeNull();
  void r.drain.begin(4000, "SIGTERM");
  void r.drain.begin(9000, "POST /api/drain");
  expect(r.drain.state).toEqual({ sessions: 10, leftMs: 4000 });
  r.edge.now = { sessions: 4, closes: { "1000": 6, "1012": 5 } };
  await r.clock.run(2500);
  expect(r.drain.state).toEqual({ sessions: 4, leftMs: 1500 });
  r.edge.now = { sessions: 0, closes: { "1000": 8, "1012": 7, "1006": 1 } };
  r.emptied.resolve();
  await r.clock.run(299);
  expect(r.stops()).toBe(0);
  await r.clock.run(1);
  expect(r.stops()).toBe(1);
  expect(r.drains).toEqual([4000]);
  expect(r.lines).toEqual([
    'draining: no new sessions {"cause":"SIGTERM","sessions":10,"seconds":4}',
    'draining {"sessions":4,"leftMs":3000}',
    'draining {"sessions":4,"leftMs":2000}',
    'drained {"closed":7,"leftByThemselves":4,"seconds":2.5}',
  ]);
  expect(r.clock.pending).toBe(0);
});

test("node drain - ends although sessions are left", async () => {
  const r = rig(3);
  const done = r.drain.begin(1000, "SIGTERM");
  await r.clock.run(10_999);
  expect(r.stops()).toBe(0);
  await r.clock.run(301);
  await done;
  expect(r.stops()).toBe(1);
  expect(r.lines.at(-1)).toBe(
    'drained in part: the rest is closed 1001 {"closed":0,"leftByThemselves":0,"sessions":3,"seconds":11}',
  );
});

test("node drain - without sessions, or without an edge, it stops at once", async () => {
  const r = rig(0);
  const done = r.drain.begin(10_000, "SIGINT");
  r.emptied.resolve();
  await done;
  expect(r.stops()).toBe(1);
  let stops = 0;
  const stop = async () => void stops++;
  await new NodeDrain({ edge: null, clock: r.clock, log: silentLog, stop }).begin(10_000, "SIGTERM");
  expect(stops).toBe(1);
});
