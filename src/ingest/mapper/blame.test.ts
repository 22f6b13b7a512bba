/** For every field of every record that mappers take: spoil it, and the field is named. */
import { expect, test } from "bun:test";
import { symbolOf } from "../../channel/name.ts";
import { reasonOf } from "./blame.ts";
import { createMapper } from "./mod.ts";

const learn = (market: string, spelling: string): string =>
  (market === "spot" ? "" : `${market}:`) + symbolOf(spelling);

type Path = readonly (string | number)[];
type Json = Record<string | number, unknown>;

/** Sound records, each with the fields whose every spoiling is to be told: as they are found, and as they are called. */
const RECORDS: readonly (readonly [mapper: string, record: object, fields: Readonly<Record<string, string>>])[] = [
  [
    "trade_v1",
    { symbol: "A", time: 1, id: "7", price: "1", quantity: "2", side: "buy" },
    { time: "trade.time", price: "trade.price", quantity: "trade.quantity", side: "trade.side" },
  ],
  [
    "trade_v1",
    { symbol: "A", time: 1, trades: [{ price: "1", quantity: "2", side: "buy" }] },
    {
      "trades.0.price": "trade.trades[0].price",
      "trades.0": "trade.trades[0]",
      "trades.0.side": "trade.trades[0].side",
    },
  ],
  [
    "depth_v2",
    { symbol: "A", time: 1, type: "delta", bids: [["1", "2"]], asks: [["3", "4"]], seq: 2, prev: 1 },
    {
      type: "depth.type",
      bids: "depth.bids",
      "bids.0": "depth.bids[0]",
      "bids.0.0": "depth.bids[0].price",
      "asks.0.1": "depth.asks[0].quantity",
      seq: "depth.seq",
      prev: "depth.prev",
    },
  ],
  [
    "kline_v1",
    {
      ...{ symbol: "A", time: 1, interval: "1m", openTime: 0, closeTime: 59999, closed: true },
      ...{ open: "1", high: "1", low: "1", close: "1", volume: "1" },
    },
    { open: "kline.open", volume: "kline.volume", closed: "kline.closed", closeTime: "kline.closeTime" },
  ],
  [
    "ticker_v1",
    { symbol: "A", time: 1, open: "1", high: "1", low: "1", close: "1", volume: "1" },
    { close: "ticker.close", volume: "ticker.volume" },
  ],
  [
    "bbo_v1",
    { symbol: "A", time: 1, bid: "1", bidQuantity: "1", ask: "1", askQuantity: "1" },
    { bid: "bookTicker.bid", askQuantity: "bookTicker.askQuantity" },
  ],
  [
    "mark_price_v1",
    { symbol: "A", time: 1, mark: "1", index: "1" },
    { mark: "markPrice.mark", index: "markPrice.index" },
  ],
  [
    "binance_spot",
    { e: "trade", E: 1, s: "A", t: 1, p: "1", q: "1", T: 1, m: true },
    { E: "trade.E", t: "trade.t", p: "trade.p", q: "trade.q", T: "trade.T" },
  ],
  [
    "binance_spot",
    { e: "aggTrade", E: 1, s: "A", a: 1, p: "1", q: "1", f: 1, l: 1, T: 1, m: true },
    { a: "aggTrade.a", f: "aggTrade.f", q: "aggTrade.q" },
  ],
  [
    "binance_spot",
    { e: "depthUpdate", E: 1, s: "A", U: 1, u: 2, b: [["1", "2"]], a: [] },
    { U: "depthUpdate.U", u: "depthUpdate.u", b: "depthUpdate.b", "b.0.1": "depthUpdate.b[0].quantity" },
  ],
  ["binance_usdm", { e: "depthUpdate", E: 1, s: "A", U: 1, u: 2, pu: 0, b: [], a: [] }, { pu: "depthUpdate.pu" }],
  [
    "binance_usdm",
    {
      ...{ e: "forceOrder", E: 1 },
      o: { s: "A", S: "BUY", p: "1", ap: "1", q: "1", z: "1", T: 1 },
    },
    { "o.S": "forceOrder.o.S", "o.ap": "forceOrder.o.ap", "o.T": "forceOrder.o.T" },
  ],
  [
    "binance_spot",
    {
      ...{ e: "kline", E: 1, s: "A" },
      k: {
        ...{ i: "1m", o: "1", h: "1", l: "1", c: "1", v: "1", q: "1", V: "1", Q: "1" },
        ...{ t: 1, T: 1, f: 1, L: 1, n: 1, x: true },
      },
    },
    { k: "kline.k", "k.i": "kline.k.i", "k.Q": "kline.k.Q", "k.n": "kline.k.n", "k.x": "kline.k.x" },
  ],
  [
    "binance_spot",
    {
      ...{ e: "24hrTicker", E: 1, s: "A", o: "1", h: "1", l: "1", c: "1", v: "1", q: "1", O: 1, C: 1 },
      ...{ p: "1", P: "1", w: "1", Q: "1", F: 1, L: 1, n: 1 },
    },
    { o: "24hrTicker.o", O: "24hrTicker.O", w: "24hrTicker.w", n: "24hrTicker.n" },
  ],
  [
    "binance_usdm",
    { e: "markPriceUpdate", E: 1, s: "A", p: "1", i: "1", P: "1", r: "1", T: 1 },
    { p: "markPriceUpdate.p", i: "markPriceUpdate.i", T: "markPriceUpdate.T" },
  ],
  ["binance_spot", { s: "A", b: "1", B: "1", a: "1", A: "1" }, { B: "bookTicker.B", A: "bookTicker.A" }],
  [
    "coinbase",
    {
      ...{ type: "match", product_id: "A-B", trade_id: 1, price: "1", size: "1", side: "buy" },
      time: "2021-04-17T16:43:37Z",
    },
    { price: "match.price", side: "match.side", time: "match.time" },
  ],
  [
    "coinbase",
    { type: "l2update", product_id: "A-B", time: "2021-04-17T16:43:37Z", changes: [["buy", "1", "2"]] },
    {
      time: "l2update.time",
      changes: "l2update.changes",
      "changes.0": "l2update.changes[0]",
      "changes.0.0": "l2update.changes[0].side",
      "changes.0.1": "l2update.changes[0].price",
    },
  ],
  ["coinbase", { type: "snapshot", product_id: "A-B", bids: [["1", "2"]], asks: [] }, { asks: "snapshot.asks" }],
  [
    "kraken_v2",
    {
      ...{ channel: "trade", type: "update" },
      data: [{ symbol: "A/B", trade_id: 1, price: 1, qty: 1, side: "buy", timestamp: "2023-10-06T17:35:55.440295Z" }],
    },
    {
      type: "trade",
      data: "trade.data",
      "data.0.price": "trade.data[0].price",
      "data.0.side": "trade.data[0].side",
      "data.0.timestamp": "trade.data[0].timestamp",
    },
  ],
  [
    "kraken_v2",
    { channel: "book", type: "update", data: [{ symbol: "A/B", bids: [{ price: 1, qty: 2 }], asks: [], checksum: 1 }] },
    {
      "data.0.checksum": "book.data[0].checksum",
      "data.0.bids": "book.data[0].bids",
      "data.0.bids.0.price": "book.data[0].bids[0].price",
      "data.0.bids.0.qty": "book.data[0].bids[0].qty",
    },
  ],
  [
    "okx",
    {
      arg: { channel: "trades", instId: "A-B" },
      data: [{ tradeId: "1", px: "1", sz: "1", side: "buy", ts: "1" }],
    },
    { "data.0.px": "trades.data[0].px", "data.0.side": "trades.data[0].side", "data.0": "trades.data[0]" },
  ],
  [
    "okx",
    {
      ...{ arg: { channel: "books", instId: "A-B" }, action: "update" },
      data: [{ asks: [["1", "2"]], bids: [], ts: "1", seqId: 2, prevSeqId: 1 }],
    },
    { action: "books.action", "data.0.asks.0.0": "books.data[0].asks[0].price", "data.0.seqId": "books.data[0].seqId" },
  ],
  [
    "kraken_v1",
    [7, { b: [["1", "2", "1.5"]], c: "1" }, "book-10", "A/B"],
    { "1.b": "book.b", "1.b.0.1": "book.b[0].quantity", "1.b.0.2": "book.b[0].time", "1.c": "book.c" },
  ],
  [
    "kraken_v1",
    [7, [["1", "2", "1.5", "b", "l", ""]], "trade", "A/B"],
    { 1: "trade", "1.0": "trade[0]", "1.0.0": "trade[0].price", "1.0.3": "trade[0].side" },
  ],
];

