import { expect, test } from "bun:test";
import fc from "fast-check";
import { createBook } from "../../channel/book.ts";
import { isDecimal } from "../../channel/decimal.ts";
import { symbolOf } from "../../channel/name.ts";
import type { Depth } from "../../channel/types.ts";
import { isoUs, parsedExactly } from "./fields.ts";
import type { MappedUpdate, Mapper } from "./mapper.ts";
import { createMapper } from "./mod.ts";
import { okxChecksum } from "./okx-checksum.ts";

const learn = (market: string, spelling: string): string =>
  (market === "spot" ? "" : `${market}:`) + symbolOf(spelling);
const mapper = (name: string): Mapper => createMapper(name, { learn, window: 10 });
const updates = (name: string, record: unknown): readonly MappedUpdate[] => {
  const mapped = mapper(name).map(record);
  if ("malformed" in mapped || "skipped" in mapped) throw new Error(JSON.stringify(mapped));
  return mapped;
};
const channels = (name: string, record: string): string[] => updates(name, record).map(({ channel }) => channel);

test("kraken v2 - Kraken's published vector verifies, trailing zeros and all", () => {
  const asks =
    "45285.2/0.00100000 45286.4/1.54571953 45286.6/1.54571109 45289.6/1.54560911 45290.2/0.15890660 45291.8/1.54553491 45294.7/0.04454749 45296.1/0.35380000 45297.5/0.09945542 45299.5/0.18772827";
  const bids =
    "45283.5/0.10000000 45283.4/1.54582015 45282.1/0.10000000 45281.0/0.10000000 45280.3/1.54592586 45279.0/0.07990000 45277.6/0.03310103 45277.5/0.30000000 45277.3/1.54602737 45276.6/0.15445238";
  const side = (levels: string): string =>
    `[${levels
      .split(" ")
      .map((level) => `{"price":${level.replace("/", ',"qty":')}}`)
      .join(",")}]`;
  const record = `{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD","bids":${side(bids)},"asks":${side(asks)},"checksum":3310070434}]}`;
  const [update] = updates("kraken_v2", record);
  expect(update).toMatchObject({ channel: "btcusd@depth", type: "snapshot", window: 10, checksum: 3310070434 });
  const book = createBook();
  book.replace(update!.data as Depth);
  expect(book.bidAt(3)).toEqual(["45281.0", "0.10000000"]);
  expect(mapper("kraken_v2").checksumOf?.(book)).toBe(3310070434);
});

test("exact numbers - digits stay, and what only looks like a member inside a string is left alone", () => {
  const text =
    '{"a":1.10,"b":{"c":-0.00010000,"d":12},"e":"x: 5, \\"y\\":7","f":[1.50],"g":"2021-04-17T16:43:37Z","h":1e-7}';
  expect(parsedExactly(text)).toEqual({
    json: {
      a: "1.10",
      b: { c: "-0.00010000", d: "12" },
      e: 'x: 5, "y":7',
      f: [1.5],
      g: "2021-04-17T16:43:37Z",
      h: "0.0000001",
    },
  });
});

test("exact numbers - an exponent is written out, digit by digit; text that only looks like one is left alone", () => {
  const read = (number: string): unknown => (parsedExactly(`{"a":${number}}`) as { json: { a: unknown } }).json.a;
  expect(["1E-8", "1.50e-7", "-2.5e+3", "0.15e3", "1.0E-4", "12.345e1", "0.25E1", "7e0", "0e5"].map(read)).toEqual([
    "0.00000001",
    "0.000000150",
    "-2500",
    "150",
    "0.00010",
    "123.45",
    "2.5",
    "7",
    "0",
  ]);
  expect(read('"1e5"')).toBe("1e5");
  expect(["1e400", "1e-99", `1${"0".repeat(70)}e-3`].map(read)).toEqual(["1e400", "1e-99", `1${"0".repeat(70)}e-3`]);
  fc.assert(
    fc.property(fc.double({ noNaN: true, min: 1e-20, max: 1e20 }), (number) => {
      const text = read(number.toExponential());
      expect(isDecimal(text)).toBe(true);
      expect(Number(text)).toBe(number);
    }),
  );
});

