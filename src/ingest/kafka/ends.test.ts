import { expect, test } from "bun:test";
import { createFakeClock } from "../../lib/fake-clock.ts";
import { RecordingLog } from "../testing/rig.ts";
import { Ends } from "./ends.ts";
import { Feed } from "./feed.ts";
import { Pace } from "./pace.ts";
import { batch } from "./testing.ts";

async function stage() {
  const clock = createFakeClock();
  const abort = new AbortController();
  const feed = new Feed({ topic: "t", partition: 3 }, "id", 1 << 20, clock.monotonicMs(), () => undefined);
  const reconnects: string[] = [];
  let end: number | Error = 0;
  const ends = new Ends({
    endsMs: 1000,
    stallMs: 5000,
    clock,
    log: new RecordingLog(),
    signal: abort.signal,
    feeds: () => [feed],
    leaderOf: () => 1,
    ask: () =>
      end instanceof Error ? Promise.reject(end) : Promise.resolve([{ topic: "t", partition: 3, offset: end }]),
    reconnect: (_feed, why) => reconnects.push(why),
  });
  const run = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 1000) {
      clock.advance(1000);
      for (let i = 0; i < 10; i++) await Promise.resolve();
    }
  };
  return { clock, feed, ends, reconnects, run, abort, setEnd: (to: number | Error) => (end = to) };
}

const records = (first: number) => ({
  ...{ topic: "id", partition: 3, errorCode: 0, start: 0, aborted: [] },
  ...{ end: first + 1, stableEnd: first + 1, batches: batch(["a"], { first }) },
});

test("kafka ends - an end that moves while nothing comes is told, counted and connected anew, again and again", async () => {
  const { feed, ends, reconnects, run, setEnd, clock } = await stage();
  feed.start(10, clock.monotonicMs());
  setEnd(10);
  await run(20_000);
  expect([ends.stalls, feed.stalled]).toEqual([0, null]);
  setEnd(12);
  await run(4000);
  expect(ends.stalls).toBe(0);
  await run(2000);
  expect(ends.stalls).toBe(1);
  expect(feed.end).toBe(12);
  expect(reconnects).toEqual([
    'partition 3 of topic "t" has records up to 12, but from 10 on none came for 5 s: connecting anew',
  ]);
  expect(feed.stalled).toBe(reconnects[0]!);
  await run(6000);
  expect(ends.stalls).toBe(2);
  feed.give(records(10), false, 0, clock.monotonicMs());
  expect(feed.stalled).toBeNull();
});

test("kafka ends - a source that is slow, full or held back is not taken for one that hears nothing", async () => {
  const { feed, ends, run, setEnd, clock } = await stage();
  feed.start(0, clock.monotonicMs());
  setEnd(1000);
  for (let at = 0; at < 20; at++) {
    feed.give(records(at), false, 0, clock.monotonicMs());
    await run(1000);
  }
  expect(ends.stalls).toBe(0);
  feed.bound(20);
  await run(20_000);
  expect(ends.stalls).toBe(0);
  feed.bound(null);
  setEnd(new Error("away"));
  await run(20_000);
  expect(ends.stalls).toBe(0);
});

test("kafka pace - all sources together get a few ms of a turn; who waits is served in order", async () => {
  let now = 0;
  const pace = new Pace(() => now);
  expect(pace.turn()).toBeNull();
  now = 3;
  pace.spent(0);
  expect(pace.turn()).toBeNull();
  expect(pace.deadline()).toBe(4);
  now = 6;
  pace.spent(3);
  const order: string[] = [];
  const wait = async (name: string): Promise<void> => {
    const turn = pace.turn();
    expect(turn).not.toBeNull();
    await turn;
    order.push(name);
    const since = now;
    now += 10;
    pace.spent(since);
  };
  await Promise.all([wait("a"), wait("b"), wait("c")]);
  expect(order).toEqual(["a", "b", "c"]);
});
