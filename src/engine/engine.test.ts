import { expect, test } from "bun:test";
import type { Candle, Trade } from "../channel/types.ts";
import { RecordKind } from "../ring/messages.ts";
import { Rig } from "./testing/rig.ts";

const DEPTH = "btcusdt@depth";
const TRADE = "btcusdt@trade";
const trade = (id: number): Trade => ({ id: String(id), t: id, price: "1", quantity: "1", side: "buy", time: id });
const trades = (...ids: number[]) => ({ type: "items" as const, data: ids.map(trade) });
const book = (bids: [string, string][], asks: [string, string][] = []) => ({
  type: "snapshot" as const,
  data: { bids, asks },
});

const publication = (seq: number) => ({
  channel: DEPTH,
  kind: "depth" as const,
  user: "",
  time: seq,
  seq,
  prev: seq - 1,
  receivedUs: 1,
});

function readyBook(rig: Rig, seq = 10): void {
  rig.ready(DEPTH, { seq, state: book([["100", "1"]], [["101", "1"]]) });
}

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
  expect(answer.head).toEqual({ is: "joined", epoch: "e1", seq: 10, recovered: false, later: "ask" });
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

test("engine - since: items after it, or a gap first where history does not reach back", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.ready(TRADE, { seq: 3 });
  rig.publish(TRADE, 4, trades(4));
  rig.publish(TRADE, 5, trades(5));
  const exact = rig.answer(rig.join(TRADE, 0, "native", { since: { epoch: "e1", seq: 4 } }))!;
  expect(exact.head).toMatchObject({ recovered: true, seq: 5 });
  expect(exact.frames).toMatchObject([{ type: "items", prev: 4, seq: 5 }]);
  const far = rig.answer(rig.join(TRADE, 0, "native", { since: { epoch: "e1", seq: 1 } }))!;
  expect(far.head).toMatchObject({ recovered: false, seq: 5 });
  expect(far.frames[0]).toMatchObject({ type: "gap", from: 2, seq: 3 });
  expect(far.frames[1]).toMatchObject({ type: "items", prev: 3, seq: 5 });
  const other = rig.answer(rig.join(TRADE, 0, "native", { since: { epoch: "e0", seq: 2 } }))!;
  expect(other.head).toMatchObject({ recovered: false });
  expect(other.frames[0]).toMatchObject({ type: "gap", data: { missed: null, reason: "epoch" } });
});

