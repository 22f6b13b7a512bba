import { expect, test } from "bun:test";
import { createFakeClock, nextTurn } from "../../lib/fake-clock.ts";
import { RecordingLog } from "../testing/rig.ts";
import { Feed } from "./feed.ts";
import { CONTEST_MS, Regroups } from "./regroup.ts";
import { batch } from "./testing.ts";

function stage(ends: readonly (number | Error)[]) {
  const clock = createFakeClock();
  const abort = new AbortController();
  const left = [...ends];
  const feeds = ends.map((_end, partition) => {
    const feed = new Feed({ topic: "t", partition }, "id", 1 << 20, 0, () => undefined);
    feed.start(0, 0);
    return feed;
  });
  const log = new RecordingLog();
  const regroups = new Regroups({
    clock,
    log,
    signal: abort.signal,
    feeds: () => feeds,
    partitionsOf: () => 7,
    endOf: ({ partition }) => {
      const end = left[partition] ?? 0;
      left[partition] = Math.max(0, Number.isNaN(Number(end)) ? 2 : Number(end));
      return end instanceof Error ? Promise.reject(end) : Promise.resolve(end);
    },
  });
  const fetched = (feed: Feed, values: readonly string[]): void => {
    const end = values.length;
    const answer = { topic: "id", partition: feed.partition, errorCode: 0, end, stableEnd: end, start: 0, aborted: [] };
    feed.give({ ...answer, batches: batch(values) }, false, 0, 0);
  };
  /** As a source does that hands everything on. */
  const drain = (feed: Feed): string[] => {
    const taken: string[] = [];
    for (let piece = feed.take(); piece !== null; piece = feed.take()) {
      taken.push(piece.type === "epoch" ? piece.cause : piece.type);
      if (piece.type === "batches") feed.done(piece.bytes.length);
    }
    return taken;
  };
  return { clock, feeds: feeds as [Feed, Feed], regroups, fetched, drain, abort, log };
}

test("kafka regroup - all stop at their ends, then all begin an epoch, then all go on", async () => {
  const { clock, feeds, regroups, fetched, drain, log } = stage([2, 2]);
  const [one, two] = feeds;
  regroups.grown("t", 2);
  // The topic's partitions, and those that are read on this node.
  expect(log.lines[0]?.fields).toEqual({ topic: "t", why: "partitions were added", partitions: 7, here: 2 });
  await clock.run(100);
  expect([one.stopAt, two.stopAt]).toEqual([2, 2]);
  fetched(one, ["a", "b"]);
  expect(one.wants).toBe(false);
  expect(drain(one)).toEqual(["batches"]);
  await clock.run(1000);
  // The other one is not there yet: no epoch, and whoever is new waits.
  expect([one.empty, regroups.isBusy("t")]).toEqual([true, true]);
  let admitted = false;
  void regroups.admitted("t", new AbortController().signal).then(() => {
    admitted = true;
  });
  fetched(two, ["a", "b"]);
  expect(drain(two)).toEqual(["batches"]);
  await clock.run(100);
  expect(admitted).toBe(false);
  expect(drain(one)).toEqual(["regrouped"]);
  await clock.run(100);
  expect([one.wants, admitted]).toEqual([false, false]);
  expect(drain(two)).toEqual(["regrouped"]);
  await clock.run(100);
  expect([one.wants, two.wants, admitted, regroups.done]).toEqual([true, true, true, 1]);
  expect([regroups.isAdded({ topic: "t", partition: 1 }), regroups.isAdded({ topic: "t", partition: 2 })]).toEqual([
    false,
    true,
  ]);
});

test("kafka regroup - an end that cannot be told is asked for again; one that has no more sources is not waited for", async () => {
  const { clock, feeds, regroups, drain } = stage([0, new Error("away")]);
  regroups.grown("t", 2);
  await clock.run(100);
  expect(feeds[1].stopAt).toBeNull();
  await clock.run(1000);
  expect(feeds[1].stopAt).toBe(2);
  expect(drain(feeds[0])).toEqual([]);
  feeds.pop();
  await clock.run(100);
  expect(drain(feeds[0])).toEqual(["regrouped"]);
  await clock.run(100);
  expect(regroups.isBusy("t")).toBe(false);
});

test("kafka regroup - contested channels do it again, with growing pauses, and not for ever", async () => {
  const { clock, feeds, regroups, drain } = stage([0, 0]);
  const finish = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) {
      await clock.run(20);
      for (const feed of feeds) drain(feed);
      await nextTurn();
    }
  };
  let passed = 0;
  while (passed < CONTEST_MS + 60_000) {
    regroups.contested("t");
    await finish();
    await clock.run(900);
    passed += 1000;
  }
  // 2, 4, 8, ... seconds apart.
  expect(regroups.done).toBeGreaterThanOrEqual(8);
  expect(regroups.done).toBeLessThanOrEqual(10);
});
