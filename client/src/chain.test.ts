import { expect, test } from "bun:test";
import { Chain } from "./chain.ts";
import type { ChannelPush } from "./frames.ts";

const at = { channel: "c", time: 1, sentUs: 1 };
const snapshot = (seq: number, epoch = "k1", prev?: number): ChannelPush => ({
  ...at,
  type: "snapshot",
  epoch,
  seq,
  ...(prev === undefined ? {} : { prev }),
  data: { bids: [], asks: [] },
});
const delta = (prev: number | null, seq: number, epoch?: string): ChannelPush => ({
  ...at,
  type: "delta",
  prev,
  seq,
  ...(epoch === undefined ? {} : { epoch }),
  data: { bids: [], asks: [] },
});
const value = (prev: number | null, seq: number): ChannelPush => ({ ...at, type: "value", prev, seq, data: {} });
const items = (prev: number | null, seq: number): ChannelPush => ({ ...at, type: "items", prev, seq, data: [] });
const gap = (to: number, epoch?: string): ChannelPush => ({
  channel: "c",
  type: "gap",
  ...(epoch === undefined ? {} : { epoch }),
  missed: null,
  from: 1,
  to,
  reason: "source",
});

const verdicts = (chain: Chain, ...pushes: ChannelPush[]): string[] => pushes.map((push) => chain.accept(push));

test("client chain - a book begins with its snapshot, overlaps are harmless, what is missing is seen", () => {
  const chain = new Chain();
  chain.begins("k1", 10);
  expect(verdicts(chain, snapshot(10), delta(10, 12), delta(11, 14), delta(9, 14))).toEqual([
    "take",
    "take",
    "take",
    "ignore",
  ]);
  expect(chain.accept(delta(15, 16))).toBe("broken");
  expect(chain.position).toEqual({ epoch: "k1", seq: 14 });
  expect(verdicts(chain, snapshot(20), delta(20, 21))).toEqual(["take", "take"]);
});

test("client chain - a delta before any snapshot is broken, unless it is the channel's first publication", () => {
  const chain = new Chain();
  chain.begins("k1", 10);
  expect(chain.accept(delta(10, 11))).toBe("broken");
  const fresh = new Chain();
  fresh.begins("k1", null);
  expect(fresh.accept(delta(null, 11))).toBe("take");
});

test("client chain - a snapshot in the chain is taken even if it is older than a late answer, a late answer is not", () => {
  const chain = new Chain();
  expect(verdicts(chain, snapshot(10), delta(10, 20), snapshot(15), snapshot(30, "k1", 20))).toEqual([
    "take",
    "take",
    "ignore",
    "take",
  ]);
});

test("client chain - items go on exactly from the reply", () => {
  const chain = new Chain();
  chain.begins("k1", 99);
  expect(verdicts(chain, items(90, 99), items(99, 101), items(101, 102), items(101, 103))).toEqual([
    "ignore",
    "take",
    "take",
    "broken",
  ]);
  const late = new Chain();
  late.begins("k1", 99);
  expect(late.accept(items(100, 101))).toBe("broken");
});

test("client chain - items that come before the reply are taken and the reply does not move them", () => {
  const chain = new Chain();
  expect(chain.accept(items(100, 101))).toBe("take");
  chain.begins("k1", 100);
  expect(chain.position).toEqual({ epoch: "k1", seq: 101 });
  expect(chain.accept(items(101, 102))).toBe("take");
});

test("client chain - after a gap `have` is its end", () => {
  const chain = new Chain();
  chain.begins("k1", 99);
  expect(verdicts(chain, items(99, 101), gap(118), items(118, 119))).toEqual(["take", "take", "take"]);
});

test("client chain - a value is taken if it is newer or the same, the first one always", () => {
  const chain = new Chain();
  chain.begins("k1", 50);
  expect(verdicts(chain, value(40, 50), value(40, 50), value(70, 80), value(70, 79))).toEqual([
    "take",
    "take",
    "take",
    "ignore",
  ]);
});

test("client chain - another epoch starts over, whatever the numbers say", () => {
  const chain = new Chain();
  expect(verdicts(chain, snapshot(50), snapshot(40, "k2"), delta(40, 41))).toEqual(["take", "restart", "take"]);
  expect(chain.position).toEqual({ epoch: "k2", seq: 41 });
  expect(verdicts(chain, gap(10, "k3"), items(null, 10), items(10, 12))).toEqual(["restart", "take", "take"]);
});

test("client chain - after a reconnect the reply changes nothing in the same epoch and everything in another", () => {
  const chain = new Chain();
  chain.begins("k1", 10);
  chain.accept(items(10, 12));
  chain.begins("k1", 20);
  expect(verdicts(chain, items(12, 20))).toEqual(["take"]);
  chain.begins("k2", 1);
  expect(verdicts(chain, items(1, 2))).toEqual(["take"]);
  expect(chain.position).toEqual({ epoch: "k2", seq: 2 });
});

test("client chain - a kept position is gone on from, a late gap moves nothing back", () => {
  const chain = new Chain();
  chain.resume({ epoch: "k1", seq: 10 });
  chain.begins("k1", 20);
  expect(verdicts(chain, items(10, 15), items(15, 20), gap(18), items(20, 21))).toEqual([
    "take",
    "take",
    "ignore",
    "take",
  ]);
  expect(chain.position).toEqual({ epoch: "k1", seq: 21 });
});

test("client chain - a reply of a node that knows no epoch yet changes nothing", () => {
  const chain = new Chain();
  chain.begins("", null);
  expect(verdicts(chain, snapshot(10))).toEqual(["take"]);
  chain.begins("", null);
  expect(chain.position).toEqual({ epoch: "k1", seq: 10 });
  expect(verdicts(chain, snapshot(3, "k2"))).toEqual(["restart"]);
});

test("client chain - items without a prev that no gap announced are no continuation: the node knew nothing when we came", () => {
  const chain = new Chain();
  chain.begins("k1", 10);
  expect(chain.accept(items(10, 12))).toBe("take");
  // Back on a node that has not heard of the owner: what comes first holds all it has, ours too.
  chain.begins("", null);
  expect(chain.accept(items(null, 14))).toBe("broken");
  expect(chain.position).toEqual({ epoch: "k1", seq: 12 });
  expect(verdicts(chain, gap(20, "k2"), items(null, 21), items(21, 22))).toEqual(["restart", "take", "take"]);
});
