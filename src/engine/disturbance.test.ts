/** Staleness, resyncs, gaps of the source and new epochs: what each dialect is told. */
import { expect, test } from "bun:test";
import { Rig } from "./testing/rig.ts";
import { book, DEPTH, readyBook, TRADE, trades } from "./testing/words.ts";

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

test("engine - a new epoch whose numbers are lower, for a store lost what was used: the gap is whole and ends where they begin", () => {
  const rig = new Rig();
  rig.join(TRADE);
  rig.ready(TRADE, { seq: 900 });
  rig.header = { ...rig.header, epoch: "e2" };
  rig.publish(TRADE, 500, trades(1), null);
  expect(rig.frames(rig.topic(TRADE, 0))).toMatchObject([
    { type: "gap", from: 499, seq: 499, epoch: "e2", data: { missed: null, reason: "epoch" } },
    { type: "items", prev: null, seq: 500, epoch: "e2" },
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

test("engine - a snapshot in the chain names its epoch", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  rig.depth(DEPTH, 11, [["100", "1"]], [], "snapshot");
  expect(rig.frames(rig.topic(DEPTH, 0))[0]).toMatchObject({ type: "snapshot", prev: 10, epoch: "e1" });
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

test("engine - what is said outside the chain stands behind what was flushed, also when the epoch has nothing yet", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  rig.depth(DEPTH, 11, [["99", "1"]]);
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(DEPTH, { seq: null }, "epoch");
  expect(rig.ring.records.findLast((r) => r.text.includes('"stale"'))!.fields.seq).toBe(11);
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

test("engine - who joins a stale book stands where its snapshot ends", () => {
  const rig = new Rig();
  rig.join(DEPTH);
  readyBook(rig);
  rig.publish(DEPTH, 11, { type: "stale", data: "checksum" });
  rig.clock.advance(60);
  const answer = rig.answer(rig.join(DEPTH, 0, "native", { worker: 1 }))!;
  expect(answer).toMatchObject({ head: { seq: 11 }, frames: [{ type: "snapshot", seq: 11 }, { type: "stale" }] });
});
