/**
 * Resuming before the node has heard of the channel's owner: who comes back while the owner starts again was told that
 * nothing is known, and got all of the owner's history a second time.
 */
import { expect, test } from "bun:test";
import { Rig } from "./testing/rig.ts";
import { DEPTH, publication, readyBook, TRADE, trades } from "./testing/words.ts";
import { OWNER_WAIT_MS } from "./waiters.ts";

const history = [3, 4, 5].map((seq) => ({
  ...publication(seq),
  channel: TRADE,
  kind: "trade" as const,
  ...trades(seq),
}));
const UNKNOWN = { epoch: "", seq: null, recovered: false };

const nobodyKnows = (rig: Rig, name: string): void => rig.consumers.get(name)!.unavailable(1203, "no owner knows it");
const resume = (rig: Rig, name: string, seq: number, worker = 0): number =>
  rig.join(name, 0, "native", { worker, since: { epoch: "e1", seq } });

test("since unowned - who resumes waits for the owner and gets what followed; who has no position runs at once", () => {
  const rig = new Rig();
  const before = resume(rig, TRADE, 3);
  const without = rig.join(TRADE);
  nobodyKnows(rig, TRADE);
  expect(rig.answer(without)?.head).toMatchObject(UNKNOWN);
  const behind = resume(rig, TRADE, 4, 1);
  rig.clock.advance(OWNER_WAIT_MS - 1);
  nobodyKnows(rig, TRADE);
  expect([rig.answer(before), rig.answer(behind)]).toEqual([null, null]);
  rig.ready(TRADE, { seq: 5, history });
  expect(rig.answer(before)).toMatchObject({
    head: { epoch: "e1", seq: 5, recovered: true },
    frames: [{ type: "items", prev: 3, seq: 5 }],
  });
  expect(rig.answer(behind)).toMatchObject({
    head: { epoch: "e1", seq: 5, recovered: true },
    frames: [{ type: "items", prev: 4, seq: 5 }],
  });
  rig.publish(TRADE, 6, trades(6));
  expect(rig.frames(rig.topic(TRADE, 0)).at(-1)).toMatchObject({ type: "items", prev: 5, seq: 6 });
  rig.clock.advance(60_000);
  for (const request of [before, behind]) expect(rig.answers(request)).toHaveLength(1);
  rig.engine.close();
  expect(rig.clock.pending).toBe(0);
});

test("since unowned - what is derived from a book waits for the owner of the book", () => {
  const rig = new Rig();
  const request = resume(rig, "btcusdt@bookTicker", 8);
  nobodyKnows(rig, DEPTH);
  expect(rig.answer(request)).toBeNull();
  rig.clock.advance(100);
  readyBook(rig);
  expect(rig.answer(request)).toMatchObject({ head: { epoch: "e1", seq: 10, recovered: true }, frames: [{ seq: 10 }] });
});

test("since unowned - another epoch of the owner that appears is told as a gap", () => {
  const rig = new Rig();
  const request = resume(rig, TRADE, 3);
  nobodyKnows(rig, TRADE);
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(TRADE, { seq: 5, history });
  expect(rig.answer(request)).toMatchObject({
    head: { epoch: "e2", recovered: false },
    frames: [
      { type: "gap", data: { missed: null, reason: "epoch" } },
      { type: "items", seq: 5 },
    ],
  });
});

test("since unowned - without an owner the wait ends, for all channels at the same time, and soon none begins again", () => {
  const rig = new Rig();
  const one = resume(rig, TRADE, 3);
  nobodyKnows(rig, TRADE);
  rig.clock.advance(OWNER_WAIT_MS - 1);
  const other = resume(rig, DEPTH, 3);
  nobodyKnows(rig, DEPTH);
  expect([rig.answer(one), rig.answer(other)]).toEqual([null, null]);
  rig.clock.advance(1);
  expect(rig.answer(one)?.head).toMatchObject(UNKNOWN);
  expect(rig.answer(other)?.head).toMatchObject(UNKNOWN);
  expect(rig.answer(resume(rig, TRADE, 3, 1))?.head).toMatchObject(UNKNOWN);
  rig.clock.advance(30_000);
  const later = resume(rig, TRADE, 3, 2);
  expect(rig.answer(later)).toBeNull();
  rig.ready(TRADE, { seq: 5, history });
  expect(rig.answer(later)?.head).toMatchObject({ epoch: "e1", recovered: true });
});

test("since unowned - an owner that does not answer is told at once; a worker that died leaves nothing behind", () => {
  const rig = new Rig();
  const refused = resume(rig, DEPTH, 3);
  rig.consumers.get(DEPTH)!.unavailable(1501, "its owner does not answer");
  expect(rig.answer(refused)?.head).toMatchObject({ is: "refused", code: 1501 });
  const request = resume(rig, TRADE, 3);
  nobodyKnows(rig, TRADE);
  rig.engine.workerGone(0);
  rig.clock.advance(OWNER_WAIT_MS);
  expect(rig.answer(request)).toBeNull();
  expect(rig.engine.status()).toMatchObject({ channels: 0, topics: 0 });
});
