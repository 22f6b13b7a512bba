import { expect, test } from "bun:test";
import type { StateReply } from "../bus/bus.ts";
import type { Trade } from "../channel/types.ts";
import { RecordKind } from "../ring/messages.ts";
import { Rig } from "./testing/rig.ts";
import { book, DEPTH, readyBook, TRADE, trades } from "./testing/words.ts";

test("engine - an unknown channel is refused and costs no state", () => {
  const rig = new Rig();
  const request = rig.join("nope@trade");
  expect(rig.answer(request)?.head).toEqual({ is: "unknown" });
  expect(rig.engine.status().channels).toBe(0);
});

test("engine - a join waits for the state, then gets topic, snapshot and position in ring order", () => {
  const rig = new Rig();
  const request = rig.join(DEPTH);
  expect(rig.answer(request)).toBeNull();
  readyBook(rig);
  const answer = rig.answer(request)!;
  expect(answer.head).toEqual({ is: "joined", family: "book", epoch: "e1", seq: 10, recovered: false, later: "ask" });
  expect(answer.frames[0]).toMatchObject({ type: "snapshot", prev: null, seq: 10, epoch: "e1" });
  expect(answer.topic).toBe(rig.topic(DEPTH, 0));
  rig.depth(DEPTH, 12, [["100", "2"]]);
  expect(rig.frames(answer.topic)[0]).toMatchObject({ type: "delta", prev: 10, from: 12, seq: 12, epoch: null });
});

test("engine - a known channel without data is running at once and its first publication is a snapshot", () => {
  const rig = new Rig();
  const request = rig.join(DEPTH);
  rig.ready(DEPTH);
  expect(rig.answer(request)?.head).toMatchObject({ is: "joined", seq: null });
  rig.depth(DEPTH, 5, [["100", "2"]]);
  expect(rig.frames(rig.topic(DEPTH, 0))[0]).toMatchObject({ type: "snapshot", prev: null, seq: 5, epoch: "e1" });
});

test("engine - each rung merges its own chain and flushes at multiples of its period, then a TICK says so", () => {
  const rig = new Rig();
  rig.join(DEPTH, 100);
  rig.join(DEPTH, 500);
  readyBook(rig);
  rig.clock.advance(60);
  rig.depth(DEPTH, 11, [["100", "2"]]);
  rig.depth(DEPTH, 12, [
    ["100", "3"],
    ["99", "1"],
  ]);
  rig.clock.advance(100);
  const fast = rig.frames(rig.topic(DEPTH, 100));
  expect(fast).toHaveLength(1);
  expect(fast[0]).toMatchObject({ type: "delta", prev: 10, from: 11, seq: 12 });
  expect(fast[0]!.data.bids).toEqual([
    ["100", "3"],
    ["99", "1"],
  ]);
  expect(rig.frames(rig.topic(DEPTH, 500))).toHaveLength(0);
  rig.depth(DEPTH, 14, [["99", "0"]]);
  rig.clock.advance(500);
  const slow = rig.frames(rig.topic(DEPTH, 500));
  expect(slow).toHaveLength(1);
  expect(slow[0]).toMatchObject({ prev: 10, from: 11, seq: 14 });
  expect(rig.frames(rig.topic(DEPTH, 100))[1]).toMatchObject({ prev: 12, from: 14, seq: 14 });
  expect(rig.ticks().some((mask) => (mask & 0b10000) !== 0)).toBe(true);
  expect(rig.ticks().every((mask) => (mask & 1) === 1)).toBe(true);
});

test("engine - lossless kinds batch and never merge; a joiner starts at what the rung last flushed", () => {
  const rig = new Rig();
  rig.join(TRADE, 1000);
  rig.ready(TRADE, { seq: 3 });
  rig.publish(TRADE, 4, trades(4));
  const late = rig.join(TRADE, 1000, "native", { worker: 1 });
  expect(rig.answer(late)?.head).toMatchObject({ seq: 3 });
  rig.publish(TRADE, 6, trades(6, 7));
  rig.clock.advance(1000);
  const frames = rig.frames(rig.topic(TRADE, 1000));
  expect(frames).toHaveLength(1);
  expect(frames[0]).toMatchObject({ type: "items", prev: 3, from: 4, seq: 6 });
  expect(frames[0]!.data.map((t: Trade) => t.t)).toEqual([4, 6, 7]);
});