test("times - to the microsecond, and nothing but whole times", () => {
  expect(isoUs("2021-04-17T16:43:37.075687Z")).toBe(1618677817075687);
  expect(isoUs("2021-04-17T16:43:37Z")).toBe(1618677817000000);
  for (const text of ["", "2021-04-17", "2021-04-17T16:43:37.1+02:00", 5, null]) expect(isoUs(text)).toBeNaN();
});

test("kraken v2 - trades of a message in order of their ids; a snapshot of trades tells no gap", () => {
  const trade = (id: number): string =>
    `{"symbol":"A/B","side":"buy","price":1.0,"qty":2.00,"trade_id":${id},"timestamp":"2023-10-06T17:35:55.440295Z"}`;
  const of = (type: string): unknown =>
    updates("kraken_v2", `{"channel":"trade","type":"${type}","data":[${trade(9)},${trade(8)}]}`)[0];
  expect(of("update")).toMatchObject({ sequence: { prev: 7, last: 9 }, data: [{ t: 8 }, { t: 9, price: "1.0" }] });
  expect(of("snapshot")).toMatchObject({ sequence: { prev: null, last: 9 } });
});

test("okx - the checksum's published vectors", () => {
  const book = (bids: [string, string][], asks: [string, string][]) => {
    const made = createBook();
    made.replace({ bids, asks });
    return made;
  };
  const [bid, second]: [string, string][] = [
    ["3366.1", "7"],
    ["3366", "6"],
  ];
  expect(
    okxChecksum(
      book(
        [bid!, second!],
        [
          ["3366.8", "9"],
          ["3368", "8"],
        ],
      ),
    ),
  ).toBe(-1881014294);
  expect(
    okxChecksum(
      book(
        [bid!],
        [
          ["3366.8", "9"],
          ["3368", "8"],
          ["3372", "8"],
        ],
      ),
    ),
  ).toBe(831078360);
});

test("okx - a checksum of zero is none, sequence ids outweigh times", () => {
  const frame = (rest: string): string =>
    `{"arg":{"channel":"books","instId":"A-B"},"action":"update","data":[{"asks":[],"bids":[],"ts":"5000",${rest}}]}`;
  const [numbered] = updates("okx", frame('"checksum":0,"seqId":5,"prevSeqId":7'));
  expect(numbered).toMatchObject({ sequence: { prev: 7, last: 5 } });
  expect(numbered).not.toHaveProperty("checksum");
  expect(updates("okx", frame('"checksum":-3'))[0]).toMatchObject({
    checksum: -3,
    sequence: { prev: null, last: 5000 },
  });
});

test("binance - the stream's name tells a partial book from a delta, and whose it is", () => {
  const top = '{"lastUpdateId":160,"bids":[["1.0","3"]],"asks":[["2.0","2"]]}';
  expect(channels("binance_spot", `{"stream":"ethusdt@depth5@100ms","data":${top}}`)).toEqual(["ethusdt@depth5"]);
  expect(channels("binance_spot", `{"stream":"ethusdt@depthSnapshot","data":${top}}`)).toEqual(["ethusdt@depth"]);
  expect(channels("binance_spot", top)).toEqual([]);
  const delta = '{"e":"depthUpdate","E":5,"s":"ETHUSDT","U":1,"u":2,"pu":0,"b":[],"a":[]}';
  expect(channels("binance_usdm", `{"stream":"ethusdt@depth20@500ms","data":${delta}}`)).toEqual([
    "usdm:ethusdt@depth20",
  ]);
  expect(channels("binance_usdm", delta)).toEqual(["usdm:ethusdt@depth"]);
});

test("binance - arrays are their elements, best prices need no event name, candles of other time zones are left out", () => {
  const mini = (symbol: string): string =>
    `{"e":"24hrMiniTicker","E":5,"s":"${symbol}","c":"2","o":"1","h":"3","l":"1","v":"9","q":"18"}`;
  expect(channels("binance_usdm", `{"stream":"!miniTicker@arr","data":[${mini("AUSDT")},${mini("BUSDT")}]}`)).toEqual([
    "usdm:ausdt@miniTicker",
    "usdm:busdt@miniTicker",
  ]);
  expect(updates("binance_spot", '{"u":4,"s":"ETHUSDT","b":"1","B":"2","a":"3","A":"4"}')).toMatchObject([
    { channel: "ethusdt@bookTicker", time: 0, data: { bid: "1", bidQuantity: "2", ask: "3", askQuantity: "4" } },
  ]);
  const kline = '{"e":"kline","E":5,"s":"A","k":{"i":"1d"}}';
  expect(channels("binance_spot", `{"stream":"a@kline_1d@+08:00","data":${kline}}`)).toEqual([]);
});

