import { expect, test } from "bun:test";
import type { Candle, Publication } from "../channel/types.ts";
import { Chain } from "./chain.ts";
import { TradeIds } from "./derive/trade-ids.ts";
import { History } from "./history.ts";
import { CandlesKeeper, CLOSED_CANDLES_MAX, ITEMS_HISTORY, ItemsKeeper } from "./keepers.ts";
import { oneEach } from "./merge.ts";
import { CEILING_STEP, freshBase, Numbering } from "./numbering.ts";
import { delta, json, snapshot, testRegistry } from "./testing/rig.ts";

const T = 1_767_225_600_000;

const publication = (seq: number, prev: number | null, receivedUs: number): Publication => ({
  ...json(T, String(seq)),
  type: "items",
  data: [{ json: String(seq) }],
  seq,
  prev,
  receivedUs,
});

test("history - bounded by count and by age, and answers only what it still holds", () => {
  const history = new History({ countMax: 1000, ageMaxMs: 60_000 });
  for (let seq = 1; seq <= 5000; seq++) history.push(publication(seq, seq === 1 ? null : seq - 1, 0));
  expect(history.size).toBe(1000);
  expect(history.all()[0]?.seq).toBe(4001);
  expect(history.after(3999)).toBeNull();
  expect(history.after(4000)).toHaveLength(1000);
  expect(history.after(4990)?.map((one) => one.seq)).toEqual([
    4991, 4992, 4993, 4994, 4995, 4996, 4997, 4998, 4999, 5000,
  ]);
  history.push(publication(5001, 5000, 60_000_001));
  expect(history.all().map((one) => one.seq)).toEqual([5001]);
  const fresh = new History(ITEMS_HISTORY);
  expect(fresh.after(1)).toBeNull();
  fresh.push(publication(10, null, 0));
  expect(fresh.after(3)).toHaveLength(1);
});

test("history - bounds of a topic's own, also none at all", () => {
  const nothing = new History({ countMax: 0, ageMaxMs: 60_000 });
  for (let seq = 1; seq <= 3; seq++) nothing.push(publication(seq, seq === 1 ? null : seq - 1, 0));
  expect([nothing.size, nothing.all(), nothing.after(2)]).toEqual([0, [], null]);
  const keeper = new ItemsKeeper(new TradeIds(), 1, () => {}, { countMax: 2 });
  for (let seq = 1; seq <= 3; seq++) keeper.remember(publication(seq, seq === 1 ? null : seq - 1, 0));
  expect(keeper.history().map((one) => one.seq)).toEqual([2, 3]);
});

test("keepers - closed candles are bounded; what is forgotten is not claimed", () => {
  const channel = testRegistry().resolve("btcusdt@kline_1s")!;
  const keeper = new CandlesKeeper();
  const chain = new Chain(channel, "", "topic", keeper);
  const candle = (openTime: number, closed: boolean) => ({ openTime, closed, interval: "1s" }) as Candle;
  for (let seq = 1; seq <= 2000; seq++) {
    const list = [candle(seq - 1, true), candle(seq, false)];
    keeper.take({ channel: channel.name, kind: "kline", user: "", time: T, type: "candles", data: list }, seq);
    chain.lastSeq = seq;
  }
  const kept = keeper.closed.length;
  expect(kept).toBeGreaterThanOrEqual(CLOSED_CANDLES_MAX);
  expect(kept).toBeLessThan(CLOSED_CANDLES_MAX + 64);
  expect(keeper.after(2000 - kept - 1, chain)).toBeNull();
  const after = keeper.after(1998, chain)!;
  expect(after.map(({ seq, prev }) => [seq, prev])).toEqual([
    [1999, 1998],
    [2000, 1999],
  ]);
  expect(after[1]?.data).toEqual([candle(1999, true), candle(2000, false)] as never);
  const history = keeper.history(chain);
  expect(history[0]?.prev).toBe(2000 - kept);
  expect(history.at(-1)?.seq).toBe(2000);
});

test("keepers - a source's own gap notice passes through", () => {
  const keeper = new ItemsKeeper(new TradeIds(), 1, () => {});
  const gap = { missed: 3, reason: "source" } as const;
  expect(keeper.take({ ...json(T, ""), kind: "trade", type: "gap", data: gap })).toEqual({ type: "gap", data: gap });
});

test("merge - one update per chain, nothing lost", () => {
  let merged = 0;
  const count = () => void merged++;
  const single = [json(T, "1"), snapshot(T, {})];
  expect(oneEach(single, count)).toBe(single);
  const other = { ...json(T, "3"), user: "ann" };
  expect(oneEach([json(T, "1"), other, json(T, "2")], count)).toEqual([json(T, "2"), other]);
  const twoDeltas = [delta(T, { bids: [["1", "1"]] }), delta(T + 1, { bids: [["1", "0"]], asks: [["2", "1"]] })];
  expect(oneEach(twoDeltas, count)).toEqual([
    delta(T + 1, {
      bids: [
        ["1", "1"],
        ["1", "0"],
      ],
      asks: [["2", "1"]],
    }),
  ]);
  const gap = { ...json(T, ""), type: "gap", data: { missed: 2, reason: "source" } } as const;
  const items = { ...json(T, ""), type: "items", data: [{ json: "1" }] } as const;
  expect(oneEach([items, gap], count)).toMatchObject([{ type: "gap", data: { missed: null } }]);
  expect(merged).toBe(3);
  const many = Array.from({ length: 20 }, (_, i) => ({ ...json(T, `${i}`), channel: `c${i % 19}` }));
  expect(oneEach(many, count)).toHaveLength(19);
});

test("numbering - a fresh base is above the ceiling and not behind the wall clock", () => {
  const nowUs = Date.UTC(2026, 10, 22) * 1000;
  const now = (Date.UTC(2026, 10, 22) - Date.UTC(2024, 0, 1)) * 100;
  expect(freshBase(nowUs, null)).toBe(now);
  expect(freshBase(nowUs, now - CEILING_STEP)).toBe(now);
  expect(freshBase(nowUs, now + CEILING_STEP)).toBe(now + CEILING_STEP + 1);
  expect(String(freshBase(nowUs, null))).toHaveLength(13);
  const until = freshBase(Date.UTC(2055, 0, 1) * 1000, null);
  expect(String(until).length).toBeLessThanOrEqual(14);
});

test("numbering - an epoch begun by its owner goes on right behind the last record", () => {
  const numbering = new Numbering({ id: "a", base: 100 });
  expect([0, 1, 5].every((offset) => numbering.take(offset))).toBe(true);
  expect([5, 4, 5.5, -1].some((offset) => numbering.take(offset))).toBe(false);
  expect(numbering.next("b")).toEqual({ id: "b", base: 106 });
  expect(numbering.offset).toBeNull();
  expect(numbering.next("c")).toEqual({ id: "c", base: 106 });
});