test("engine - at most one snapshot per channel every 50 ms, encoded when it is written", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  const second = rig.join(DEPTH, 0, "native", { worker: 1 });
  expect(rig.answer(second)).toBeNull();
  rig.depth(DEPTH, 15, [["98", "1"]]);
  rig.clock.advance(51);
  expect(rig.answer(second)!.frames[0]).toMatchObject({ type: "snapshot", seq: 15 });
});

test("engine - answers wait while the slowest reader is a quarter of the ring behind", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.ready(TRADE, { seq: 3 });
  rig.ring.lag = rig.ring.capacityBytes / 2;
  const request = rig.join(TRADE, 0, "native", { worker: 1 });
  rig.clock.advance(20);
  expect(rig.answer(request)).toBeNull();
  rig.ring.lag = 0;
  rig.clock.advance(20);
  expect(rig.answer(request)?.head).toMatchObject({ is: "joined" });
});

test("engine - a move: the old rung is flushed with the target, so both chains end on the same seq", () => {
  const rig = new Rig();
  rig.join(DEPTH, 1000);
  readyBook(rig);
  const slow = rig.topic(DEPTH, 1000);
  rig.clock.advance(1010);
  rig.depth(DEPTH, 11, [["100", "2"]]);
  rig.tell({
    is: "move",
    request: 99,
    from: slow,
    key: { channel: DEPTH, rung: 100, dialect: "native", timeUnit: "ms" },
  });
  expect(rig.answer(99)?.head).toEqual({ is: "open" });
  const fast = rig.topic(DEPTH, 100);
  rig.depth(DEPTH, 12, [["100", "3"]]);
  const before = rig.ticks().length;
  rig.clock.advance(100);
  expect(
    rig
      .ticks()
      .slice(before)
      .some((mask) => (mask & 0b100) !== 0),
  ).toBe(true);
  expect(rig.frames(slow).at(-1)).toMatchObject({ from: 11, seq: 12 });
  expect(rig.frames(fast).at(-1)).toMatchObject({ prev: 11, seq: 12 });
  rig.depth(DEPTH, 13, [["100", "4"]]);
  rig.clock.advance(100);
  expect(rig.frames(fast).at(-1)).toMatchObject({ prev: 12, seq: 13 });
});

test("engine - bookTicker comes from the book, only when it changed, with its own chain", () => {
  const rig = new Rig();
  const request = rig.join("btcusdt@bookTicker");
  readyBook(rig);
  const answer = rig.answer(request)!;
  expect(answer.frames[0]).toMatchObject({ type: "value", seq: 10, data: { bid: "100", ask: "101" } });
  rig.depth(DEPTH, 11, [["99", "7"]]);
  rig.depth(DEPTH, 12, [["100", "2"]]);
  expect(rig.frames(answer.topic)).toMatchObject([{ type: "value", prev: 10, seq: 12, data: { bidQuantity: "2" } }]);
});

test("engine - a derivable channel that the source provides itself is followed, not derived", () => {
  const rig = new Rig();
  const request = rig.join("btcusdt@bookTicker");
  rig.ready(DEPTH, { seq: 10, state: book([["100", "1"]]), provides: ["bookTicker"] });
  rig.ready("btcusdt@bookTicker", {
    seq: 8,
    state: { type: "value", data: { bid: "1", bidQuantity: "1", ask: "2", askQuantity: "2" } },
  });
  expect(rig.answer(request)!.frames).toMatchObject([{ type: "value", seq: 8, data: { bid: "1" } }]);
  // Nothing needs the book any more.
  expect([...rig.consumers.keys()]).toEqual(["btcusdt@bookTicker"]);
});

