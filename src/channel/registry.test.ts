import { expect, test } from "bun:test";
import { GatewayError } from "../lib/errors.ts";
import { INTERVALS, streamKind } from "./kinds.ts";
import { InstrumentRegistry } from "./registry.ts";

const BTC = {
  market: "spot",
  spelling: "BTC/USDT",
  base: "BTC",
  quote: "USDT",
  tick: "0.01",
  lot: "0.00001",
  status: "trading",
} as const;

function codeOf(call: () => unknown): string | null {
  try {
    call();
    return null;
  } catch (error) {
    return error instanceof GatewayError ? error.code : "other";
  }
}

test("registry - every stream of a known instrument is a known channel of its kind", () => {
  const registry = new InstrumentRegistry();
  const instrument = registry.add(BTC);
  const expected: [stream: string, kind: string, family: string][] = [
    ["trade", "trade", "items"],
    ["aggTrade", "aggTrade", "items"],
    ["depth", "depth", "book"],
    ["depth5", "partialDepth", "value"],
    ["bookTicker", "bookTicker", "value"],
    ["ticker", "ticker", "value"],
    ["miniTicker", "miniTicker", "value"],
    ["markPrice", "markPrice", "value"],
    ["forceOrder", "liquidation", "items"],
    ...INTERVALS.map((interval): [string, string, string] => [`kline_${interval}`, "kline", "candles"]),
  ];
  for (const [stream, kind, family] of expected) {
    const channel = registry.resolve(`btcusdt@${stream}`);
    expect(channel).toMatchObject({
      name: `btcusdt@${stream}`,
      market: "spot",
      symbol: "btcusdt",
      kind,
      family,
      instrument,
    });
  }
  expect(registry.resolve("btcusdt@kline_1M")?.interval).toBe("1M");
  expect(registry.resolve("btcusdt@depth20")).toMatchObject({ levels: 20, derivedFrom: "btcusdt@depth" });
  expect(registry.resolve("btcusdt@trade")).toMatchObject({ levels: 0, derivedFrom: "", interval: "" });
});

test("registry - any accepted spelling leads to the canonical channel", () => {
  const registry = new InstrumentRegistry();
  registry.add(BTC);
  registry.add({ ...BTC, market: "usdm" });
  expect(registry.resolve("spot:btcusdt@depth")?.name).toBe("btcusdt@depth");
  expect(registry.resolve("usdm:btcusdt@bookTicker")).toMatchObject({
    name: "usdm:btcusdt@bookTicker",
    derivedFrom: "usdm:btcusdt@depth",
  });
});

test("registry - unknown names are null, also a json stream nobody registered", () => {
  const registry = new InstrumentRegistry();
  registry.add(BTC);
  for (const name of [
    "ethusdt@depth",
    "usdm:btcusdt@depth",
    "btcusdt@sentiment",
    "balance",
    "BTCUSDT@depth",
    "",
    "@",
  ]) {
    expect(registry.resolve(name)).toBeNull();
  }
});

test("registry - topics: bare ones, and full channel names", () => {
  const registry = new InstrumentRegistry();
  registry.add(BTC);
  registry.addTopic("balance");
  registry.addTopic("instrument");
  registry.addTopic("c0", "json", "items");
  registry.addTopic("spot:btcusdt@sentiment");
  expect(registry.resolve("balance")).toMatchObject({
    name: "balance",
    market: "",
    symbol: "",
    kind: "private",
    family: "items",
  });
  expect(registry.resolve("instrument")).toMatchObject({ kind: "instrument", family: "items", instrument: null });
  expect(registry.resolve("c0")).toMatchObject({ kind: "json", family: "items" });
  expect(registry.resolve("btcusdt@sentiment")).toMatchObject({ kind: "json", family: "value", symbol: "btcusdt" });
  expect(codeOf(() => registry.addTopic("btcusdt@trade"))).toBe("BAD_TOPIC");
  expect(codeOf(() => registry.addTopic("no such name"))).toBe("BAD_CHANNEL_NAME");
});

test("registry - two spellings of one symbol are refused by name", () => {
  const registry = new InstrumentRegistry();
  registry.add(BTC);
  expect(() => registry.add({ ...BTC, spelling: "BTC-USDT" })).toThrow(
    '"BTC-USDT" and "BTC/USDT" both make the symbol btcusdt',
  );
  expect(codeOf(() => registry.learn("spot", "btc_usdt"))).toBe("SYMBOL_CLASH");
  expect(codeOf(() => registry.add({ ...BTC, spelling: "///" }))).toBe("BAD_INSTRUMENT");
  expect(codeOf(() => registry.add({ ...BTC, market: "Spot" }))).toBe("BAD_INSTRUMENT");
  expect(registry.list()).toHaveLength(1);
});