test("engine - since: a book gets one merged delta, or a snapshot from another epoch", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  rig.depth(DEPTH, 11, [["100", "2"]]);
  rig.depth(DEPTH, 12, [["100", "0"]]);
  rig.clock.advance(60);
  const near = rig.join(DEPTH, 0, "native", { since: { epoch: "e1", seq: 10 } });
  rig.clock.advance(60);
  expect(rig.answer(near)!.frames).toMatchObject([
    { type: "delta", prev: 10, from: 11, seq: 12, data: { bids: [["100", "0"]] } },
  ]);
  const other = rig.join(DEPTH, 0, "native", { since: { epoch: "e0", seq: 10 } });
  rig.clock.advance(60);
  expect(rig.answer(other)!.frames).toMatchObject([{ type: "snapshot", seq: 12, epoch: "e1" }]);
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

test("engine - resync in the chain: flush, stale, then one snapshot for native and one repair delta for Binance", () => {
  const rig = new Rig();
  rig.join(DEPTH, 100);
  rig.join(DEPTH, 100, "binance");
  readyBook(rig);
  const native = rig.topic(DEPTH, 100);
  const binance = rig.topic(DEPTH, 100, "binance");
  rig.depth(DEPTH, 11, [["99", "5"]]);
  rig.publish(DEPTH, 12, { type: "stale", data: "checksum" });
  expect(rig.frames(native).map((f) => f.type)).toEqual(["delta", "stale"]);
  expect(rig.frames(binance).map((f) => f.type)).toEqual(["delta"]);
  expect(rig.controls()).toContainEqual({ do: "stale", topic: binance });
  expect(rig.engine.status().stale).toEqual([{ channel: DEPTH, reason: "checksum" }]);
  rig.depth(
    DEPTH,
    13,
    [
      ["100", "1"],
      ["98", "2"],
    ],
    [["101", "1"]],
    "snapshot",
  );
  expect(rig.frames(native).at(-1)).toMatchObject({ type: "snapshot", prev: 11, seq: 13 });
  const repair = rig.frames(binance).at(-1)!;
  expect(repair).toMatchObject({ type: "delta", prev: 11, seq: 13 });
  expect(repair.data.bids.toSorted()).toEqual([
    ["98", "2"],
    ["99", "0"],
  ]);
  expect(rig.controls()).toContainEqual({ do: "fresh", topic: binance });
  expect(rig.engine.status().stale).toEqual([]);
});

test("engine - stale for 5 s closes the Binance sessions that saw it turn", () => {
  const rig = new Rig();
  rig.join(DEPTH, 100, "binance");
  readyBook(rig);
  rig.publish(DEPTH, 12, { type: "stale", data: "sequence" });
  rig.clock.advance(4900);
  expect(rig.controls().some((c) => c.do === "closeStale")).toBe(false);
  rig.clock.advance(200);
  expect(rig.controls().filter((c) => c.do === "closeStale")).toMatchObject([{ code: 1012 }]);
});

test("engine - a new epoch: rungs are flushed, books start over, Binance sessions are closed before it", () => {
  const rig = new Rig();
  rig.join(DEPTH, 1000);
  rig.join(DEPTH, 1000, "binance");
  readyBook(rig);
  const native = rig.topic(DEPTH, 1000);
  const binance = rig.topic(DEPTH, 1000, "binance");
  rig.depth(DEPTH, 11, [["99", "5"]]);
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(DEPTH, { seq: 500, state: book([["90", "1"]]) }, "epoch");
  expect(rig.frames(native)).toMatchObject([
    { type: "delta", seq: 11 },
    { type: "snapshot", prev: null, seq: 500, epoch: "e2" },
  ]);
  expect(rig.controls()).toMatchObject([
    { do: "closeTopic", topic: binance, code: 1012 },
    { do: "epoch", topic: native, epoch: "e2" },
    { do: "epoch", topic: binance, epoch: "e2" },
  ]);
});

test("engine - a new epoch on a lossless channel: gap, then items with prev null; Binance is closed", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.join(TRADE, 0, "binance");
  rig.ready(TRADE, { seq: 3 });
  const native = rig.topic(TRADE, 0);
  rig.header = { ...rig.header, epoch: "e2" };
  rig.publish(TRADE, 900, trades(1), null);
  expect(rig.frames(native)).toMatchObject([
    { type: "gap", from: 4, seq: 899, data: { missed: null, reason: "epoch" } },
    { type: "items", prev: null, seq: 900, epoch: "e2" },
  ]);
  expect(rig.controls().filter((c) => c.do === "closeTopic")).toMatchObject([
    { topic: rig.topic(TRADE, 0, "binance"), code: 1012 },
  ]);
});

