/**
 * Resume, cell by cell: for each family what who comes back with `since` gets, in every situation (DESIGN 7).
 *
 * All channels have been served since seq 10, of which the owner's history reached back to 8; 11 to 15 followed here.
 */
import { expect, test } from "bun:test";
import type { Body, Candle } from "../channel/types.ts";
import type { Rung } from "../ring/messages.ts";
import type { HistoryLimits } from "./history-limits.ts";
import { type Frame, Rig } from "./testing/rig.ts";
import { book, trades } from "./testing/words.ts";

const NAMES = {
  items: "btcusdt@trade",
  book: "btcusdt@depth",
  value: "btcusdt@ticker",
  derived: "btcusdt@bookTicker",
  candles: "btcusdt@kline_1m",
} as const;
type Family = keyof typeof NAMES;
const FAMILIES = Object.keys(NAMES) as Family[];

const candle = (openTime: number, closed: boolean): Candle => ({
  interval: "1m",
  openTime,
  closeTime: openTime + 9,
  open: "1",
  high: "1",
  low: "1",
  close: "1",
  volume: "0",
  quoteVolume: "0",
  takerVolume: "0",
  takerQuoteVolume: "0",
  firstId: 0,
  lastId: 0,
  count: 1,
  closed,
  partial: false,
});

/** Candles last two publications: the one of an even seq closes and the next opens. */
function candlesOf(seq: number): Body {
  const current = candle(seq - (seq % 2), false);
  return { type: "candles", data: seq % 2 === 0 ? [candle(seq - 2, true), current] : [current] };
}

function bodyOf(family: Family, seq: number): Body {
  switch (family) {
    case "items":
      return trades(seq);
    case "value":
      return { type: "value", data: { bid: String(seq), bidQuantity: "1", ask: "200", askQuantity: "1" } };
    case "candles":
      return candlesOf(seq);
    default:
      return { type: "delta", data: { bids: [[String(seq), "1"]], asks: [["200", String(seq)]] } };
  }
}

/** The channel that is published on. */
const sourceOf = (family: Family): string => NAMES[family === "derived" ? "book" : family];

function ready(rig: Rig, family: Family, seq: number): void {
  const name = sourceOf(family);
  const state = family === "book" || family === "derived" ? book([["100", "1"]], [["200", "1"]]) : bodyOf(family, seq);
  const publication = (at: number) => ({
    ...bodyOf(family, at),
    channel: name,
    kind: "trade" as const,
    user: "",
    time: at,
    seq: at,
    prev: at - 1,
    receivedUs: 1,
  });
  const remembers = family === "items" || family === "candles";
  rig.ready(name, { seq, state, history: remembers ? [8, 9, 10].map(publication) : [] });
}

/** One who stays keeps the channel open on real time. */
function served(family: Family, limits: Partial<HistoryLimits> | null = null): Rig {
  const rig = new Rig({ historyOf: () => limits });
  rig.join(NAMES[family]);
  ready(rig, family, 10);
  for (let seq = 11; seq <= 15; seq++) rig.publish(sourceOf(family), seq, bodyOf(family, seq));
  rig.clock.advance(60);
  return rig;
}

interface Told {
  readonly recovered: boolean;
  readonly seq: number | null;
  readonly says: string[];
}

function resume(rig: Rig, family: Family, epoch: string, seq: number, rung: Rung = 0): Told {
  const request = rig.join(NAMES[family], rung, "native", { worker: 1, since: { epoch, seq } });
  rig.clock.advance(60);
  const answer = rig.answer(request);
  if (answer?.head.is !== "joined") throw new Error(`not joined: ${JSON.stringify(answer)}`);
  return { recovered: answer.head.recovered, seq: answer.head.seq, says: answer.frames.map(say) };
}

/** `items 11>13 [12,13]`: from prev to seq, and what is in it. */
function say({ type, prev, from, seq, epoch, data }: Frame): string {
  const named = epoch === null || epoch === undefined ? "" : ` in ${epoch}`;
  switch (type) {
    case "items":
      return `items ${prev}>${seq} [${data.map(({ t }: { t: number }) => t)}]${named}`;
    case "gap":
      return `gap ${from}..${seq} ${data.reason}${named}`;
    case "delta":
      return `delta ${prev}>${seq} [${data.bids.map(([price]: [string]) => price)}]`;
    case "candles":
      return `candles [${data.map(({ openTime, closed }: Candle) => `${openTime}${closed ? " closed" : ""}`)}]${named}`;
    case "stale":
      return "stale";
    default:
      return `${type} at ${seq}${named}`;
  }
}

test("since - one who has everything gets nothing, and is told so", () => {
  for (const family of FAMILIES)
    expect({ family, ...resume(served(family), family, "e1", 15) }).toEqual({
      family,
      recovered: true,
      seq: 15,
      says: [],
    });
});