test("registry - learned instruments grow with the decimals seen; told ones do not", () => {
  const registry = new InstrumentRegistry();
  registry.add(BTC);
  const learned = registry.learn("spot", "KSM/XBT");
  expect(learned).toMatchObject({ symbol: "ksmxbt", base: "KSM", quote: "XBT", tick: "1", lot: "1", inferred: true });
  expect(registry.learn("spot", "KSM/XBT")).toBe(learned);
  registry.seen("spot", "ksmxbt", 2, 5);
  registry.seen("spot", "ksmxbt", 4, 3);
  registry.seen("spot", "btcusdt", 8, 8);
  expect(registry.find("spot", "ksmxbt")).toMatchObject({ tick: "0.0001", lot: "0.00001" });
  expect(registry.find("spot", "btcusdt")).toMatchObject({ tick: "0.01", lot: "0.00001" });
  expect(registry.learn("spot", "ETHUSDT")).toMatchObject({ base: "ETH", quote: "USDT" });
  expect(registry.learn("spot", "X", "A", "B")).toMatchObject({ base: "A", quote: "B" });
});

test("registry - listeners hear of changes, resolved channels show them, nothing changes for nothing", () => {
  const registry = new InstrumentRegistry();
  const heard: string[] = [];
  const end = registry.onChange((now, before) => heard.push(`${before?.status ?? "-"}>${now.status}`));
  registry.add(BTC);
  expect(registry.resolve("btcusdt@depth")?.instrument?.status).toBe("trading");
  registry.update("spot", "btcusdt", { status: "halt" });
  registry.update("spot", "btcusdt", { status: "halt" });
  expect(registry.resolve("btcusdt@depth")?.instrument?.status).toBe("halt");
  end();
  registry.update("spot", "btcusdt", { status: "trading" });
  expect(heard).toEqual(["->trading", "trading>halt"]);
  expect(codeOf(() => registry.update("spot", "nope", { status: "halt" }))).toBe("UNKNOWN_INSTRUMENT");
  expect(registry.bySpelling("spot", "BTC/USDT")?.symbol).toBe("btcusdt");
  expect(registry.list("usdm")).toEqual([]);
});

test("kinds - what is not listed is json", () => {
  expect(streamKind("kline_7m").kind).toBe("json");
  expect(streamKind("Trade").kind).toBe("json");
});

test("registry - all-market channels are known in every market, and name what their instruments add", () => {
  const registry = new InstrumentRegistry();
  expect(registry.resolve("usdm:!ticker@arr")).toMatchObject({
    name: "usdm:!ticker@arr",
    market: "usdm",
    symbol: "",
    kind: "ticker",
    family: "value",
    all: "ticker",
  });
  expect(registry.resolve("spot:!miniTicker@arr")?.name).toBe("!miniTicker@arr");
  expect(registry.resolve("!contractInfo")).toMatchObject({ kind: "instrument", all: "instrument" });
  for (const name of ["!nothing@arr", "!ticker", "USDM:!ticker@arr", "a:b:!ticker@arr", "!"]) {
    expect(registry.resolve(name)).toBeNull();
  }
});

test("registry - the channel of instruments is known, unless it is configured to come from a source", () => {
  const registry = new InstrumentRegistry();
  expect(registry.resolve("instrument")).toMatchObject({ kind: "instrument", family: "items", ofRegistry: true });
  registry.addTopic("instrument");
  expect(registry.resolve("instrument")).toMatchObject({ kind: "instrument", family: "items" });
  expect(registry.resolve("instrument")).not.toHaveProperty("ofRegistry");
  registry.learn("spot", "BTCUSDT");
  expect(registry.resolve("btcusdt@instrument")).toBeNull();
});

test("registry - channels that nodes make from others say from which, and how", () => {
  const registry = new InstrumentRegistry();
  registry.learn("usdm", "BTCUSDT");
  const made = (stream: string) => registry.resolve(`usdm:btcusdt@${stream}`)?.made;
  expect(made("ticker_1h")).toEqual({ how: "window", from: "usdm:btcusdt@kline_1m", candles: 60 });
  expect(made("ticker_1d")).toEqual({ how: "same", from: "usdm:btcusdt@ticker" });
  expect(made("kline_6h_utc8")).toEqual({ how: "span", from: "usdm:btcusdt@kline_2h", offsetMs: 28_800_000 });
  expect(made("continuousKline_1m")).toEqual({ how: "same", from: "usdm:btcusdt@kline_1m" });
  expect(registry.resolve("usdm:btcusdt@kline_1h")).not.toHaveProperty("made");
  expect(registry.resolve("usdm:btcusdt@kline_1h_utc8")).toBeNull();
});
