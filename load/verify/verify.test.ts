/** The verifier finds what it is there for, and nothing where nothing is wrong. */
import { expect, test } from "bun:test";
import { Histogram } from "../histogram.ts";
import { textFrame } from "../socket/frames.ts";
import { Tally } from "../tally.ts";
import { BinanceFeed } from "./binance.ts";
import { Checks } from "./checks.ts";
import type { Feed, FeedPlan } from "./feed.ts";
import { NativeFeed } from "./native.ts";

const planOf = (...names: string[]): FeedPlan => ({
  names,
  indexOf: new Map(names.map((name, at) => [name, at])),
  hasBook: true,
  command: { id: 1, op: "subscribe", channels: names },
  subscribeFrame: textFrame("{}"),
});

interface Rig {
  readonly tally: Tally;
  readonly checks: Checks;
  /** Another session, with everything it keeps. */
  native(...names: string[]): Feed;
  binance(combined: boolean, ...names: string[]): Feed;
}

function rig(): Rig {
  const tally = new Tally();
  const checks = new Checks(tally, "books");
  const depthUrl = (): string => "http://127.0.0.1:1/";
  return {
    tally,
    checks,
    native: (...names) => new NativeFeed(planOf(...names), checks, true),
    binance: (combined, ...names) =>
      new BinanceFeed(planOf(...names), { combined, byUrl: false, trust: {}, depthUrl }, checks, false),
  };
}

const latency = new Histogram();
function give(feed: Feed, ...frames: (string | object)[]): void {
  for (const frame of frames) {
    const bytes = Buffer.from(`..${typeof frame === "string" ? frame : JSON.stringify(frame)}..`);
    feed.text(bytes, 2, bytes.length - 2, latency);
  }
}
/** Kinds that were found, `chain 2`. */
const found = ({ faults }: Tally): string[] =>
  Object.entries(faults).flatMap(([kind, count]) => (count > 0 ? [`${kind} ${count}`] : []));

const at = { time: 1, sentUs: 1 };
const reply = (channel: string, seq: number | null, epoch = "k1", recovered = false): object => ({
  id: 1,
  ok: true,
  channels: { [channel]: { epoch, seq, cadence: 0, recovered } },
});
type Levels = [string, string][];
const snapshot = (seq: number, bids: Levels, asks: Levels, prev?: number): object => ({
  channel: "x@depth",
  type: "snapshot",
  epoch: "k1",
  ...(prev === undefined ? {} : { prev }),
  seq,
  ...at,
  data: { bids, asks },
});
const delta = (prev: number, seq: number, bids: Levels, asks: Levels = []): object => ({
  channel: "x@depth",
  type: "delta",
  prev,
  from: prev + 1,
  seq,
  ...at,
  data: { bids, asks },
});
const trades = (prev: number | null, seq: number, ...ids: number[]): object => ({
  channel: "x@trade",
  type: "items",
  prev,
  seq,
  ...at,
  data: ids.map((id) => ({ id: String(id), price: "1", quantity: "1", side: "buy", time: 1 })),
});
const value = (prev: number | null, seq: number): object => ({
  channel: "c0",
  type: "value",
  prev,
  seq,
  ...at,
  data: { ts: 1 },
});

const BASE = snapshot(
  10,
  [
    ["99", "1"],
    ["98", "1"],
  ],
  [["101", "1"]],
);

test("load verify - a whole book, trades and values are no fault", () => {
  const { tally, native } = rig();
  const feed = native("x@depth", "x@trade", "c0");
  give(feed, BASE, reply("x@depth", 10), reply("x@trade", 50), reply("c0", 7));
  give(
    feed,
    delta(9, 12, [["99", "2"]]),
    delta(12, 13, [["98", "0"]]),
    trades(50, 52, 1, 2),
    trades(52, 53, 3),
    value(6, 7),
    value(7, 9),
  );
  give(feed, snapshot(13, [["99", "2"]], [["101", "1"]]), delta(13, 15, [["97", "1"]]));
  expect(found(tally)).toEqual([]);
  expect(tally.counts).toMatchObject({ messages: 9, links: 9, ids: 2, books: 5, compared: 1, overlaps: 0 });
});

test("load verify - a lost delta is one break of the chain, and the rest is verified from there", () => {
  const { tally, native } = rig();
  const feed = native("x@depth");
  give(feed, BASE, delta(10, 12, []), delta(14, 15, []), delta(15, 16, []));
  expect(found(tally)).toEqual(["chain 1"]);
  expect(tally.samples).toEqual(["chain: x@depth: delta 14..15 after 12"]);
  give(feed, delta(17, 18, []));
  expect(found(tally)).toEqual(["chain 2"]);
});

test("load verify - lost and doubled items and a skipped value are found", () => {
  const { tally, native } = rig();
  const feed = native("x@trade", "c0");
  give(feed, reply("x@trade", 50), trades(50, 51, 1), trades(50, 51, 1));
  expect(found(tally)).toEqual(["order 1"]);
  give(feed, trades(53, 54, 4));
  expect(found(tally)).toEqual(["chain 1", "order 1"]);
  give(feed, value(6, 7), value(8, 9));
  expect(found(tally)).toEqual(["chain 2", "order 1"]);
});

