/** After a lap of the ring: what brings a worker up to its topics. */
import { expect, test } from "bun:test";
import type { Candle } from "../channel/types.ts";
import { Rig } from "./testing/rig.ts";
import { DEPTH, readyBook, TRADE, trades } from "./testing/words.ts";

test("engine - after a lap: exact catch-up to the rung's flushed seq, lost for Binance where there is none", () => {
  const rig = new Rig();
  rig.join(DEPTH, 100);
  rig.join(DEPTH, 100, "binance");
  rig.join(TRADE, 0, "binance");
  readyBook(rig);
  rig.ready(TRADE, { seq: 3 });
  rig.depth(DEPTH, 11, [["99", "5"]]);
  rig.depth(DEPTH, 12, [["99", "6"]]);
  rig.clock.advance(100);
  rig.depth(DEPTH, 13, [["99", "7"]]);
  const binance = rig.topic(DEPTH, 100, "binance");
  rig.tell({
    is: "lapped",
    request: 77,
    topics: [
      [binance, 10],
      [rig.topic(TRADE, 0, "binance"), 1],
    ],
  });
  const heads = rig.answers(77);
  expect(heads).toEqual([{ is: "caughtUp", seq: 12 }, { is: "lost" }, { is: "repaired" }]);
});

test("engine - after a lap that swallowed a gap, a new epoch or a close, Binance sessions are closed", () => {
  const rig = new Rig();
  rig.join(TRADE, 0, "binance");
  rig.join(DEPTH, 0, "binance");
  rig.ready(TRADE, { seq: 3 });
  readyBook(rig);
  const [trade, depth] = [rig.topic(TRADE, 0, "binance"), rig.topic(DEPTH, 0, "binance")];
  const lapped = (request: number, topic: number, seq: number) => {
    rig.tell({ is: "lapped", request, topics: [[topic, seq]] });
    return rig.answers(request)[0];
  };
  rig.publish(TRADE, 4, { type: "gap", data: { missed: null, reason: "source" } });
  rig.publish(TRADE, 5, trades(5));
  expect(lapped(71, trade, 3)).toEqual({ is: "lost" });
  expect(lapped(72, trade, 4)).toEqual({ is: "caughtUp", seq: 5 });
  rig.publish(DEPTH, 11, { type: "stale", data: "checksum" });
  expect(lapped(73, depth, 10)).toMatchObject({ is: "caughtUp" });
  rig.clock.advance(5001);
  expect(lapped(74, depth, 10)).toEqual({ is: "lost" });
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(TRADE, { seq: null }, "epoch");
  expect(lapped(75, trade, 5)).toEqual({ is: "lost" });
});

test("engine - after a lap at the end of an epoch a lossless worker hears of what it missed of the old one", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.ready(TRADE, { seq: 3 });
  rig.publish(TRADE, 4, trades(4));
  rig.publish(TRADE, 5, trades(5));
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(TRADE, { seq: null }, "epoch");
  const topic = rig.topic(TRADE, 0);
  rig.tell({ is: "lapped", request: 70, topics: [[topic, 3]] });
  expect(rig.answers(70)[0]).toEqual({ is: "caughtUp", seq: 5 });
  rig.publish(TRADE, 900, trades(6), null);
  expect(rig.frames(topic).at(-2)).toMatchObject({ type: "gap", from: 6, seq: 899 });
});

test("engine - after a lap that swallowed the end of a staleness, native clients get a whole book", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  const topic = rig.topic(DEPTH, 0);
  rig.publish(DEPTH, 11, { type: "stale", data: "checksum" });
  rig.depth(DEPTH, 12, [["100", "2"]], [["101", "1"]], "snapshot");
  rig.depth(DEPTH, 13, [["99", "2"]]);
  rig.tell({ is: "lapped", request: 70, topics: [[topic, 10]] });
  const repairs = rig.ring.records.filter((r) => r.fields.request === 70);
  expect(repairs[0]!.text).toContain('"type":"snapshot"');
  rig.tell({ is: "lapped", request: 71, topics: [[topic, 12]] });
  rig.depth(DEPTH, 14, [["99", "3"]]);
  rig.tell({ is: "lapped", request: 72, topics: [[topic, 13]] });
  expect(rig.ring.records.find((r) => r.fields.request === 72)!.text).toContain('"type":"delta"');
});

