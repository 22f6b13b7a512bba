import { expect, test } from "bun:test";
import { symbolOf } from "../../../channel/name.ts";
import { reasonOf } from "../blame.ts";
import type { Malformed, MappedUpdate } from "../mapper.ts";
import { createDeclarative } from "./compile.ts";
import { judgeDeclarative } from "./judge.ts";
import type { DeclarativeSpec } from "./spec.ts";

const learn = (market: string, spelling: string): string =>
  (market === "spot" ? "" : `${market}:`) + symbolOf(spelling);

function map(spec: Omit<DeclarativeSpec, "name">, record: unknown) {
  const whole = { name: "m", ...spec };
  expect(judgeDeclarative(whole)).toEqual([]);
  return createDeclarative(whole, { learn }).map(typeof record === "string" ? record : JSON.stringify(record));
}

const updates = (spec: Omit<DeclarativeSpec, "name">, record: unknown) => map(spec, record) as readonly MappedUpdate[];

const TRADE = {
  kind: "trade",
  fields: {
    symbol: "data.s",
    time: { path: "data.T", unit: "us" },
    id: "data.t",
    price: "data.p",
    quantity: "data.q",
    side: { path: "data.S", values: { B: "buy", S: "sell" } },
  },
} as const;

test("declarative - a trade by paths, a table of values and a unit, digit by digit", () => {
  const record = '{"data":{"s":"BTC/USDT","T":1795321303824999,"t":9007199254740993,"p":27508.40,"q":1.50,"S":"B"}}';
  expect(updates(TRADE, record)).toEqual([
    {
      channel: "btcusdt@trade",
      kind: "trade",
      user: "",
      time: 1795321303824,
      type: "items",
      data: [{ id: "9007199254740993", t: -1, price: "27508.40", quantity: "1.50", side: "buy", time: 1795321303824 }],
    },
  ]);
});

test("declarative - what does not fit is malformed, with the path that failed", () => {
  const data = { s: "A", T: 1, t: 1, p: "1", q: "2", S: "B" };
  const reason = (change: Record<string, unknown>) => map(TRADE, { data: { ...data, ...change } });
  // As a number it would be written out; in a text it is no decimal.
  expect(reason({ p: "1e5" })).toEqual({ malformed: "data.p: want a decimal", suspect: false });
  expect(reason({ p: undefined })).toEqual({ malformed: "data.p: want a decimal", suspect: false });
  expect(reason({ S: "X" })).toEqual({ malformed: "data.S: want one of buy, sell", suspect: false });
  expect(reason({ T: "soon" })).toEqual({ malformed: "data.T: want a time", suspect: false });
  expect(reason({ s: undefined })).toEqual({ malformed: "no channel" });
  expect(reason({ p: "-1" })).toMatchObject({ malformed: "m: no sound trade", suspect: false });
  expect(reasonOf(reason({ p: "-1" }) as Malformed)).toBe('m: trade.price: "-1" is below zero');
  expect(map(TRADE, "{")).toEqual({ malformed: "not JSON", suspect: true });
  expect(map(TRADE, "[]")).toMatchObject({ malformed: "data.T: want a time" });
});

test("declarative - a filter: records for which it does not hold are none of this mapper's", () => {
  const spec = { ...TRADE, when: { e: "trade", v: [1, 2], live: true } };
  const data = { s: "A", T: 1000, p: "1", q: "2", S: "S" };
  expect(updates(spec, { e: "trade", v: 2, live: true, data })).toHaveLength(1);
  for (const other of [{ e: "depth" }, { v: 3 }, { v: "" }, { live: "yes" }, { live: false }, { e: null }]) {
    expect(map(spec, { e: "trade", v: 1, live: true, data, ...other })).toEqual({ skipped: "filtered" });
  }
});

