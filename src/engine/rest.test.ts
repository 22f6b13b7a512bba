/** Books for REST. */
import { expect, test } from "bun:test";
import { Rig } from "./testing/rig.ts";
import { DEPTH, readyBook } from "./testing/words.ts";

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

test("engine - REST depth of a book that never had a publication is unavailable", async () => {
  const rig = new Rig();
  const asked = rig.engine.depth(DEPTH, 5);
  rig.ready(DEPTH);
  expect(await asked).toEqual({ is: "unavailable" });
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