test("engine - after a lap of a worker that had seen nothing yet the epoch is told, and a Binance book counts from its start", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.join(DEPTH, 0, "binance");
  rig.ready(TRADE);
  rig.ready(DEPTH);
  rig.publish(TRADE, 4, trades(4), null);
  rig.depth(DEPTH, 5, [["100", "1"]]);
  rig.depth(DEPTH, 7, [["99", "1"]]);
  const frame = (topic: number) => {
    rig.tell({ is: "lapped", request: 70 + topic, topics: [[topic, 0]] });
    const answer = rig.ring.records.find((r) => r.fields.request === 70 + topic)!;
    return JSON.parse(answer.text.split("\n")[1]!);
  };
  expect(frame(rig.topic(TRADE, 0))).toMatchObject({ type: "items", prev: null, seq: 4, epoch: "e1" });
  expect(frame(rig.topic(DEPTH, 0, "binance"))).toMatchObject({ type: "delta", prev: 4, seq: 7 });
});

test("engine - after a lap a native book that had seen nothing gets a snapshot, candles of a new epoch what closed in it", () => {
  const rig = new Rig();
  const name = "btcusdt@kline_1m";
  rig.join(DEPTH);
  rig.join(name);
  rig.ready(DEPTH);
  rig.depth(DEPTH, 5, [["100", "1"]]);
  rig.depth(DEPTH, 7, [["99", "1"]]);
  const candle = (openTime: number, closed: boolean) => ({ interval: "1m", openTime, closed }) as Candle;
  rig.ready(name);
  rig.publish(name, 6, { type: "candles", data: [candle(0, false)] }, null);
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(name, { seq: null }, "epoch");
  rig.publish(name, 20, { type: "candles", data: [candle(0, false)] }, null);
  rig.publish(name, 21, { type: "candles", data: [candle(0, true), candle(60_000, false)] });
  const frame = (topic: number, seen: number) => {
    rig.tell({ is: "lapped", request: 70 + topic, topics: [[topic, seen]] });
    return JSON.parse(rig.ring.records.find((r) => r.fields.request === 70 + topic)!.text.split("\n")[1]!);
  };
  expect(frame(rig.topic(DEPTH, 0), 0)).toMatchObject({ type: "snapshot", seq: 7 });
  expect(frame(rig.topic(name, 0), 6)).toMatchObject({
    type: "candles",
    epoch: "e2",
    data: [
      { openTime: 0, closed: true },
      { openTime: 60_000, closed: false },
    ],
  });
});

test("engine - after a lap that swallowed an epoch's gap, before the epoch's first flush, the gap is told again", () => {
  const rig = new Rig();
  rig.join(TRADE, 3000);
  rig.ready(TRADE, { seq: 3 });
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(TRADE, { seq: null }, "epoch");
  rig.publish(TRADE, 900, trades(1), null);
  const topic = rig.topic(TRADE, 3000);
  expect(rig.frames(topic)).toMatchObject([{ type: "gap", from: 4, seq: 899 }]);
  rig.tell({ is: "lapped", request: 70, topics: [[topic, 3]] });
  const [head, frame] = rig.ring.records.find((r) => r.fields.request === 70)!.text.split("\n");
  expect(JSON.parse(head!)).toEqual({ is: "caughtUp", seq: 899 });
  expect(JSON.parse(frame!)).toMatchObject({ type: "gap", from: 4, seq: 899, epoch: "e2" });
});

test("engine - after a lap of a worker that had seen nothing, a whole epoch may have passed it by", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.join(TRADE, 0, "binance");
  rig.ready(TRADE);
  const [native, binance] = [rig.topic(TRADE, 0), rig.topic(TRADE, 0, "binance")];
  rig.publish(TRADE, 4, trades(4), null);
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(TRADE, { seq: null }, "epoch");
  rig.publish(TRADE, 900, trades(5), null);
  rig.tell({
    is: "lapped",
    request: 70,
    topics: [
      [native, 0],
      [binance, 0],
    ],
  });
  const [first, second] = rig.ring.records.filter((r) => r.fields.request === 70).map((r) => r.text.split("\n"));
  expect(JSON.parse(first![1]!)).toMatchObject({ type: "gap", from: 1, seq: 899, epoch: "e2" });
  expect(JSON.parse(second![0]!)).toEqual({ is: "lost" });
});
