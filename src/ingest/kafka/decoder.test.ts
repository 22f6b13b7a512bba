import { expect, test } from "bun:test";
import { batchAt, offsetBehind } from "./batches.ts";
import { Decoder } from "./decoder.ts";
import { Feed } from "./feed.ts";
import type { Aborted, FetchedPartition } from "./fetch.ts";
import { batch, compacted } from "./testing.ts";

const answer = (batches: Buffer, aborted: readonly Aborted[] = []): FetchedPartition => ({
  topic: "id",
  partition: 0,
  errorCode: 0,
  end: 1000,
  stableEnd: 1000,
  start: 0,
  aborted,
  batches,
});

function stage(committedOnly = false, from = 0) {
  const feed = new Feed({ topic: "t", partition: 0 }, "id", 1 << 20, 0, () => undefined);
  const damaged: number[] = [];
  const decoder = new Decoder({ feed, committedOnly, nowMs: () => 0, damaged: (offset) => damaged.push(offset) });
  feed.start(from, 0);
  decoder.start(from);
  const all = (): string[] => {
    const said: string[] = [];
    for (let one = decoder.next(); one !== null; one = decoder.next()) {
      if (one.type === "data") said.push(`${one.record.offset} ${Buffer.from(one.record.value)}`);
      else said.push(one.type === "corrupt" ? `corrupt ${one.offset}` : `epoch ${one.cause}`);
    }
    return said;
  };
  const give = (bytes: Buffer, aborted?: readonly Aborted[]): void =>
    feed.give(answer(bytes, aborted), committedOnly, 0, 0);
  return { feed, decoder, all, give, damaged };
}

test("kafka decoder - batches of all compressions, one after the other", () => {
  const { all, give, decoder } = stage();
  const kinds = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
  give(Buffer.concat(kinds.map((compression, at) => batch(["a", "b"], { first: at * 2, compression }))));
  expect(all()).toEqual(Array.from({ length: 10 }, (_, at) => `${at} ${at % 2 === 0 ? "a" : "b"}`));
  expect(decoder.wanted).toBe(10);
});

test("kafka decoder - a batch that begins before the wanted offset, and one that is cut short", () => {
  const { all, give, feed } = stage(false, 2);
  const bytes = Buffer.concat([batch(["a", "b", "c", "d"]), batch(["e"], { first: 4 }).subarray(0, 40)]);
  expect(offsetBehind(bytes)).toBe(4);
  give(bytes);
  expect(all()).toEqual(["2 c", "3 d"]);
  expect(feed.next).toBe(4);
});

test("kafka decoder - compacted gaps: offsets rise and need not be dense, and an empty end counts as read", () => {
  const { all, give, decoder, feed } = stage();
  give(Buffer.concat([compacted(10, 5, "a"), compacted(30, 10, "b")]));
  expect(all()).toEqual(["10 a", "30 b"]);
  expect([feed.next, decoder.wanted]).toEqual([40, 40]);
});

test("kafka decoder - tombstones are passed over and counted", () => {
  const { all, give, decoder } = stage();
  give(batch(["a", null, "c"]));
  expect(all()).toEqual(["0 a", "2 c"]);
  expect(decoder.tombstones).toBe(1);
});

test("kafka decoder - control records never come; aborted transactions do not with read_committed", () => {
  const bytes = Buffer.concat([
    batch(["kept"], { first: 0, producer: 7n, transactional: true }),
    batch([], { first: 1, producer: 7n, control: "commit" }),
    batch(["gone"], { first: 2, producer: 7n, transactional: true }),
    batch(["plain"], { first: 3 }),
    batch(["other"], { first: 4, producer: 8n, transactional: true }),
    batch([], { first: 5, producer: 7n, control: "abort" }),
    batch(["kept too"], { first: 6, producer: 7n, transactional: true }),
    batch([], { first: 7, producer: 7n, control: "commit" }),
  ]);
  const strict = stage(true);
  strict.give(bytes, [{ producer: 7n, first: 2 }]);
  expect(strict.all()).toEqual(["0 kept", "3 plain", "4 other", "6 kept too"]);
  expect(strict.decoder.wanted).toBe(8);
  const loose = stage(false);
  loose.give(bytes);
  expect(loose.all().length).toBe(5);
});

test("kafka decoder - a damaged batch is fetched once more, then passed over and told", () => {
  const { all, give, feed, damaged } = stage();
  const good = batch(["a", "b"]);
  const bad = batch(["c", "d"], { first: 2, compression: "gzip" });
  bad.fill(0xff, 61);
  const bytes = Buffer.concat([good, bad, batch(["e"], { first: 4 })]);
  give(bytes);
  expect(all()).toEqual(["0 a", "1 b"]);
  expect([damaged, feed.next]).toEqual([[2], 2]);
  give(bytes);
  expect(all()).toEqual(["corrupt 3", "4 e"]);
  expect(damaged).toEqual([2]);
});

test("kafka decoder - an epoch comes behind what was fetched before it", () => {
  const { all, give, feed } = stage();
  give(batch(["a"]));
  feed.recreated("other");
  expect(feed.next).toBeNull();
  expect(all()).toEqual(["0 a", "epoch recreated"]);
});

test("kafka decoder - a feed that is full wants nothing until it is decoded", () => {
  const feed = new Feed({ topic: "t", partition: 0 }, "id", 100, 0, () => undefined);
  const decoder = new Decoder({ feed, committedOnly: false, nowMs: () => 0, damaged: () => undefined });
  let woken = 0;
  feed.wakeLeader = () => void woken++;
  feed.start(0, 0);
  feed.give(answer(batch(["x".repeat(200)])), false, 0, 0);
  expect(feed.wants).toBe(false);
  while (decoder.next() !== null);
  expect(feed.wants).toBe(true);
  expect(woken).toBe(2);
});

test("kafka decoder - a batch shorter than its head is refused, and one of the old format", () => {
  const [short, old] = [batch(["a"]), batch(["a"])];
  short.writeInt32BE(10, 8);
  old.writeInt8(1, 16);
  expect(() => batchAt(short, 0)).toThrow("shorter than its head");
  expect(() => batchAt(old, 0)).toThrow("records are in the format 1, which Kafka wrote before 0.11");
});

test("kafka feed - an answer that makes no sense is the trouble of its own partition, and told", () => {
  const { feed, give } = stage(false, 4);
  const old = batch(["a", "b"], { first: 4 });
  // The format's number, behind offset, length and leader's epoch.
  old[16] = 1;
  give(old);
  expect([feed.wants, feed.empty]).toEqual([false, true]);
  expect(feed.stalled).toContain("before 0.11");
  // The cluster was asked again: so is the partition.
  feed.errorCode = 0;
  expect(feed.wants).toBe(true);
  give(batch(["x"], { first: 0 }));
  expect(feed.stalled).toContain("from before the offset asked for");
  feed.errorCode = 0;
  give(batch(["c"], { first: 4 }));
  expect([feed.next, feed.stalled]).toEqual([5, null]);
});
