import { expect, test } from "bun:test";
import { InstrumentRegistry } from "../../channel/registry.ts";
import type { BrokerRecord } from "../broker.ts";
import { createTopicPattern } from "../topic-pattern.ts";
import type { DeclarativeSpec } from "./declarative/mod.ts";
import { createMapper, learnInto, type Malformed, type Mapper, type MapperTools, reasonOf } from "./mod.ts";
import { createRouteMapper, type RouteMapping } from "./route.ts";

const BTC = { spelling: "BTC/USDT", base: "BTC", quote: "USDT", tick: "0.1", lot: "0.1", status: "trading" } as const;

interface Options {
  readonly topic?: string;
  readonly instruments?: readonly string[];
  readonly listed?: readonly string[];
  readonly declared?: readonly DeclarativeSpec[];
  readonly create?: (name: string, tools: MapperTools) => Mapper;
}

function route(mappings: readonly RouteMapping[], options: Options = {}) {
  const { topic = "md", instruments = [], listed = [], declared = [] } = options;
  const registry = new InstrumentRegistry();
  for (const market of instruments) registry.add({ ...BTC, market });
  const refused: string[] = [];
  const mapper = createRouteMapper(mappings, {
    registry,
    learn: learnInto(registry, ({ message }) => refused.push(message)),
    listed: (market) => listed.includes(market),
    pattern: createTopicPattern(topic, { has: () => true, list: () => [] }),
    create: options.create ?? ((name, tools) => createMapper(name, tools, declared)),
  });
  const map = (value: unknown, on = topic) => mapper.map(record(value, on));
  const channels = (value: unknown, on = topic): unknown => {
    const mapped = map(value, on);
    if ("skipped" in mapped) return { skipped: mapped.skipped };
    return "malformed" in mapped ? mapped : mapped.map(({ channel }) => channel);
  };
  return { mapper, map, channels, registry, refused };
}

function record(value: unknown, topic: string): BrokerRecord {
  const bytes = value instanceof Uint8Array ? value : new TextEncoder().encode(text(value));
  return { topic, key: null, value: bytes, time: null };
}

const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

const trade = (symbol?: string, more = {}) => ({ symbol, price: "1", quantity: "2", side: "buy", time: 5, ...more });
const depth = (symbol?: string) => ({ symbol, type: "snapshot", time: 5, bids: [["1", "2"]], asks: [] });
const TRADES = { mapper: "trade_v1", ws_topic: "{symbol}@trade" };
const BOOKS = { mapper: "depth_v2", ws_topic: "{symbol}@depth" };
const UNMATCHED = { skipped: "unmatched" };

test("route mapper - one channel: its own symbol or none, never another's", () => {
  const { channels } = route([{ mapper: "trade_v1", ws_topic: "spot:btcusdt@trade" }]);
  expect(channels(trade())).toEqual(["btcusdt@trade"]);
  expect(channels(trade("BTC/USDT"))).toEqual(["btcusdt@trade"]);
  expect(channels(trade("ETH/USDT"))).toEqual(UNMATCHED);
  expect(channels(trade("BTCUSDT", { market: "usdm" }))).toEqual(UNMATCHED);
});

test("route mapper - {symbol} is that of the source topic, else the record's", () => {
  const fromTopic = route([TRADES], { topic: "md.{symbol}" });
  expect(fromTopic.channels(trade(), "md.BTCUSDT")).toEqual(["btcusdt@trade"]);
  expect(fromTopic.channels(trade("ETHUSDT"), "md.btcusdt")).toEqual(["btcusdt@trade"]);
  expect(fromTopic.channels(trade("BTCUSDT"), "other.btcusdt")).toEqual(UNMATCHED);
  const fromRecord = route([{ mapper: "trade_v1", ws_topic: "usdm:{symbol}@trade" }]);
  expect(fromRecord.channels(trade("BTC-USDT"))).toEqual(["usdm:btcusdt@trade"]);
  expect(fromRecord.channels(trade())).toEqual({ malformed: "no symbol" });
});

test("route mapper - listed instruments are the only ones, others are skipped and not malformed", () => {
  const { channels, registry } = route([TRADES], { instruments: ["spot"], listed: ["spot"] });
  expect(channels(trade("BTCUSDT"))).toEqual(["btcusdt@trade"]);
  expect(channels(trade("ETHUSDT"))).toEqual(UNMATCHED);
  registry.add({ ...BTC, market: "spot", spelling: "ETH/USDT" });
  expect(channels(trade("ETHUSDT"))).toEqual(["ethusdt@trade"]);
});