test("venues - what is no market data gives no update", () => {
  const silent: readonly (readonly [string, string])[] = [
    ["kraken_v2", '{"channel":"heartbeat"}'],
    ["kraken_v2", '{"method":"subscribe","success":true,"result":{"channel":"book"}}'],
    ["coinbase", '{"type":"heartbeat","sequence":1,"product_id":"A-B","time":"2021-04-17T16:43:37.1Z"}'],
    ["coinbase", '{"type":"subscriptions","channels":[]}'],
    ["coinbase", '{"type":"ticker","product_id":"A-B","price":"1"}'],
    ["binance_spot", '{"result":null,"id":1}'],
    ["binance_spot", '{"e":"serverShutdown","E":5}'],
    ["binance_usdm", '{"stream":"a@compositeIndex","data":{"e":"compositeIndex","s":"A"}}'],
    ["okx", '{"event":"subscribe","arg":{"channel":"books","instId":"A-B"}}'],
    ["okx", "pong"],
  ];
  for (const [name, record] of silent) expect(updates(name, record)).toEqual([]);
});

test("venues - what is unsound is malformed; where a change of a book may be lost with it, that is said", () => {
  const wrong: readonly (readonly [string, unknown, string, boolean])[] = [
    ["kraken_v2", "{", "not JSON", true],
    [
      "kraken_v2",
      '{"channel":"book","type":"update","data":[{"symbol":"A/B","bids":[{"price":1}],"checksum":1}]}',
      "bad book",
      true,
    ],
    ["kraken_v2", '{"channel":"trade","type":"update","data":[{"symbol":"A/B"}]}', "bad trade", false],
    ["kraken_v2", '{"type":"update","data":[{"symbol":"A/B"}]}', "no channel", true],
    ["coinbase", 7, "not text", true],
    [
      "coinbase",
      '{"type":"l2update","product_id":"A-B","changes":[["buy","x","1"]],"time":"2021-04-17T16:43:37Z"}',
      "bad book",
      true,
    ],
    ["coinbase", '{"type":"match","product_id":"A-B"}', "bad trade", false],
    ["binance_spot", '{"e":"depthUpdate","E":1,"s":"A","b":[],"a":[]}', "bad depthUpdate", true],
    ["binance_spot", '{"e":"depthUpdate","E":1,"s":7,"U":1,"u":2,"b":[],"a":[]}', "bad depthUpdate", true],
    ["binance_spot", '{"e":"trade","E":1,"s":"A"}', "bad trade", false],
    ["okx", '{"arg":{"channel":"books","instId":"A-B"},"action":"update","data":[]}', "bad book", true],
    ["okx", '{"arg":{"channel":"trades","instId":"A-B"},"data":[{"px":"1"}]}', "bad trade", false],
    ["depth_v2", '{"symbol":"A","type":"delta","time":1,"bids":[[1,2]]}', "bad depth", true],
    ["trade_v1", '{"symbol":"A","price":"1","quantity":"1","side":"up","time":1}', "bad trade", false],
    ["balance", '{"asset":"USDT"}', "no user", false],
    ["json", '{"a":1}', "no channel", false],
  ];
  for (const [name, record, reason, suspect] of wrong) {
    const mapped = mapper(name).map(record);
    expect([name, "malformed" in mapped ? [mapped.malformed, mapped.suspect ?? false] : mapped]).toEqual([
      name,
      [reason, suspect],
    ]);
  }
});

test("venues - a bad item says whose it is", () => {
  const of = (name: string, record: string) => mapper(name).map(record);
  expect(of("binance_usdm", '{"e":"trade","E":1,"s":"A"}')).toMatchObject({ misses: "usdm:a@trade" });
  expect(of("binance_usdm", '{"e":"forceOrder","E":1,"o":{"s":"A"}}')).toMatchObject({ misses: "usdm:a@forceOrder" });
  expect(of("okx", '{"arg":{"channel":"trades","instId":"A-B"},"data":[{"px":"1"}]}')).toMatchObject({
    misses: "ab@trade",
  });
});