test("engine - a gap of the source keeps its place between items, and closes Binance sessions", () => {
  const rig = new Rig();
  rig.join(TRADE, 1000);
  rig.join(TRADE, 1000, "binance");
  rig.ready(TRADE, { seq: 3 });
  rig.publish(TRADE, 4, trades(4));
  rig.publish(TRADE, 5, { type: "gap", data: { missed: null, reason: "source" } });
  rig.publish(TRADE, 6, trades(6));
  rig.clock.advance(1000);
  expect(rig.frames(rig.topic(TRADE, 1000)).map((f) => [f.type, f.prev, f.seq])).toEqual([
    ["items", 3, 4],
    ["gap", 4, 5],
    ["items", 5, 6],
  ]);
  expect(rig.controls()).toMatchObject([{ do: "closeTopic", code: 1012 }]);
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

test("engine - REST depth is cached, and never behind a Binance stream", async () => {
  const rig = new Rig();
  const asked = rig.engine.depth(DEPTH, 5);
  readyBook(rig);
  expect(await asked).toMatchObject({ is: "depth", body: { lastUpdateId: 10 } });
  rig.depth(DEPTH, 11, [["99", "5"]]);
  expect(await rig.engine.depth(DEPTH, 5)).toMatchObject({ body: { lastUpdateId: 10 } });
  // A Binance stream that starts now starts at 11: the cached reply of 10 would be older.
  rig.join(DEPTH, 100, "binance");
  expect(await rig.engine.depth(DEPTH, 5)).toMatchObject({ body: { lastUpdateId: 11 } });
  rig.depth(DEPTH, 12, [["99", "6"]]);
  rig.clock.advance(100);
  expect(await rig.engine.depth(DEPTH, 5)).toMatchObject({ body: { lastUpdateId: 12 } });
  expect(await rig.engine.depth("nope@depth", 5)).toEqual({ is: "unknown" });
});

test("engine - REST depth of a book that nobody answers for, or that is stale, is unavailable", async () => {
  const rig = new Rig();
  const asked = rig.engine.depth(DEPTH, 5);
  rig.clock.advance(301);
  expect(await asked).toEqual({ is: "unavailable" });
  readyBook(rig);
  rig.publish(DEPTH, 12, { type: "stale", data: "sequence" });
  expect(await rig.engine.depth(DEPTH, 5)).toEqual({ is: "unavailable" });
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

test("engine - an owner that does not answer refuses the join with a code", () => {
  const rig = new Rig();
  const request = rig.join(TRADE);
  rig.consumers.get(TRADE)!.unavailable(1501, "the owner does not answer");
  expect(rig.answer(request)?.head).toMatchObject({ is: "refused", code: 1501 });
  expect(rig.engine.status().channels).toBe(0);
});

test("engine - silence of the owner: stale, then what is known again when it is back", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  rig.consumers.get(DEPTH)!.stale("no-head");
  rig.consumers.get(DEPTH)!.fresh();
  expect(rig.frames(rig.topic(DEPTH, 0)).map((f) => f.type)).toEqual(["stale", "snapshot"]);
});

test("engine - healing without history: a lossless channel hears of the gap, a book gets one snapshot in its chain", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.join(DEPTH);
  readyBook(rig);
  rig.ready(TRADE, { seq: 3 });
  rig.ready(TRADE, { seq: 9 }, "heal");
  rig.publish(TRADE, 12, trades(12));
  rig.ready(DEPTH, { seq: 20, state: book([["100", "9"]]) }, "heal");
  expect(rig.frames(rig.topic(TRADE, 0))).toMatchObject([
    { type: "gap", prev: 3, from: 4, seq: 9 },
    { type: "items", prev: 9, seq: 12 },
  ]);
  expect(rig.frames(rig.topic(DEPTH, 0))).toMatchObject([{ type: "snapshot", prev: 10, seq: 20 }]);
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

test("engine - a snapshot in the chain names its epoch", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  rig.depth(DEPTH, 11, [["100", "1"]], [], "snapshot");
  expect(rig.frames(rig.topic(DEPTH, 0))[0]).toMatchObject({ type: "snapshot", prev: 10, epoch: "e1" });
});

test("engine - REST depth of a book that never had a publication is unavailable", async () => {
  const rig = new Rig();
  const asked = rig.engine.depth(DEPTH, 5);
  rig.ready(DEPTH);
  expect(await asked).toEqual({ is: "unavailable" });
});

test("engine - since: the owner's history across a snapshot is no chain of deltas", () => {
  const rig = new Rig();
  const history = [
    { ...publication(8), type: "delta" as const, data: { bids: [["97", "1"] as [string, string]], asks: [] } },
    { ...publication(9), ...book([["100", "1"]]) },
    { ...publication(10), type: "delta" as const, data: { bids: [["99", "1"] as [string, string]], asks: [] } },
  ];
  const state = book([
    ["100", "1"],
    ["99", "1"],
  ]);
  rig.join(DEPTH);
  rig.ready(DEPTH, { seq: 10, state, history });
  const answer = (seq: number) => {
    const request = rig.join(DEPTH, 0, "native", { since: { epoch: "e1", seq } });
    rig.clock.advance(60);
    return rig.answer(request)!;
  };
  expect(answer(8)).toMatchObject({ head: { recovered: false }, frames: [{ type: "snapshot", seq: 10 }] });
  expect(answer(9)).toMatchObject({ head: { recovered: true }, frames: [{ type: "delta", prev: 9, seq: 10 }] });
});

test("engine - since: who comes from a faster rung is not sent back", () => {
  const rig = new Rig();
  rig.join(TRADE, 1000);
  rig.ready(TRADE, { seq: 3 });
  rig.publish(TRADE, 4, trades(4));
  rig.publish(TRADE, 5, trades(5));
  const request = rig.join(TRADE, 1000, "native", { worker: 1, since: { epoch: "e1", seq: 4 } });
  expect(rig.answer(request)).toMatchObject({
    head: { recovered: true, seq: 5 },
    frames: [{ type: "items", prev: 4, seq: 5 }],
  });
});

test("engine - since an older epoch: the source's gap in the new one is told too", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.ready(TRADE, { seq: null });
  rig.publish(TRADE, 10, trades(1), null);
  rig.publish(TRADE, 11, { type: "gap", data: { missed: null, reason: "source" } });
  rig.publish(TRADE, 12, trades(2));
  const request = rig.join(TRADE, 0, "native", { since: { epoch: "e0", seq: 5 } });
  expect(rig.answer(request)!.frames).toMatchObject([
    { type: "gap", from: 6, seq: 9, data: { reason: "epoch" } },
    { type: "items", prev: 9, seq: 10 },
    { type: "gap", from: 11, seq: 11, data: { reason: "source" } },
    { type: "items", prev: 11, seq: 12 },
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

test("engine - healed to a book that is stale at its owner: nothing of it goes out, clients are told", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  rig.join(DEPTH, 0, "binance");
  readyBook(rig);
  rig.ready(DEPTH, { seq: 20, state: book([["100", "666"]]), stale: true }, "heal");
  expect(rig.frames(rig.topic(DEPTH, 0)).map((f) => f.type)).toEqual(["stale"]);
  expect(rig.controls()).toContainEqual({ do: "stale", topic: rig.topic(DEPTH, 0, "binance") });
  rig.depth(DEPTH, 21, [["100", "2"]], [["101", "1"]], "snapshot");
  const [repair] = rig.frames(rig.topic(DEPTH, 0, "binance"));
  expect(repair).toMatchObject({ type: "delta", prev: 10, seq: 21, data: { bids: [["100", "2"]] } });
});

test("engine - who joins a value derived from a stale book is told, and told when it ends", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  rig.publish(DEPTH, 11, { type: "stale", data: "checksum" });
  const request = rig.join("btcusdt@bookTicker");
  expect(rig.answer(request)!.frames.map((f) => f.type)).toEqual(["value", "stale"]);
  rig.depth(DEPTH, 12, [["100", "1"]], [["101", "1"]], "snapshot");
  expect(rig.frames(rig.topic("btcusdt@bookTicker", 0))).toMatchObject([{ type: "value", seq: 12 }]);
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

test("engine - a new epoch without a book yet: who shows that of the old one is told", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(DEPTH, { seq: null }, "epoch");
  expect(rig.frames(rig.topic(DEPTH, 0)).map((f) => f.type)).toEqual(["stale"]);
  rig.header = { ...rig.header, epoch: "e3" };
  rig.ready(DEPTH, { seq: null }, "epoch");
  expect(rig.engine.status().stale).toHaveLength(1);
  rig.depth(DEPTH, 500, [["100", "1"]]);
  expect(rig.frames(rig.topic(DEPTH, 0)).at(-1)).toMatchObject({ type: "snapshot", prev: null, seq: 500, epoch: "e3" });
  expect(rig.engine.status().stale).toEqual([]);
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

test("engine - a channel whose owner did not answer refuses at once while REST keeps it, and serves when it answers", async () => {
  const rig = new Rig();
  const asked = rig.engine.depth(DEPTH, 5);
  rig.consumers.get(DEPTH)!.unavailable(1501, "the owner does not answer");
  expect(await asked).toEqual({ is: "unavailable" });
  expect(rig.answer(rig.join(DEPTH))?.head).toMatchObject({ is: "refused", code: 1501 });
  expect(rig.answer(rig.join("btcusdt@bookTicker"))?.head).toMatchObject({ is: "refused", code: 1501 });
  expect(rig.engine.status().channels).toBe(1);
  readyBook(rig);
  expect(rig.answer(rig.join(DEPTH))?.head).toMatchObject({ is: "joined", seq: 10 });
});

test("engine - what is said outside the chain stands behind what was flushed, also when the epoch has nothing yet", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  rig.depth(DEPTH, 11, [["99", "1"]]);
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(DEPTH, { seq: null }, "epoch");
  expect(rig.ring.records.findLast((r) => r.text.includes('"stale"'))!.fields.seq).toBe(11);
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

test("engine - a new epoch is told to lossless sessions that had seen nothing of the old one, and to those that move", () => {
  const rig = new Rig();
  rig.join(TRADE, 100);
  rig.ready(TRADE);
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(TRADE, { seq: null }, "epoch");
  const key = { channel: TRADE, rung: 0, dialect: "native", timeUnit: "ms" } as const;
  rig.tell({ is: "move", request: 50, from: rig.topic(TRADE, 100), key });
  rig.clock.advance(100);
  rig.publish(TRADE, 900, trades(1), null);
  rig.clock.advance(100);
  for (const rung of [0, 100] as const) {
    expect(rig.frames(rig.topic(TRADE, rung))).toMatchObject([
      { type: "gap", from: 0, seq: 899, data: { reason: "epoch" } },
      { type: "items", prev: null, seq: 900, epoch: "e2" },
    ]);
  }
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

test("engine - a storm of REST requests costs one timer and a bounded number of bodies", async () => {
  const rig = new Rig();
  const asked = rig.engine.depth(DEPTH, 5);
  readyBook(rig);
  await asked;
  const pending = rig.clock.pending;
  for (let limit = 1; limit <= 500; limit++) await rig.engine.depth(DEPTH, limit);
  expect(rig.clock.pending).toBe(pending);
  expect(rig.engine.status().channels).toBe(1);
  rig.clock.advance(30_000);
  await rig.engine.depth(DEPTH, 5);
  rig.clock.advance(59_000);
  expect(rig.engine.status().channels).toBe(1);
  rig.clock.advance(2000);
  expect(rig.engine.status().channels).toBe(0);
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

test("engine - who joins a stale book stands where its snapshot ends", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  rig.publish(DEPTH, 11, { type: "stale", data: "checksum" });
  rig.clock.advance(60);
  const answer = rig.answer(rig.join(DEPTH, 0, "native", { worker: 1 }))!;
  expect(answer).toMatchObject({ head: { seq: 11 }, frames: [{ type: "snapshot", seq: 11 }, { type: "stale" }] });
});

test("engine - since: the repair of a book that was stale when it was first heard of is nobody's delta", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  rig.ready(DEPTH, { seq: 10, state: book([["100", "666"]]), stale: true });
  rig.depth(DEPTH, 12, [["98", "1"]], [], "snapshot");
  rig.depth(DEPTH, 13, [["97", "1"]]);
  const answer = (seq: number) => {
    const request = rig.join(DEPTH, 0, "native", { since: { epoch: "e1", seq } });
    rig.clock.advance(60);
    return rig.answer(request)!;
  };
  expect(answer(10)).toMatchObject({ head: { recovered: false }, frames: [{ type: "snapshot", seq: 13 }] });
  expect(answer(12)).toMatchObject({ head: { recovered: true }, frames: [{ type: "delta", prev: 12, seq: 13 }] });
});