const SPOILT = "not this";

function spoil(record: object, path: Path, value: unknown): object {
  const copy = structuredClone(record);
  const parent = path.slice(0, -1).reduce<Json>((at, step) => at[step] as Json, copy as Json);
  parent[path.at(-1) ?? ""] = value;
  return copy;
}

test("blame - whatever field is unsound is named, with what it holds", () => {
  for (const [name, record, fields] of RECORDS) {
    const mapper = createMapper(name, { learn });
    expect([name, mapper.map(JSON.stringify(record))]).toEqual([name, expect.any(Array)]);
    for (const [path, called] of Object.entries(fields)) {
      const mapped = mapper.map(JSON.stringify(spoil(record, path.split("."), SPOILT)));
      const why = "malformed" in mapped ? reasonOf(mapped) : "";
      expect(`${name} ${path}: ${why}`).toStartWith(`${name} ${path}: ${called}`);
      expect(`${name} ${path}: ${why}`).toContain(JSON.stringify(SPOILT));
    }
  }
});

test("blame - in the words that say what to change", () => {
  const told = (name: string, record: unknown): string => {
    const mapped = createMapper(name, { learn }).map(JSON.stringify(record));
    return "malformed" in mapped ? reasonOf(mapped) : "sound";
  };
  const trade = { symbol: "A", price: "1", quantity: "2", side: "buy", time: 5 };
  expect(told("trade_v1", trade)).toBe("sound");
  expect(told("trade_v1", { ...trade, price: "abc" })).toBe('trade.price: "abc" is not a decimal');
  expect(told("trade_v1", { ...trade, price: "-1" })).toBe('trade.price: "-1" is below zero');
  expect(told("trade_v1", { ...trade, price: undefined })).toBe("trade.price is missing");
  expect(told("trade_v1", { ...trade, side: "up" })).toBe('trade.side: "up" is wrong, want buy or sell');
  expect(told("trade_v1", { ...trade, time: null })).toBe("trade.time: null is not a whole number");
  expect(told("trade_v1", { ...trade, trades: [] })).toBe("trade.trades is an empty list");
  expect(told("trade_v1", [trade])).toStartWith("trade: [{");
  expect(told("depth_v2", { type: "delta", time: 1, bids: [[1, 2]] })).toBe(
    "depth.bids[0].price: 1 is a number where a text of digits is wanted",
  );
  expect(told("depth_v2", { type: "delta", time: 1, checksum: 5 })).toBe(
    'depth.checksum: "5" is not looked at here: leave it out',
  );
  expect(told("kraken_v1", [1, { b: [], as: [] }, "book-10", "A/B"])).toBe(
    "book: want either a snapshot (as, bs) or changes (a, b)",
  );
  expect(told("trade_v1", { ...trade, price: "9".repeat(500) }).length).toBeLessThan(100);
});

test("blame - a value nested too deep to be written down takes nothing with it", () => {
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  const mapped = createMapper("trade_v1", { learn }).map(`{"symbol":"A","time":1,"side":"buy","price":${deep}}`);
  expect("malformed" in mapped ? reasonOf(mapped) : "sound").toBe("bad trade");
});
