/**
 * A lossless channel that was empty when it was subscribed to, then had more items than the owner keeps before any of them
 * arrived: the first of those that are left came as if it were the first of all, and nobody heard of the others.
 */
import { expect, test } from "bun:test";
import { createFollower } from "../bus/follower.ts";
import { createMemoryHub } from "../bus/memory.ts";
import type { Publication } from "../channel/types.ts";
import { Rig } from "./testing/rig.ts";
import { publication, TRADE, trades } from "./testing/words.ts";

const told = (rig: Rig): unknown[] =>
  rig.frames(rig.topic(TRADE, 0)).map(({ type, prev, from, seq, epoch }) => [type, prev, from, seq, epoch]);

test("lost start - what of it cannot be had any more is a gap, on Binance a close", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.join(TRADE, 0, "binance");
  rig.ready(TRADE, { seq: null });
  rig.ready(TRADE, { seq: 7 }, "heal");
  rig.publish(TRADE, 8, trades(8));
  expect(told(rig)).toEqual([
    ["gap", null, 0, 7, "e1"],
    ["items", 7, 8, 8, null],
  ]);
  expect(rig.controls()).toMatchObject([{ do: "closeTopic", code: 1012 }]);
});

test("lost start - behind an epoch that ended it is part of that one's gap", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.ready(TRADE, { seq: 3 });
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(TRADE, { seq: null }, "epoch");
  rig.ready(TRADE, { seq: 17 }, "heal");
  rig.publish(TRADE, 18, trades(18));
  expect(told(rig)).toEqual([
    ["gap", null, 4, 17, "e2"],
    ["items", null, 18, 18, "e2"],
  ]);
});

test("lost start - where the new epoch's numbers are lower, the gap ends where they begin all the same", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.ready(TRADE, { seq: 30 });
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(TRADE, { seq: null }, "epoch");
  rig.join(TRADE, 250);
  rig.ready(TRADE, { seq: 17 }, "heal");
  for (const rung of [0, 250] as const) {
    const [gap] = rig.frames(rig.topic(TRADE, rung));
    expect([rung, gap]).toMatchObject([rung, { type: "gap", from: 17, seq: 17, epoch: "e2" }]);
  }
});

test("lost start - nothing is told where nothing is lost", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.ready(TRADE, { seq: null });
  rig.ready(TRADE, { seq: null }, "heal");
  rig.publish(TRADE, 8, trades(8));
  expect(told(rig)).toEqual([["items", null, 8, 8, "e1"]]);
});

test("lost start - the follower says where what the owner keeps begins", async () => {
  const rig = new Rig();
  rig.join(TRADE);
  const hub = createMemoryHub({ clock: rig.clock });
  const [owner, node] = [hub.attach("owner"), hub.attach("node")];
  const at = { user: "", provides: [], after: null, state: null, time: 1, stale: false };
  let kept: Publication[] = [];
  owner.serve("s", ({ channel }) => ({ ...rig.header, ...at, channel, seq: kept.at(-1)?.seq ?? null, history: kept }));
  const follower = createFollower({ bus: node, clock: rig.clock, topicOf: (channel) => channel, random: () => 0 });
  follower.follow(TRADE, rig.consumers.get(TRADE)!);
  await rig.clock.run(10);
  expect(rig.engine.status().channels).toBe(1);
  kept = [8, 9].map((seq) => ({ ...publication(seq), channel: TRADE, kind: "trade", ...trades(seq) }));
  const head = { ...rig.header, offset: 9, source: "connected", provides: [], full: true };
  owner.head({ ...head, last: [[TRADE, "", 9]] });
  await rig.clock.run(10);
  expect(told(rig)).toEqual([
    ["gap", null, 0, 7, "e1"],
    ["items", 7, 8, 8, null],
    ["items", 8, 9, 9, null],
  ]);
  follower.close();
});