test("load verify - the first items behind the reply must begin where it stood", () => {
  const { tally, native } = rig();
  give(native("x@trade"), reply("x@trade", 50), trades(51, 52, 9));
  expect(found(tally)).toEqual(["chain 1"]);
});

test("load verify - a told gap is counted and no fault, in ids neither", () => {
  const { tally, native } = rig();
  const feed = native("x@trade");
  const gap = (missed: number | null, from: number, to: number, epoch?: string): object => ({
    channel: "x@trade",
    type: "gap",
    ...(epoch === undefined ? {} : { epoch }),
    missed,
    from,
    to,
    reason: "slow",
  });
  give(feed, reply("x@trade", 50), trades(50, 51, 1), gap(17, 52, 68), trades(68, 69, 19));
  give(feed, gap(null, 70, 70, "k2"), trades(null, 71, 3), { channel: "x@trade", type: "stale" });
  expect(found(tally)).toEqual([]);
  expect(tally.counts).toMatchObject({ gaps: 2, gapsUnknown: 1, missed: 17, stale: 1 });
});

test("load verify - items of a new epoch without a gap are a silent loss", () => {
  const { tally, native } = rig();
  const feed = native("x@trade");
  give(feed, reply("x@trade", 50), trades(50, 51, 1), {
    channel: "x@trade",
    type: "items",
    epoch: "k2",
    ...trades(null, 60, 9),
  });
  expect(found(tally)).toEqual(["chain 1"]);
});

test("load verify - a crossed book, and one that is not the node's snapshot", () => {
  const { tally, native } = rig();
  const feed = native("x@depth");
  give(feed, BASE, delta(10, 12, [["101", "5"]]));
  expect(found(tally)).toEqual(["book 1"]);
  expect(tally.samples[0]).toBe("book: x@depth: crossed at 12: bid 101, ask 101");
  give(feed, delta(12, 13, [["101", "0"]]), snapshot(13, [["99", "1"]], [["101", "1"]]));
  expect(found(tally)).toEqual(["book 2"]);
  expect(tally.samples[1]).toContain("not the node's snapshot at seq 13");
});

test("load verify - two sessions that end up with different books at one seq are found", () => {
  const { tally, native } = rig();
  const [one, two] = [native("x@depth"), native("x@depth")];
  give(one, BASE);
  give(two, BASE);
  for (let seq = 11; seq < 111; seq++) {
    give(one, delta(seq - 1, seq, [["97", String(seq)]]));
    give(two, delta(seq - 1, seq, [["97", String(seq)]]));
  }
  const same = tally.counts.compared;
  expect(same).toBeGreaterThan(3);
  expect(found(tally)).toEqual([]);
  for (let seq = 111; seq < 211; seq++) {
    give(one, delta(seq - 1, seq, [["97", String(seq)]]));
    give(
      two,
      delta(seq - 1, seq, [
        ["97", seq === 111 ? "1" : String(seq)],
        ["96", "1"],
      ]),
    );
  }
  expect(tally.faults.book).toBe(tally.counts.compared - same);
  expect(tally.faults.book).toBeGreaterThan(3);
});

test("load verify - a session that lost a trade, doubled one or got them in another order is found by the others", () => {
  for (const ids of [
    [1, 2, 4],
    [1, 2, 2, 3, 4],
    [1, 3, 2, 4],
  ]) {
    const { tally, native } = rig();
    const [one, two] = [native("x@trade"), native("x@trade")];
    give(one, reply("x@trade", 50), trades(50, 51, 1, 2, 3, 4));
    give(two, reply("x@trade", 50), trades(50, 51, ...ids));
    expect(tally.faults.ids).toBeGreaterThan(0);
  }
});

test("load verify - one session alone finds a lost trade where ids have no holes", () => {
  const { tally, native } = rig();
  const feed = native("x@trade");
  const many = Array.from({ length: 600 }, (_, index) => index + 1);
  give(feed, reply("x@trade", 50), trades(50, 51, ...many), trades(51, 52, 602));
  expect(found(tally)).toEqual(["ids 1"]);

  const holes = rig();
  const second = holes.native("x@trade");
  give(second, reply("x@trade", 50), trades(50, 51, 1, 5, ...many.map((id) => id + 10)), trades(51, 52, 900));
  expect(found(holes.tally)).toEqual([]);
});

test("load verify - after a reconnect with since the chain and the ids go on, nothing may be missing or doubled", () => {
  const { tally, native } = rig();
  const feed = native("x@trade");
  give(feed, reply("x@trade", 50), trades(50, 51, 1, 2));
  feed.lost();
  const command = JSON.parse(unmasked(feed.subscribe()!));
  expect(command).toEqual({
    id: 1,
    op: "subscribe",
    channels: ["x@trade"],
    since: { "x@trade": { epoch: "k1", seq: 51 } },
  });
  give(feed, trades(51, 55, 3, 4), reply("x@trade", 55, "k1", true), trades(55, 56, 5));
  expect(found(tally)).toEqual([]);
  expect(tally.counts.ids).toBe(4);
  feed.lost();
  give(feed, reply("x@trade", 60, "k1", true), trades(58, 60, 7));
  expect(found(tally)).toEqual(["chain 1"]);
});

