import { expect, test } from "bun:test";
import { trade } from "../testing/rig.ts";
import { aggregate } from "./aggregate.ts";
import { numberAggTrades, TradeIds } from "./trade-ids.ts";

test("aggTrade - neighbours of one record with the same side, price and time are one", () => {
  const list = [
    trade(1, "10.0", "1.50", { t: 1 }),
    trade(1, "10.0", "0.25", { t: 2 }),
    trade(1, "10.0", "1", { t: 3, side: "sell" }),
    trade(1, "10.1", "1", { t: 4, side: "sell" }),
    trade(2, "10.1", "1", { t: 5, side: "sell" }),
    trade(1, "10.0", "1.50", { t: 6 }),
  ];
  expect(aggregate(list, 100)).toEqual([
    { a: 100, price: "10.0", quantity: "1.75", firstId: 1, lastId: 2, side: "buy", time: 1 },
    { a: 101, price: "10.0", quantity: "1", firstId: 3, lastId: 3, side: "sell", time: 1 },
    { a: 102, price: "10.1", quantity: "1", firstId: 4, lastId: 4, side: "sell", time: 1 },
    { a: 103, price: "10.1", quantity: "1", firstId: 5, lastId: 5, side: "sell", time: 2 },
    { a: 104, price: "10.0", quantity: "1.50", firstId: 6, lastId: 6, side: "buy", time: 1 },
  ]);
  expect(aggregate([], 1)).toEqual([]);
});

test("trade ids - the source's where it has them", () => {
  const ids = new TradeIds();
  const list = [trade(1, "1", "1", { id: "77", t: 77 })];
  expect(ids.number(list, 1000)).toBe(list);
  expect(ids.number([trade(1, "1", "1", { t: 78 })], 1000)?.[0]).toMatchObject({ id: "78", t: 78 });
  // Decided by the first trade: one without an id cannot follow.
  expect(ids.number([trade(1, "1", "1")], 1000)).toBeNull();
  expect(ids.number([trade(1, "1", "1", { t: 10 ** 14 })], 1000)).toBeNull();
});

test("trade ids - a counter where the source has none, or none that is a number below 10^14", () => {
  const ids = new TradeIds();
  const numbered = ids.number([trade(1, "1", "1", { id: "5c35" }), trade(1, "1", "1")], 1000);
  expect(numbered?.map(({ id, t }) => [id, t])).toEqual([
    ["5c35", 1000],
    ["1001", 1001],
  ]);
  expect(ids.number([trade(1, "1", "1", { t: 5 })], 1002)?.[0]?.t).toBe(1002);
});

test("trade ids - aggTrades of a source keep their number or are counted", () => {
  const agg = { a: 9, price: "1", quantity: "1", firstId: 1, lastId: 1, side: "buy", time: 1 } as const;
  expect(numberAggTrades([agg], 50)).toEqual([agg]);
  expect(numberAggTrades([{ ...agg, a: -1 }, agg], 50).map((one) => one.a)).toEqual([50, 51]);
});
