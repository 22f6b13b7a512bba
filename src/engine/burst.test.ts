/** Bursts: what a topic's `burst` lets through at once, what it never exceeds, and what it leaves as it was. */
import { expect, test } from "bun:test";
import type { Pace } from "../channel/topic-settings.ts";
import { createFakeClock } from "../lib/fake-clock.ts";
import { RecordKind, type Rung } from "../ring/messages.ts";
import { Burst } from "./burst.ts";
import { Rig } from "./testing/rig.ts";
import { TRADE, trades } from "./testing/words.ts";

function rig(pace: Pace, rung: Rung): Rig {
  const r = new Rig({ paceOf: () => pace });
  r.join(TRADE, rung);
  r.ready(TRADE, { seq: 0 });
  return r;
}

const last = new Map<Rig, number>();
/** The next trade; seqs count from 1. */
function trade(r: Rig): void {
  const seq = (last.get(r) ?? 0) + 1;
  last.set(r, seq);
  r.publish(TRADE, seq, trades(seq));
}
const published = (r: Rig) => r.ring.records.filter(({ kind }) => kind === RecordKind.PUBLISH);
const flushes = (r: Rig) => published(r).length;

test("burst - a bucket: full after silence, one by one after that, never more than one in debt", () => {
  const clock = createFakeClock();
  const burst = new Burst({ perSecond: 10, burst: 2 }, clock);
  const spend = () => {
    const { ready } = burst;
    burst.spend();
    return ready;
  };
  expect([spend(), spend(), spend(), spend()]).toEqual([true, true, false, false]);
  clock.advance(199);
  expect(burst.ready).toBe(false);
  clock.advance(1);
  expect([spend(), spend()]).toEqual([true, false]);
  clock.advance(60_000);
  expect([spend(), spend(), spend()]).toEqual([true, true, false]);
});

test("burst - the first publications after silence go at once, the next wait for the instant", () => {
  const r = rig({ perSecond: 10, burst: 3 }, 100);
  for (let n = 0; n < 5; n++) trade(r);
  expect(flushes(r)).toBe(3);
  r.clock.advance(100);
  expect(flushes(r)).toBe(4);
  expect(r.frames(r.topic(TRADE, 100)).at(-1)).toMatchObject({ prev: 3, from: 4, seq: 5 });
  r.clock.advance(1000);
  trade(r);
  expect(flushes(r)).toBe(5);
});

test("burst - in the long run no more flushes than the rate allows", () => {
  for (const [perSecond, rung] of [
    [10, 100],
    [15, 100],
    [20, 50],
    [200, 50],
  ] as const) {
    const r = rig({ perSecond, burst: 5 }, rung);
    let worst = 0;
    for (let ms = 0; ms < 10_000; ms += 5) {
      trade(r);
      r.clock.advance(5);
      worst = Math.max(worst, flushes(r) - (5 + 1 + (perSecond * (ms + 5)) / 1000));
    }
    expect([perSecond, worst <= 0]).toEqual([perSecond, true]);
    expect(flushes(r)).toBeGreaterThan(perSecond * 10 * 0.9);
    const frames = r.frames(r.topic(TRADE, rung));
    expect(frames.every(({ prev }, at) => prev === (frames[at - 1]?.seq ?? 0))).toBe(true);
  }
});

test("burst - only the fastest cadence of the topic has it", () => {
  const r = rig({ perSecond: 10, burst: 3 }, 500);
  for (let n = 0; n < 5; n++) trade(r);
  expect(flushes(r)).toBe(0);
  r.clock.advance(500);
  expect(flushes(r)).toBe(1);
});

test("burst - at the TICK of a move both streams still end on the same seq", () => {
  const r = rig({ perSecond: 10, burst: 3 }, 100);
  const fast = r.topic(TRADE, 100);
  const key = { channel: TRADE, rung: 500, dialect: "native", timeUnit: "ms" } as const;
  r.tell({ is: "move", request: 900, from: fast, key });
  const slow = r.topic(TRADE, 500);
  for (let n = 0; n < 7; n++) {
    trade(r);
    r.clock.advance(77);
  }
  const { records } = r.ring;
  const tick = records.findIndex(({ kind, fields }) => kind === RecordKind.TICK && (fields.topic! & (1 << 4)) !== 0);
  const lastOf = (topic: number) =>
    records.findLast(({ kind, fields }, at) => kind === RecordKind.PUBLISH && fields.topic === topic && at < tick)
      ?.fields.seq;
  expect(tick).toBeGreaterThan(0);
  expect(lastOf(fast)).toBeGreaterThan(1);
  expect(lastOf(slow)).toBe(lastOf(fast));
});