test("declarative - items: a list in the record, each element a trade, those of one channel together", () => {
  const spec = {
    kind: "trade",
    items: "data[*]",
    when: { "$.arg": "trades", ok: true },
    fields: {
      symbol: "i",
      time: { path: "$.ts", unit: "s" },
      price: '["p.x"]',
      quantity: "q[1]",
      side: { path: "s", default: "sell" },
    },
  } as const;
  const of = (i: string, x: number, more = {}) => ({ i, "p.x": x, q: [0, x], ok: true, ...more });
  const made = updates(spec, {
    arg: "trades",
    ts: 1.5,
    data: [of("A", 1), of("B", 2), of("A", 3), of("A", 9, { ok: false })],
  });
  expect(made.map(({ channel, time }) => [channel, time])).toEqual([
    ["a@trade", 1500],
    ["b@trade", 1500],
  ]);
  expect(made[0]?.data).toMatchObject([
    { price: "1", quantity: "1", side: "sell", time: 1500 },
    { price: "3", quantity: "3" },
  ]);
  expect(map(spec, { arg: "trades", ts: 1, data: {} })).toEqual({ malformed: "data[*]: want a list", suspect: false });
  expect(map(spec, { arg: "other", data: {} })).toEqual({ skipped: "filtered" });
  expect(map(spec, { arg: "trades", ts: 1, data: [] })).toEqual({ skipped: "filtered" });
  expect(map(spec, { arg: "trades", ts: 1, data: [of("A", 1), { ok: true }] })).toEqual({
    malformed: 'data[*].["p.x"]: want a decimal',
    suspect: false,
  });
});

const BOOK = {
  kind: "depth",
  fields: { symbol: "s", type: { path: "x", values: { "0": "delta", "1": "snapshot" } }, bids: "b", asks: "a" },
} as const;

test("declarative - levels as lists, with numbers that keep their zeros", () => {
  const record = '{"s":"A","x":1,"b":[[27508.30,3.10],[27508.1,4.0E-8]],"a":[["27508.5","2.2"]],"note":"x,5"}';
  expect(updates(BOOK, record)).toMatchObject([
    {
      channel: "a@depth",
      type: "snapshot",
      time: 0,
      data: {
        bids: [
          ["27508.30", "3.10"],
          ["27508.1", "0.000000040"],
        ],
        asks: [["27508.5", "2.2"]],
      },
    },
  ]);
  expect(map(BOOK, { s: "A", x: 1, b: [["x", "1"]] })).toMatchObject({ malformed: "m: no sound depth", suspect: true });
  expect(map(BOOK, { s: "A", x: 1, b: 3 })).toEqual({ malformed: "b: want a list of levels", suspect: true });
});

test("declarative - levels as objects, both sides in one list, and the source's own numbers", () => {
  const side = (is: string) => ({ path: "changes[*]", price: "px", quantity: "sz", when: { side: is } });
  const spec = {
    kind: "depth",
    fields: {
      symbol: { const: "BTC/USD" },
      type: { const: "delta" },
      time: { path: "at", unit: "iso" },
      bids: side("buy"),
      asks: side("sell"),
      prev: "from",
      seq: "to",
    },
  } as const;
  const changes = [
    { side: "buy", px: "2", sz: "1" },
    { side: "sell", px: "3", sz: "0" },
  ];
  expect(updates(spec, { at: "2021-04-17T16:43:37.075687Z", from: 7, to: "9", changes })).toEqual([
    {
      channel: "btcusd@depth",
      kind: "depth",
      user: "",
      time: 1618677817075,
      type: "delta",
      data: { bids: [["2", "1"]], asks: [["3", "0"]] },
      sequence: { prev: 7, last: 9 },
    } as MappedUpdate,
  ]);
});