test("since - what history holds", () => {
  expect(resume(served("items"), "items", "e1", 12)).toEqual({
    recovered: true,
    seq: 15,
    says: ["items 12>15 [13,14,15]"],
  });
  expect(resume(served("items"), "items", "e1", 8).says).toEqual(["items 8>15 [9,10,11,12,13,14,15]"]);
  expect(resume(served("book"), "book", "e1", 12)).toEqual({
    recovered: true,
    seq: 15,
    says: ["delta 12>15 [13,14,15]"],
  });
  expect(resume(served("value"), "value", "e1", 12)).toMatchObject({ recovered: true, seq: 15, says: ["value at 15"] });
  expect(resume(served("derived"), "derived", "e1", 12)).toMatchObject({ recovered: true, says: ["value at 15"] });
  expect(resume(served("candles"), "candles", "e1", 11)).toEqual({
    recovered: true,
    seq: 15,
    says: ["candles [10 closed,12 closed,14]"],
  });
  expect(resume(served("candles"), "candles", "e1", 14).says).toEqual(["candles [14]"]);
});

test("since - older than history: what is missing is said first", () => {
  expect(resume(served("items"), "items", "e1", 5)).toEqual({
    recovered: false,
    seq: 15,
    says: ["gap 6..7 history in e1", "items 7>15 [8,9,10,11,12,13,14,15] in e1"],
  });
  expect(resume(served("book"), "book", "e1", 9)).toEqual({
    recovered: false,
    seq: 15,
    says: ["snapshot at 15 in e1"],
  });
  // A value is whole each time: nothing of it can be missing.
  expect(resume(served("value"), "value", "e1", 1)).toMatchObject({ recovered: true, says: ["value at 15"] });
  expect(resume(served("candles"), "candles", "e1", 3)).toMatchObject({
    recovered: false,
    says: ["candles [6 closed,8 closed,10 closed,12 closed,14] in e1"],
  });
});

test("since - a bound by count or by age lets the oldest go, a closed candle counts as one", () => {
  for (const limits of [{ countMax: 2 }, { ageMaxMs: 0.001 }]) {
    const late = (family: Family) => {
      const rig = served(family, limits);
      // The later ones are received later.
      if ("ageMaxMs" in limits)
        for (const [seq, us] of [
          [16, 100],
          [17, 100],
        ] as const)
          rig.publish(sourceOf(family), seq, bodyOf(family, seq), undefined, us);
      return resume(rig, family, "e1", 12);
    };
    const end = "ageMaxMs" in limits ? 17 : 15;
    expect(late("items")).toMatchObject({
      recovered: false,
      says: [`gap 13..${end - 2} history in e1`, `items ${end - 2}>${end} [${end - 1},${end}] in e1`],
    });
    expect(late("book")).toMatchObject({ recovered: false, says: [`snapshot at ${end} in e1`] });
  }
  expect(resume(served("candles", { countMax: 2 }), "candles", "e1", 11)).toMatchObject({
    recovered: true,
    says: ["candles [10 closed,12 closed,14]"],
  });
  expect(resume(served("candles", { countMax: 1 }), "candles", "e1", 11)).toMatchObject({ recovered: false });
});

test("since - many channels share what a node keeps", () => {
  const rig = new Rig({ historyTotalMax: 4 });
  rig.join(NAMES.items);
  ready(rig, "items", 10);
  for (const seq of [11, 12, 13, 14, 15]) rig.publish(NAMES.items, seq, trades(seq));
  expect(resume(rig, "items", "e1", 11)).toMatchObject({ recovered: true });
  // A second history halves the share of the first from its next publication on, and gives it back when it is closed.
  rig.join(NAMES.book);
  ready(rig, "book", 10);
  rig.publish(NAMES.items, 16, trades(16));
  expect(resume(rig, "items", "e1", 13)).toMatchObject({ recovered: false });
  expect(resume(rig, "items", "e1", 14)).toMatchObject({ recovered: true });
  rig.tell({ is: "leave", topic: rig.topic(NAMES.book, 0) });
  rig.publish(NAMES.items, 17, trades(17));
  rig.publish(NAMES.items, 18, trades(18));
  expect(resume(rig, "items", "e1", 14)).toMatchObject({ recovered: true });
});

test("since - another epoch, whichever of the two numberings is ahead", () => {
  for (const seq of [5, 13, 99]) {
    const from = Math.min(seq + 1, 10);
    // The epoch began before our history: it begins with what is kept.
    expect(resume(served("items"), "items", "e0", seq)).toEqual({
      recovered: false,
      seq: 15,
      says: [`gap ${Math.min(from, 7)}..7 epoch in e1`, "items 7>15 [8,9,10,11,12,13,14,15] in e1"],
    });
    expect(resume(served("book"), "book", "e0", seq)).toMatchObject({
      recovered: false,
      seq: 15,
      says: ["snapshot at 15 in e1"],
    });
    for (const family of ["value", "derived"] as const)
      expect(resume(served(family), family, "e0", seq)).toMatchObject({
        recovered: false,
        seq: 15,
        says: ["value at 15 in e1"],
      });
    expect(resume(served("candles"), "candles", "e0", seq)).toMatchObject({
      recovered: false,
      says: ["candles [6 closed,8 closed,10 closed,12 closed,14] in e1"],
    });
  }
});