test("engine - candles: a flush holds what closed since the last one, then the current candle", () => {
  const rig = new Rig();
  const name = "btcusdt@kline_1m";
  rig.join(name, 2000);
  rig.ready(name);
  const candle = (openTime: number, close: string, closed: boolean) => ({
    interval: "1m",
    openTime,
    closeTime: openTime + 59_999,
    open: "1",
    high: "1",
    low: "1",
    close,
    volume: "0",
    quoteVolume: "0",
    takerVolume: "0",
    takerQuoteVolume: "0",
    firstId: -1,
    lastId: -1,
    count: 0,
    closed,
    partial: false,
  });
  rig.publish(name, 1, { type: "candles", data: [candle(0, "1", false)] });
  rig.publish(name, 2, { type: "candles", data: [candle(0, "2", true), candle(60_000, "3", false)] });
  rig.publish(name, 3, { type: "candles", data: [candle(60_000, "4", false)] });
  rig.clock.advance(2000);
  const [flush] = rig.frames(rig.topic(name, 2000));
  expect(flush!.data.map((c: { close: string; closed: boolean }) => [c.close, c.closed])).toEqual([
    ["2", true],
    ["4", false],
  ]);
});

test("engine - the last worker's leave closes the topic, the rung and the channel", () => {
  const rig = new Rig();
  rig.join("btcusdt@bookTicker");
  readyBook(rig);
  rig.tell({ is: "leave", topic: rig.topic("btcusdt@bookTicker", 0) });
  expect(rig.engine.status()).toMatchObject({ channels: 0, topics: 0 });
  expect(rig.consumers.size).toBe(0);
});

test("engine - a dead worker's interest is removed and its late answers reach nobody", () => {
  const rig = new Rig();
  const request = rig.join(DEPTH);
  rig.engine.workerGone(0);
  readyBook(rig);
  expect(rig.answer(request)).toBeNull();
  expect(rig.engine.status()).toMatchObject({ channels: 0, topics: 0 });
});

test("engine - a known channel that nobody feeds is running without a position until its owner appears", () => {
  const rig = new Rig();
  const request = rig.join(TRADE);
  rig.consumers.get(TRADE)!.unavailable(1203, "no owner knows it");
  expect(rig.answer(request)?.head).toMatchObject({ is: "joined", seq: null });
  rig.ready(TRADE, { seq: null });
  rig.publish(TRADE, 4, trades(4));
  expect(rig.frames(rig.topic(TRADE, 0))).toMatchObject([{ type: "items", prev: null, seq: 4, epoch: "e1" }]);
});

test("engine - a book that was there before this node heard of it: who joined in between is closed on Binance, for REST of another node may have had an older one", () => {
  const first = { channel: DEPTH, kind: "depth", user: "", time: 1, receivedUs: 1, type: "snapshot" } as const;
  const data = { bids: [["1", "1"]], asks: [] } as const;
  const closes = (history: StateReply["history"]) => {
    const rig = new Rig();
    rig.join(DEPTH, 100);
    rig.join(DEPTH, 100, "binance");
    rig.consumers.get(DEPTH)!.unavailable(1203, "no owner knows it");
    rig.ready(DEPTH, { seq: 8, state: { type: "snapshot", data }, history });
    return rig.controls().filter((control) => control.do === "closeTopic");
  };
  expect(
    closes([
      { ...first, data, seq: 7, prev: null },
      { ...first, data, seq: 8, prev: 7 },
    ]),
  ).toHaveLength(1);
  expect(closes([{ ...first, data, seq: 8, prev: 7 }])).toHaveLength(1);
  // Its very first: nobody can have had an older one.
  expect(closes([{ ...first, data, seq: 8, prev: null }])).toHaveLength(0);
});

test("engine - an owner that does not answer refuses the join with a code", () => {
  const rig = new Rig();
  const request = rig.join(TRADE);
  rig.consumers.get(TRADE)!.unavailable(1501, "the owner does not answer");
  expect(rig.answer(request)?.head).toMatchObject({ is: "refused", code: 1501 });
  expect(rig.engine.status().channels).toBe(0);
});