test("load verify - who was cut off before its first push: trades go on from the reply, a book begins anew", () => {
  const { tally, native } = rig();
  const trading = native("x@trade");
  give(trading, reply("x@trade", 50));
  trading.lost();
  expect(JSON.parse(unmasked(trading.subscribe()!))).toMatchObject({ since: { "x@trade": { epoch: "k1", seq: 50 } } });
  give(trading, trades(50, 51, 8), reply("x@trade", 51, "k1", true), trades(51, 52, 9));
  const booked = native("x@depth");
  give(booked, reply("x@depth", 5));
  booked.lost();
  give(booked, BASE, reply("x@depth", 10), delta(10, 11, []));
  expect(found(tally)).toEqual([]);
  trading.lost();
  give(trading, trades(53, 54, 11));
  expect(found(tally)).toEqual(["chain 1"]);
});

test("load verify - frames that are not the dialect are found", () => {
  const { tally, native } = rig();
  const feed = native("x@depth");
  give(
    feed,
    "nonsense",
    '{"channel":"x@depth","type":"delta","prev":1,"seq":2',
    { ...value(1, 2), channel: "other" },
    "[]",
  );
  expect(found(tally)).toEqual(["frame 4"]);
});

const spotDepth = (U: number, u: number): object => ({ e: "depthUpdate", E: 1, s: "X", U, u, b: [], a: [] });
const usdmDepth = (pu: number, u: number): object => ({
  e: "depthUpdate",
  E: 1,
  T: 1,
  s: "X",
  U: pu + 1,
  u,
  pu,
  b: [],
  a: [],
});
const spotTrade = (t: number): object => ({ e: "trade", E: 1, s: "X", t, p: "1", q: "1", T: 1, m: true, M: true });
const combined = (stream: string, data: object): object => ({ stream, data });

test("load verify - Binance: whole chains are no fault, raw and combined", () => {
  const { tally, binance } = rig();
  const raw = binance(false, "x@depth@100ms", "x@trade", "x@bookTicker");
  give(raw, { result: null, id: 1 }, spotDepth(5, 8), spotDepth(9, 9), spotTrade(1), spotTrade(2), {
    u: 9,
    s: "X",
    b: "1",
  });
  const both = binance(true, "x@depth", "y@depth20", "!ticker@arr");
  give(
    both,
    combined("x@depth", usdmDepth(3, 8)),
    combined("x@depth", usdmDepth(8, 11)),
    combined("y@depth20", { lastUpdateId: 4, bids: [] }),
  );
  give(both, combined("!ticker@arr", [{ e: "24hrTicker", E: 1 }]), { e: "serverShutdown", E: 1 });
  expect(found(tally)).toEqual([]);
  expect(tally.counts).toMatchObject({ messages: 9, links: 4, ids: 1, drains: 1 });
});

test("load verify - Binance: a gap in U, in pu, a lost trade, an old bookTicker", () => {
  const { tally, binance } = rig();
  const raw = binance(false, "x@depth", "x@trade", "x@bookTicker");
  give(raw, spotDepth(5, 8), spotDepth(10, 12));
  expect(found(tally)).toEqual(["chain 1"]);
  give(raw, spotDepth(10, 12));
  expect(found(tally)).toEqual(["chain 1", "order 1"]);
  give(raw, { u: 9, s: "X", b: "1" }, { u: 8, s: "X", b: "1" });
  expect(found(tally)).toEqual(["chain 1", "order 2"]);
  const usdm = binance(true, "x@depth");
  give(usdm, combined("x@depth", usdmDepth(5, 8)), combined("x@depth", usdmDepth(9, 12)));
  expect(found(tally)).toEqual(["chain 2", "order 2"]);
  give(binance(false, "x@trade"), spotTrade(1), spotTrade(2), spotTrade(3));
  give(raw, spotTrade(1), spotTrade(3));
  expect(tally.faults.ids).toBe(1);
});

test("load verify - Binance: after a close everything starts over", () => {
  const { tally, binance } = rig();
  const raw = binance(false, "x@depth", "x@trade");
  give(raw, spotDepth(5, 8), spotTrade(1));
  raw.lost();
  give(raw, spotDepth(20, 28), spotTrade(9));
  expect(found(tally)).toEqual([]);
});

/** The payload of a client's text frame with a short length. */
function unmasked(frame: Buffer): string {
  const head = (frame[1]! & 127) === 126 ? 4 : 2;
  return Buffer.from(frame.subarray(head + 4).map((byte, index) => byte ^ frame[head + (index & 3)]!)).toString();
}