test("since - a new epoch here: the old one's position is void, the new one's counts", () => {
  for (const family of FAMILIES) {
    const rig = served(family);
    rig.header = { ...rig.header, epoch: "e2" };
    if (family === "book" || family === "derived")
      rig.publish(NAMES.book, 21, book([["100", "1"]], [["200", "1"]]), null);
    else rig.publish(sourceOf(family), 21, bodyOf(family, 21), null);
    rig.publish(sourceOf(family), 22, bodyOf(family, 22));
    expect({ family, ...resume(rig, family, "e1", 15) }).toMatchObject({ family, recovered: false, seq: 22 });
    expect({ family, ...resume(rig, family, "e2", 21) }).toMatchObject({ family, recovered: true, seq: 22 });
  }
  // Nothing of the new epoch yet: its first publication will name it.
  const rig = served("items");
  rig.header = { ...rig.header, epoch: "e2" };
  rig.ready(NAMES.items, {}, "epoch");
  expect(resume(rig, "items", "e1", 15)).toEqual({ recovered: false, seq: null, says: [] });
});

test("since - ahead of this node in the same epoch: nothing is repeated that could be taken for new", () => {
  expect(resume(served("items"), "items", "e1", 17)).toEqual({ recovered: false, seq: 15, says: [] });
  // By the client's rules an older snapshot or value of its epoch is ignored.
  expect(resume(served("book"), "book", "e1", 17)).toMatchObject({ recovered: false, says: ["snapshot at 15 in e1"] });
});

test("since - while stale: what is missing, then the word that it is not to be trusted", () => {
  for (const [family, says] of [
    ["book", ["delta 12>16 [13,14,15]", "stale"]],
    ["derived", ["value at 15", "stale"]],
  ] as const) {
    const rig = served(family);
    rig.publish(NAMES.book, 16, { type: "stale", data: "sequence" });
    expect(resume(rig, family, "e1", 12)).toMatchObject({ recovered: true, says });
  }
  for (const family of ["items", "value", "candles"] as const) {
    const rig = served(family);
    rig.consumers.get(NAMES[family])!.stale("no-head");
    const { recovered, says } = resume(rig, family, "e1", 12);
    expect({ family, recovered, last: says.at(-1) }).toEqual({ family, recovered: true, last: "stale" });
  }
});

test("since - across a change of cadence, in both directions", () => {
  // From a slow rung, which stood at 12, to real time, and from real time to a rung that has flushed nothing since 10.
  const slow = new Rig();
  slow.join(NAMES.items, 3000);
  ready(slow, "items", 10);
  for (const seq of [11, 12, 13]) slow.publish(NAMES.items, seq, trades(seq));
  expect(resume(slow, "items", "e1", 12, 3000)).toEqual({ recovered: true, seq: 13, says: ["items 12>13 [13]"] });
  expect(slow.frames(slow.topic(NAMES.items, 3000)).map(say)).toEqual(["items 10>13 [11,12,13] in e1"].map(unnamed));
  expect(resume(slow, "items", "e1", 11, 0)).toMatchObject({ recovered: true, says: ["items 11>13 [12,13]"] });

  for (const rung of [0, 3000] as const) {
    const rig = new Rig();
    rig.join(NAMES.book, 3000);
    ready(rig, "book", 10);
    for (const seq of [11, 12, 13]) rig.publish(NAMES.book, seq, bodyOf("book", seq));
    // Up to the state, whatever the rung has flushed: what it flushes then overlaps, and quantities are absolute.
    expect(resume(rig, "book", "e1", 12, rung)).toEqual({ recovered: true, seq: 13, says: ["delta 12>13 [13]"] });
  }
});

test("since - the last session left and the channel was closed: the owner's history serves who comes back", () => {
  for (const family of ["items", "candles"] as const) {
    const rig = served(family);
    rig.tell({ is: "leave", topic: rig.topic(NAMES[family], 0) });
    expect(rig.engine.status().channels).toBe(0);
    const request = rig.join(NAMES[family], 0, "native", { since: { epoch: "e1", seq: 8 } });
    ready(rig, family, 10);
    const { head, frames } = rig.answer(request)!;
    expect(head).toMatchObject({ recovered: true, seq: 10 });
    expect(frames.map(say)).toEqual([family === "items" ? "items 8>10 [9,10]" : "candles [8 closed,10]"]);
  }
});

const unnamed = (text: string): string => text.replace(/ in e1$/, "");