test("engine - two spellings of one price in a merged delta stand in the order they came", () => {
  const rig = new Rig();
  rig.join(DEPTH, 100);
  readyBook(rig);
  rig.depth(DEPTH, 11, [["99.0", "1"]]);
  rig.depth(DEPTH, 12, [["99", "0"]]);
  rig.depth(DEPTH, 13, [["99.0", "2"]]);
  rig.clock.advance(100);
  expect(rig.frames(rig.topic(DEPTH, 100))[0]!.data.bids).toEqual([
    ["99", "0"],
    ["99.0", "2"],
  ]);
});

test("engine - a book whose source lost its footing is not fresh because its owner is heard again", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  rig.publish(DEPTH, 11, { type: "stale", data: "checksum" });
  rig.consumers.get(DEPTH)!.stale("no-head");
  rig.consumers.get(DEPTH)!.fresh();
  expect(rig.engine.status().stale).toEqual([{ channel: DEPTH, reason: "checksum" }]);
  expect(rig.frames(rig.topic(DEPTH, 0)).map((f) => f.type)).toEqual(["stale"]);
  rig.depth(DEPTH, 12, [["100", "1"]], [], "snapshot");
  expect(rig.engine.status().stale).toEqual([]);
});

test("engine - a rung opened while the book is stale begins where the others stand, so a move to it keeps its chain", () => {
  const rig = new Rig();
  rig.join(DEPTH, 100);
  readyBook(rig);
  const from = rig.topic(DEPTH, 100);
  rig.publish(DEPTH, 11, { type: "stale", data: "checksum" });
  rig.tell({ is: "move", request: 99, from, key: { channel: DEPTH, rung: 250, dialect: "native", timeUnit: "ms" } });
  rig.clock.advance(300);
  rig.depth(DEPTH, 12, [["100", "1"]], [], "snapshot");
  expect(rig.frames(from).at(-1)).toMatchObject({ type: "snapshot", prev: 10, seq: 12 });
  expect(rig.frames(rig.topic(DEPTH, 250)).at(-1)).toMatchObject({ type: "snapshot", prev: 10, seq: 12 });
});

test("engine - a worker dies while another waits for the same channel: that one is answered and served", () => {
  const rig = new Rig();
  rig.join(TRADE, 0, "native", { worker: 1 });
  const request = rig.join(TRADE, 0, "native", { worker: 0 });
  rig.engine.workerGone(1);
  rig.ready(TRADE, { seq: 3 });
  expect(rig.answer(request)?.head).toMatchObject({ is: "joined", seq: 3 });
  rig.publish(TRADE, 4, trades(4));
  expect(rig.frames(rig.topic(TRADE, 0))).toMatchObject([{ prev: 3, seq: 4 }]);
});

test("engine - interest that ended before the channel was known leaves nothing behind", () => {
  const rig = new Rig();
  rig.join("btcusdt@bookTicker");
  rig.join(DEPTH);
  rig.engine.workerGone(0);
  readyBook(rig);
  expect(rig.engine.status()).toMatchObject({ channels: 0, topics: 0 });
  expect(rig.consumers.size).toBe(0);
});

test("engine - an answer that is too big is refused under a number that the worker can leave", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.ready(TRADE, { seq: 3 });
  rig.publish(TRADE, 4, trades(4));
  rig.ring.tooBig = (text) => text.includes('"joined"');
  const request = rig.join(TRADE, 0, "native", { since: { epoch: "e1", seq: 3 } });
  expect(rig.answer(request)).toMatchObject({ head: { is: "refused", code: 1501 }, topic: rig.topic(TRADE, 0) });
  const [announce, refusal] = rig.ring.records.slice(-2);
  expect([announce!.kind, refusal!.kind]).toEqual([RecordKind.ANNOUNCE, RecordKind.DIRECT]);
});
