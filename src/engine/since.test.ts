/** Resume: what `since` brings, for each family. */
import { expect, test } from "bun:test";
import { Rig } from "./testing/rig.ts";
import { book, DEPTH, publication, readyBook, TRADE, trades } from "./testing/words.ts";

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