test("route mapper - without a list symbols are learned, as the record spells them", () => {
  const { channels, registry, refused } = route([TRADES], { topic: "md.{symbol}" });
  channels(trade("BTC/USDT"), "md.btcusdt");
  channels(trade(), "md.btc-usdt");
  channels(trade(), "md.ethusdt");
  expect(registry.list().map(({ spelling, inferred }) => [spelling, inferred])).toEqual([
    ["BTC/USDT", true],
    ["ETHUSDT", true],
  ]);
  expect(refused).toEqual([]);
});

test("route mapper - several mappings take of a record what is theirs", () => {
  const { channels } = route([TRADES, BOOKS], { instruments: ["spot"], listed: ["spot"] });
  expect(channels(trade("BTCUSDT"))).toEqual(["btcusdt@trade"]);
  expect(channels(depth("BTCUSDT"))).toEqual(["btcusdt@depth"]);
  expect(channels({ ...depth("BTCUSDT"), ...trade("BTCUSDT") })).toEqual(["btcusdt@trade", "btcusdt@depth"]);
  expect(channels(trade("ETHUSDT"))).toEqual(UNMATCHED);
});

test("route mapper - an unmatched record says whose it is, and what would make it ours", () => {
  const one = route([{ mapper: "trade_v1", ws_topic: "spot:btcusdt@trade" }]);
  expect(one.map(trade("ETH/USDT"))).toEqual({
    skipped: "unmatched",
    symbol: "ETH/USDT",
    advice: "give it a mapping of its own: this one is for btcusdt@trade",
  });
  expect(one.map(trade("BTCUSDT", { market: "usdm" }))).toMatchObject({ symbol: "usdm:BTCUSDT" });
  const listed = { instruments: ["spot"], listed: ["spot"] };
  const unlisted = { skipped: "unmatched", symbol: "ETH-USDT", advice: "list it in instruments, market spot" } as const;
  expect(route([TRADES, BOOKS], listed).map(trade("ETH-USDT"))).toEqual(unlisted);
  expect(route([{ mapper: "kraken_v2", ws_topic: "{symbol}@depth" }], listed).map(KRAKEN_BOOK)).toMatchObject({
    skipped: "unmatched",
    symbol: "btcusd",
  });
});

test("route mapper - malformed only if no mapping understood it, for the first reason", () => {
  const { map } = route([TRADES, BOOKS]);
  expect(map({ symbol: "BTCUSDT" })).toMatchObject({ malformed: "bad trade", suspect: true });
  expect(map("no json")).toMatchObject({ malformed: "not JSON", suspect: true });
  expect(route([TRADES]).map({ symbol: "BTCUSDT" })).toMatchObject({ malformed: "bad trade", suspect: false });
});

test("route mapper - people are told the field that each mapping could not use", () => {
  const told = (value: unknown, ...mappings: RouteMapping[]) => reasonOf(route(mappings).map(value) as Malformed);
  expect(told(trade("BTCUSDT", { price: "abc" }), TRADES)).toBe('trade.price: "abc" is not a decimal');
  expect(told(trade("BTCUSDT", { price: "abc" }), TRADES, BOOKS)).toBe(
    'trade.price: "abc" is not a decimal; depth.type is missing, want snapshot or delta',
  );
  expect(told("no json", TRADES, BOOKS)).toBe("not JSON");
});

test("route mapper - a record without content is skipped, anything but a broker's record is malformed", () => {
  const { mapper, map } = route([TRADES]);
  expect(map(new Uint8Array())).toEqual({ skipped: "empty" });
  expect(mapper.map("text")).toEqual({ malformed: "not a broker's record" });
});

test("route mapper - filters: what no mapping claims is filtered, what its own mapping cannot read is malformed", () => {
  const fields = { symbol: "s", time: "t", price: "p", quantity: "q", side: { const: "buy" } };
  const declared: DeclarativeSpec[] = ["a", "b"].map((e) => ({ name: e, kind: "trade", when: { e }, fields }));
  const mappings = ["a", "b"].map((mapper) => ({ mapper, ws_topic: "{symbol}@trade" }));
  const { channels } = route(mappings, { declared });
  const data = { s: "BTCUSDT", t: 1, p: "1", q: "2" };
  expect(channels({ e: "b", ...data })).toEqual(["btcusdt@trade"]);
  expect(channels({ e: "c", ...data })).toEqual({ skipped: "filtered" });
  expect(channels({ e: "b", ...data, p: "x" })).toEqual({ malformed: "p: want a decimal", suspect: false });
});

test("route mapper - candles of several intervals on one topic go to the channel of their interval", () => {
  const of = (interval: string) => ({ mapper: "kline_v1", ws_topic: `{symbol}@kline_${interval}` });
  const { channels } = route([of("1m"), of("1h")]);
  const price = { open: "1", high: "1", low: "1", close: "1", volume: "1" };
  const candle = { symbol: "BTCUSDT", time: 1, openTime: 0, closeTime: 59999, closed: false, ...price };
  expect(channels({ ...candle, interval: "1m" })).toEqual(["btcusdt@kline_1m"]);
  expect(channels({ ...candle, interval: "1h" })).toEqual(["btcusdt@kline_1h"]);
  expect(channels({ ...candle, interval: "5m" })).toEqual({ skipped: "filtered" });
});