test("declarative - a candle's end follows from its interval", () => {
  const price = { open: "o", high: "h", low: "l", close: "c", volume: "v" };
  const spec = {
    kind: "kline",
    fields: {
      ...price,
      symbol: "s",
      interval: { path: "i", values: { "60": "1m", month: "1M" } },
      openTime: { path: "t", unit: "s" },
      closed: { path: "x", values: { "1": true, "0": false } },
    },
  } as const;
  const record = { s: "A", o: 1, h: 2.0, l: 1, c: 2, v: 5, x: 0 };
  const [minute] = updates(spec, { ...record, i: 60, t: 1795321260 });
  expect(minute).toMatchObject({
    channel: "a@kline_1m",
    type: "candles",
    data: [{ interval: "1m", openTime: 1795321260000, closeTime: 1795321319999, open: "1", closed: false, count: 0 }],
  });
  const [month] = updates(spec, { ...record, i: "month", t: Date.UTC(2026, 1, 1) / 1000 });
  expect(month?.data).toMatchObject([{ closeTime: Date.UTC(2026, 2, 1) - 1 }]);
});

test("declarative - values of every other kind", () => {
  const day = { open: "o", high: "o", low: "o", close: "o", volume: "o", time: "t", symbol: "s" };
  expect(updates({ kind: "ticker", fields: day }, { s: "A", t: 5, o: 1.0 })[0]).toMatchObject({
    channel: "a@ticker",
    data: { open: "1", change: "0" },
  });
  const best = {
    symbol: "s",
    bid: "b",
    bidQuantity: '["B"]',
    ask: { const: "0" },
    askQuantity: { path: "q", default: "0" },
  };
  expect(updates({ kind: "bookTicker", fields: best }, { s: "A", b: "1", B: "2" })[0]).toMatchObject({
    channel: "a@bookTicker",
    data: { bid: "1", bidQuantity: "2", ask: "0", askQuantity: "0" },
  });
  const mark = { symbol: "s", market: { const: "usdm" }, mark: "m", index: "i" };
  expect(updates({ kind: "markPrice", fields: mark }, { s: "A", m: "1", i: "2" })[0]).toMatchObject({
    channel: "usdm:a@markPrice",
    data: { mark: "1", index: "2", settle: "1" },
  });
});

test("declarative - private and json payloads are the record's own text, or that of a part of it", () => {
  const place = { channelOf: () => "fills" };
  const spec = { name: "m", kind: "private", fields: { user: "u", payload: "d.x", time: "d.t" } } as const;
  const text = '{"u":17,"d":{"t":5,"x":{"price":27000.10,\n"big":12345678901234567890}}}';
  expect(createDeclarative(spec, { learn, place }).map(text)).toEqual([
    {
      channel: "fills",
      kind: "private",
      user: "17",
      time: 5,
      type: "items",
      data: [{ json: '{"price":27000.10, "big":12345678901234567890}' }],
    },
  ]);
  const each = { name: "m", kind: "private", items: "d[*]", fields: { user: "u", payload: "x" } } as const;
  const many = '{"d":[{"u":"a","x":1.0},{"u":"b","x":[2]},{"u":"a","x":null}]}';
  expect(createDeclarative(each, { learn, place }).map(many)).toMatchObject([
    { user: "a", data: [{ json: "1.0" }, { json: "null" }] },
    { user: "b", data: [{ json: "[2]" }] },
  ]);
  const whole = { name: "m", kind: "json", fields: {} } as const;
  expect(createDeclarative(whole, { learn, place }).map("[1.0,\n2]")).toMatchObject([{ data: { json: "[1.0, 2]" } }]);
});

test("declarative - the version follows from the definition alone", () => {
  const version = (spec: DeclarativeSpec) => createDeclarative(spec, { learn }).version;
  const spec: DeclarativeSpec = { name: "m", ...TRADE };
  expect(version(spec)).toBe(version(structuredClone(spec)));
  expect(version({ ...spec, name: "n", version: 1 })).toBe(version(spec));
  expect(version({ ...spec, when: { a: 1 } })).not.toBe(version(spec));
  expect(Number.isSafeInteger(version(spec))).toBe(true);
});
