/** The verifiers of markets find what they are there to find. */
import { expect, test } from "bun:test";
import { NativeStream, type Push } from "../native-stream.ts";
import { BookCheck, Tally, TradeCheck, Twin } from "./checks.ts";
import { SymbolMarket } from "./market.ts";

const items = (prev: number, seq: number, ...ids: number[]): Push => ({
  channel: "x@trade",
  type: "items",
  prev,
  seq,
  data: ids.map((id) => ({ id: String(id) })),
});

test("market checks - a trade that is missing or comes twice is a fault, unless a gap was told", () => {
  const tally = new Tally();
  const stream = new NativeStream("x@trade", { epoch: "e", seq: 0 });
  const check = new TradeCheck("x", stream, tally);
  const take = (push: Push): void => {
    stream.take(push);
    check.look();
  };
  take(items(0, 1, 1, 2));
  take(items(1, 2, 3));
  expect([tally.faults, check.last]).toEqual([[], 3]);
  take(items(2, 3, 5));
  expect(tally.faults).toEqual(["x: trade 5 behind 3, and nothing was told"]);
  take({ channel: "x@trade", type: "gap", missed: null, from: 4, to: 4 });
  take(items(4, 5, 8));
  expect([tally.faultCount, tally.missed, tally.told]).toEqual([1, { spot: 2, usdm: 0 }, 1]);
  take(items(5, 6, 8));
  expect(tally.faults.at(-1)).toBe("x: trade 8 behind 8");
  for (let id = 9; id < 30; id++) take(items(id - 3, id - 2, id));
  expect([tally.faultCount, check.last, stream.faults]).toEqual([2, 29, []]);
});

test("market checks - a book is compared with the source's of its version, whichever that is", () => {
  const market = new SymbolMarket("x", 7);
  const tally = new Tally();
  const stream = new NativeStream("x@depth", null);
  const check = new BookCheck("x", stream, new Twin("x", 7), tally);
  let seq = 0;
  const show = (more: [string, string][] = []): void => {
    const { bids, asks } = market.depth;
    stream.take({
      channel: "x@depth",
      type: "snapshot",
      epoch: "e",
      seq: ++seq,
      data: { bids: [...bids, ...more], asks },
    });
    check.look();
  };
  while (market.version < 200) {
    const before = market.version;
    market.next(0);
    if (market.version > before && market.version % 7 === 0) show();
  }
  expect([tally.faults, tally.books, check.version]).toEqual([[], 28, 196]);
  show([["9000", "1"]]);
  expect(tally.faults).toEqual(["x: version 200 at seq 29 is not the source's book"]);
});

test("market checks - records of one market are the same each time, and chain", () => {
  const [one, two] = [new SymbolMarket("x", 3), new SymbolMarket("x", 3)];
  const records = Array.from({ length: 300 }, () => one.next(5));
  expect(records).toEqual(Array.from({ length: 300 }, () => two.next(5)));
  const depth = records.map((text) => JSON.parse(text)).filter(({ type }) => type !== undefined);
  expect(depth.map(({ seq }) => seq)).toEqual(depth.map((_, at) => at + 1));
  expect(depth.filter(({ type }) => type === "snapshot").length).toBeGreaterThan(3);
});