const KRAKEN_BOOK =
  '{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":1.5,"qty":0.10}],"asks":[],"checksum":5,"timestamp":"2023-10-06T17:35:55.440295Z"}]}';
const KRAKEN_TRADE =
  '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":1.5,"qty":0.1,"ord_type":"market","trade_id":4,"timestamp":"2023-10-06T17:35:55.440295Z"}]}';

test("route mapper - a venue's mapper names its channels: mappings choose among them, and its checksum is verified", () => {
  const { channels, map, mapper } = route([{ mapper: "kraken_v2", ws_topic: "{symbol}@depth" }]);
  expect(channels(KRAKEN_BOOK)).toEqual(["btcusd@depth"]);
  expect(map(KRAKEN_BOOK)).toMatchObject([{ checksum: 5 }]);
  expect(channels(KRAKEN_TRADE)).toEqual({ skipped: "filtered" });
  expect(channels('{"channel":"heartbeat"}')).toEqual([]);
  expect(mapper.checksumOf).toBeFunction();
  const both = route([
    { mapper: "kraken_v2", ws_topic: "btcusd@depth" },
    { mapper: "kraken_v2", ws_topic: "btcusd@trade" },
  ]);
  expect(both.mapper.name).toBe("kraken_v2");
  expect(both.channels(KRAKEN_TRADE)).toEqual(["btcusd@trade"]);
  const listed = route([{ mapper: "kraken_v2", ws_topic: "{symbol}@depth" }], { listed: ["spot"] });
  expect(listed.channels(KRAKEN_BOOK)).toEqual(UNMATCHED);
  expect(listed.registry.list()).toEqual([]);
});

/** A mapper of raw bytes: price and quantity as two big-endian whole numbers, then the symbol. */
const binary = (_: string, { place }: MapperTools): Mapper => ({
  name: "binary",
  version: 1,
  takes: "bytes",
  placed: true,
  map(value, told = "") {
    if (!(value instanceof Uint8Array) || value[0] !== 0) return { malformed: "no binary trade" };
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    const channel = place?.channelOf(told, new TextDecoder().decode(value.subarray(8)), undefined) ?? "x@trade";
    if (typeof channel !== "string") return channel;
    const numbers = { price: String(view.getUint32(0)), quantity: String(view.getUint32(4)) };
    const item = { id: "", t: -1, ...numbers, side: "buy", time: 7 } as const;
    return [{ channel, kind: "trade", user: "", time: 7, type: "items", data: [item] }];
  },
});

test("route mapper - a mapper of raw bytes gets them untouched, beside one that reads JSON", () => {
  const bytes = new Uint8Array([0, 0, 0, 200, 255, 255, 255, 255, ...new TextEncoder().encode("BTCUSDT")]);
  const create = (name: string, tools: MapperTools): Mapper =>
    name === "binary" ? binary(name, tools) : createMapper(name, tools);
  const { map, channels } = route([TRADES, { mapper: "binary", ws_topic: "{symbol}@trade" }], { create });
  expect(map(bytes)).toMatchObject([{ channel: "btcusdt@trade", data: [{ price: "200", quantity: "4294967295" }] }]);
  expect(channels(trade("ETHUSDT"))).toEqual(["ethusdt@trade"]);
  expect(map(new Uint8Array([1]))).toMatchObject({ malformed: "not JSON", suspect: true });
});

test("route mapper - its version follows from what its mappings are, and from nothing else", () => {
  const version = (...[mappings, options]: Parameters<typeof route>) => route(mappings, options).mapper.version;
  expect(version([TRADES, BOOKS])).toBe(version([TRADES, BOOKS], { instruments: ["spot"] }));
  expect(version([TRADES])).not.toBe(version([TRADES, BOOKS]));
  expect(version([TRADES])).not.toBe(version([{ ...TRADES, ws_topic: "usdm:{symbol}@trade" }]));
  const declared = (price: string): DeclarativeSpec => {
    const fields = { time: "t", price, quantity: "q", side: { const: "buy" } };
    return { name: "mine", kind: "trade", fields };
  };
  const mine = [{ mapper: "mine", ws_topic: "{symbol}@trade" }];
  expect(version(mine, { declared: [declared("p")] })).toBe(version(mine, { declared: [declared("p")] }));
  expect(version(mine, { declared: [declared("p")] })).not.toBe(version(mine, { declared: [declared("x")] }));
});
