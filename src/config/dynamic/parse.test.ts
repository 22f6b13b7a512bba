import { expect, test } from "bun:test";
import { join } from "node:path";
import { dynamicContext } from "../../dynamic-context.ts";
import { MISTAKES_MAX } from "./mistakes.ts";
import { DOCUMENT_LENGTH_MAX, parseDynamic } from "./parse.ts";
import type { DynamicConfig, Mistake } from "./types.ts";

const context = dynamicContext();
const sample = await Bun.file(join(import.meta.dir, "../../../test/fixtures/original-sample.json")).text();

function parse(document: unknown) {
  return parseDynamic(typeof document === "string" ? document : JSON.stringify(document), context);
}

const said = ({ path, message }: Mistake): string => `${path}: ${message}`;

function mistakesOf(document: unknown): string[] {
  const parsed = parse(document);
  return "mistakes" in parsed ? parsed.mistakes.map(said) : [];
}

const warningsOf = (document: unknown): string[] => parse(document).warnings.map(said);

function configOf(document: unknown): DynamicConfig {
  const parsed = parse(document);
  if ("mistakes" in parsed) throw new Error(JSON.stringify(parsed.mistakes));
  return parsed.config;
}

/** Sources `k` (Kafka), `n` (NATS) and `r` (Redis), and each mapping in a route of its own over `k`. */
const routed = (...mappings: Record<string, unknown>[]) => ({
  datasource: [
    { type: "kafka", name: "k" },
    { type: "nats", name: "n" },
    { type: "redis-stream", name: "r" },
  ],
  routes: mappings.map(({ data_source = "k", ...mapping }, at) => ({ id: `r${at}`, data_source, mappings: [mapping] })),
});

const TRADES = { mapper: "trade_v1", fanout_topic: "trades", ws_topic: "{symbol}@trade" };

/** The one mistake of one mapping, without where the mapping stands. */
function mappingMistake(mapping: Record<string, unknown>): string {
  const mistakes = mistakesOf(routed({ ...TRADES, ...mapping }));
  expect([mapping, mistakes.length]).toEqual([mapping, 1]);
  return (mistakes[0] ?? "").replace("routes[0].mappings[0].", "");
}

test("dynamic config - the original sample loads byte for byte", () => {
  const { datasource, topics, routes, mappers, instruments, limits } = configOf(sample);
  expect(datasource.map(({ type, name }) => [type, name])).toEqual([
    ["kafka", "default_kafka"],
    ["nats", "default_nats"],
  ]);
  expect(datasource[1]?.properties.reconnect_time_wait).toBe(2);
  expect(topics).toEqual(JSON.parse(sample).topics);
  expect(routes[0]?.mappings[0]).toEqual({
    mapper: "trade_v1",
    source_topic: "fanout.trade.btcusdt",
    fanout_topic: "fanout.trade.btcusdt",
    ws_topic: "btcusdt@trade",
  });
  expect([mappers, instruments, limits]).toEqual([[], [], context.limits]);
  expect(warningsOf(sample)).toEqual([]);
});

test("dynamic config - what is left out is filled in", () => {
  const config = configOf({
    ...routed(TRADES),
    $schema: "x",
    instruments: [
      { symbol: "BTC/USDT" },
      { symbol: "ethusdt", spelling: "ETHUSDT", market: "usdm", tick: "0.01", lot: "0.001" },
    ],
    limits: { subscriptionsMax: 5 },
  });
  expect(config.routes[0]).toMatchObject({ version: 1, mappings: [{ source_topic: "trades" }] });
  expect(config.datasource[0]).toEqual({ version: 1, type: "kafka", name: "k", properties: {} });
  expect(config.instruments).toMatchObject([
    { market: "spot", base: "BTC", quote: "USDT", tick: "1", status: "trading", inferred: true },
    { market: "usdm", base: "ETH", quote: "USDT", tick: "0.01", lot: "0.001", inferred: false },
  ]);
  expect(config.limits).toEqual({ ...context.limits, subscriptionsMax: 5 });
  expect(configOf({})).toMatchObject({ datasource: [], topics: [], routes: [], limits: context.limits });
});

const COMMENT = "comments are not allowed in JSON: leave this one out";

test("dynamic config - a byte order mark before the document is no mistake, and moves none", () => {
  expect(configOf(`\uFEFF${JSON.stringify({ limits: { subscriptionsMax: 5 } })}`).limits.subscriptionsMax).toBe(5);
  const broken = parse("\uFEFF{x}");
  expect("mistakes" in broken && broken.mistakes[0]).toMatchObject({ line: 1, column: 2 });
});

test("dynamic config - faults of the document as a whole", () => {
  expect(mistakesOf("[]")).toEqual([
    ": want one JSON object with datasource, topics, routes, mappers, instruments, limits",
  ]);
  const broken = parse('{"topics":[],\n  "routes":[}');
  expect("mistakes" in broken && broken.mistakes).toEqual([
    { path: "", message: "not JSON: want a value here", line: 2, column: 13 },
  ]);
  for (const [text, message] of [
    ['{"a":1,}', "the comma before it is one too many"],
    ["{'a':1}", 'want a name in "" here'],
    ['{"a":1 // no\n}', COMMENT],
    ['{ /* no */ "a":1}', COMMENT],
    ["[1, # no\n2]", COMMENT],
    ["{} // no", COMMENT],
    ["", "the document ends too early"],
    [`${"[".repeat(200)}`, "nested deeper than 100"],
  ] as const) {
    expect(mistakesOf(text)).toEqual([`: not JSON: ${message}`]);
  }
  expect(mistakesOf('{"topics":[],"topics":[{"topic":"a@b","topic":"c@d"}]}')).toEqual([
    "topics: stands in its object twice, leave one out",
    "topics[0].topic: stands in its object twice, leave one out",
  ]);
  expect(mistakesOf({ route: [], $schema: 5 })).toEqual([
    'route: no such field, did you mean "routes"?',
    "$schema: 5 is wrong, want the schema's address",
  ]);
});

test("dynamic config - types, fields and versions of entries, each at its line and column", () => {
  expect(mistakesOf({ routes: {}, topics: "x", datasource: [5] })).toEqual([
    "routes: {} is wrong, want a list",
    'topics: "x" is wrong, want a list',
    "datasource[0]: 5 is wrong, want an object with type, name and properties",
  ]);
  expect(mistakesOf({ topics: [{ topic: "a@b", rats: 1 }, { rate: 0 }] })).toEqual([
    'topics[0].rats: no such field, did you mean "rate"?',
    "topics[1].topic: is missing, want a channel name such as btcusdt@depth, {symbol}@trade or usdm:{symbol}@markPrice",
    "topics[1].rate: 0 is wrong, want a number of flushes per second from 0.34 to 1000",
  ]);
  expect(mistakesOf({ datasource: [{ version: 2, type: "cassandra", shape: 1 }, { version: "1" }] })).toEqual([
    "datasource[0].version: 2 is newer than this build reads (1): run a newer tidegate, or write it as 1",
    expect.stringContaining("datasource[1].type: is missing, want one of kafka, nats, jetstream, redis-stream"),
    expect.stringContaining("datasource[1].name: is missing"),
    'datasource[1].version: "1" is wrong, want 1, the version of the form of this entry',
  ]);
  const parsed = parse('{\n  "topics": [\n    {"topic":"a@b",\n     "rate":"x"}\n  ]\n}');
  expect("mistakes" in parsed && parsed.mistakes).toMatchObject([{ path: "topics[0].rate", line: 4, column: 13 }]);
});

test("dynamic config - limits are judged as in the static settings", () => {
  expect(mistakesOf({ limits: { sessionMax: 1 } })).toEqual([
    'limits.sessionMax: no such field, did you mean "sessionsMax"?',
  ]);
  expect(mistakesOf({ limits: { pingAfterMs: 70_000, frameBytesMax: 1 } })).toEqual([
    "limits.frameBytesMax: 1 is wrong, want a whole number from 64 to 1073741824, in bytes",
  ]);
  expect(mistakesOf({ limits: { pingAfterMs: 70_000 } })[0]).toContain(
    "want limits.pingAfterMs below limits.idleMsMax",
  );
});

test("dynamic config - names that stand there twice", () => {
  const source = { type: "nats", name: "n" };
  const trade = { time: "t", price: "p", quantity: "q", side: { const: "buy" } };
  expect(
    mistakesOf({
      datasource: [source, source],
      topics: [{ topic: "a@b" }, { topic: "spot:a@b" }],
      mappers: [
        { name: "m", kind: "trade", fields: trade },
        { name: "m", kind: "trade", fields: trade },
        { name: "depth_v2", kind: "trade", fields: trade },
      ],
      instruments: [{ spelling: "BTC/USD" }, { spelling: "BTC-USD" }, { spelling: "BTCUSD", market: "usdm" }],
    }),
  ).toEqual([
    'datasource[1].name: "n" is that of datasource[0] too, leave one out',
    'topics[1].topic: "spot:a@b" is that of topics[0] too, leave one out',
    'mappers[1].name: "m" is that of mappers[0] too, leave one out',
    'mappers[2].name: "depth_v2" is a built-in mapper, want another name',
    'instruments[1].spelling: "BTC-USD" and "BTC/USD" of instruments[0] both make spot:btcusd, leave one out',
  ]);
  const twice = routed(TRADES, { ...TRADES, ws_topic: "usdm:{symbol}@trade" });
  const [first, second] = twice.routes;
  expect(mistakesOf({ ...twice, routes: [first, { ...second, id: "r0" }] })).toEqual([
    'routes[1].id: "r0" is that of routes[0] too, leave one out',
  ]);
});

test("dynamic config - instruments", () => {
  expect(
    mistakesOf({
      instruments: [
        { spelling: "BTC/USDT", tick: "0.01" },
        { spelling: "///" },
        { base: "BTC" },
        { symbol: "SOL/USDT", spelling: "ETH/USDT" },
        { spelling: "SOLUSDT", tick: 0.1, lot: "0", status: "open" },
      ],
    }),
  ).toEqual([
    "instruments[0].lot: is missing, want tick and lot, or neither: then both are learned from the data",
    'instruments[1].spelling: "///" is wrong, want a symbol with letters or digits, which make channel names',
    "instruments[2].symbol: is missing, want a symbol as the source spells it, such as BTC/USDT",
    'instruments[3].symbol: "SOL/USDT" is wrong, want that of the spelling "ETH/USDT", or one of both',
    'instruments[4].tick: 0.1 is wrong, want a decimal above 0 as text, such as "0.01"',
    'instruments[4].lot: "0" is wrong, want a decimal above 0 as text, such as "0.01"',
    'instruments[4].status: "open" is wrong, want one of trading, halt, auction, delisted',
  ]);
});

test("dynamic config - references that dangle, with the nearest known name", () => {
  expect(mistakesOf(routed({ ...TRADES, data_source: "kk", mapper: "trade_v9" }))).toEqual([
    'routes[0].data_source: no data source "kk", did you mean "k"?',
    'routes[0].mappings[0].mapper: no mapper "trade_v9", did you mean "trade_v1"?',
  ]);
  expect(mistakesOf({ routes: [{ id: "a", data_source: "x", mappings: [] }, { peer_id: "node-a" }] })).toEqual([
    'routes[0].data_source: no data source "x"',
    "routes[0].mappings: [] is wrong, want at least one mapping",
    expect.stringContaining("routes[1].id: is missing"),
    expect.stringContaining("routes[1].data_source: is missing"),
    expect.stringContaining("routes[1].mappings: is missing"),
    'routes[1].peer_id: "node-a" is wrong, want the sha256 of a node\'s name in hex: 64 of the digits 0-9 and a-f',
  ]);
});

test("dynamic config - a reference to an entry that is wrong itself does not dangle", () => {
  const document = routed({ ...TRADES, mapper: "mine" });
  const mappers = [{ name: "mine", kind: "trade", fields: {}, more: 1 }];
  const mistakes = mistakesOf({ ...document, datasource: [{ type: "kafka", name: "k", x: 1 }], mappers });
  expect(mistakes.filter((text) => text.startsWith("routes"))).toEqual([]);
  expect(mistakes).toContain("mappers[0].fields.price: is missing, want where the price of a trade stands");
});

test("dynamic config - fanout topics make subjects of their own", () => {
  expect(mappingMistake({ source_topic: "x", fanout_topic: "tg.trades" })).toStartWith(
    'fanout_topic: "tg.trades" is wrong',
  );
  for (const fanout_topic of ["a b", "a..b", "a.*", ">"]) {
    expect(mappingMistake({ source_topic: "x", fanout_topic })).toEndWith(
      "want words joined by dots, without blanks, * and >",
    );
  }
  expect(mappingMistake({ source_topic: "x", fanout_topic: "{symbol}.{symbol}" })).toContain("{symbol} at most once");
  expect(mappingMistake({ source_topic: "x", fanout_topic: "f.{symbol}", ws_topic: "btcusdt@trade" })).toBe(
    'fanout_topic: "f.{symbol}" is wrong, want no {symbol}, because the channel btcusdt@trade has none that could stand for it',
  );
});

test("dynamic config - source topics by the rules of their broker", () => {
  const wrong: [string, string, string][] = [
    ["k", "a b", "a Kafka topic"],
    ["k", "..", "a Kafka topic"],
    ["k", "x".repeat(250), "a Kafka topic"],
    ["k", "{symbol}-{symbol}", "{symbol} at most once"],
    ["n", "md.a{symbol}", "{symbol} as a word of its own"],
    ["n", "md..a", "a NATS subject"],
    ["n", "tg.x", 'not "tg"'],
    ["n", "{symbol}.trade", "whose first word is written out"],
    ["n", ">", "whose first word is written out"],
    ["n", "a.>.b", "a NATS subject"],
    ["r", "a\u0000", "without control characters"],
  ];
  for (const [data_source, source_topic, wanted] of wrong) {
    expect(mappingMistake({ data_source, source_topic })).toContain(wanted);
  }
  for (const [data_source, source_topic] of [
    ["k", "md_{symbol}-x.1"],
    ["n", "md.*.{symbol}.>"],
    ["r", "md:{x}:{symbol}"],
  ]) {
    expect(mistakesOf(routed({ ...TRADES, data_source, source_topic }))).toEqual([]);
  }
  expect(mappingMistake({ source_topic: "md.{symbol}", ws_topic: "btcusdt@trade" })).toContain("want no {symbol}");
  expect(mappingMistake({ fanout_topic: "a{b}" })).toContain("because without a source_topic it is also what is read");
});

test("dynamic config - channels and the kinds of their mappers", () => {
  for (const ws_topic of ["BTC@trade", "a@b@c", "{symbol}@{symbol}", "x{symbol}@trade", "!ticker@arr", "a b"]) {
    expect(mappingMistake({ ws_topic })).toContain(
      `ws_topic: ${JSON.stringify(ws_topic)} is wrong, want a channel name`,
    );
  }
  expect(mappingMistake({ ws_topic: "{symbol}@depth" })).toBe(
    'ws_topic: "{symbol}@depth" is wrong, want a channel of trade, which is what the mapper trade_v1 makes; this one is of depth',
  );
  expect(mappingMistake({ mapper: "json", ws_topic: "balance" })).toContain("this one is of private");
  const fine: [string, string][] = [
    ["json", "announcement"],
    ["json", "{symbol}@news"],
    ["order", "fills"],
    ["kline_v1", "usdm:{symbol}@kline_1m"],
    ["kraken_v2", "{symbol}@trade"],
    ["balance", "balance"],
  ];
  for (const [mapper, ws_topic] of fine) expect(mistakesOf(routed({ ...TRADES, mapper, ws_topic }))).toEqual([]);
});

test("dynamic config - a channel has one source", () => {
  expect(mistakesOf(routed(TRADES, { ...TRADES, fanout_topic: "t2", ws_topic: "spot:{symbol}@trade" }))).toEqual([
    'routes[1].mappings[0].ws_topic: "spot:{symbol}@trade" is fed by routes[0].mappings[0] already, from elsewhere',
  ]);
  const [route] = routed(TRADES).routes;
  const both = { ...route, mappings: [TRADES, { ...TRADES, mapper: "kraken_v2" }] };
  expect(mistakesOf({ ...routed(), routes: [both] })).toEqual([]);
  expect(warningsOf(routed(TRADES, { ...TRADES, source_topic: "t2", ws_topic: "spot:btcusdt@trade" }))).toEqual([
    "routes[1].mappings[0].ws_topic: btcusdt@trade may come from routes[0].mappings[0] too: whose record comes first feeds it",
  ]);
});

test("dynamic config - properties of brokers: wrong types are mistakes, unknown names warnings, values are not shown", () => {
  const source = (properties: Record<string, unknown>) => ({
    datasource: [{ type: "nats", name: "n", properties: { servers: "nats://a:1", ...properties } }],
  });
  expect(mistakesOf(source({ connect_timeout: "soon", password: ["s3cret"], servers: [1], tls: 5 }))).toEqual([
    "datasource[0].properties.servers: is of the wrong type, want a list of texts, or one text with commas",
    "datasource[0].properties.connect_timeout: is of the wrong type, want a number",
    "datasource[0].properties.password: is of the wrong type, want a text",
    "datasource[0].properties.tls: is of the wrong type, want an object",
  ]);
  const other = { "metadata.broker.list": "a:1", "sasl.mechanisms": ["x"] };
  const kafka = { datasource: [{ type: "kafka", name: "k", properties: other }] };
  expect(warningsOf(kafka)).toEqual([]);
  expect(mistakesOf(kafka)).toEqual(['datasource[0].properties["sasl.mechanisms"]: is of the wrong type, want a text']);
  expect(mistakesOf(source({ connect_timeout: "5", max_reconnect_attempts: 10, tls: {}, user: null }))).toEqual([]);
  expect(warningsOf(source({ conect_timeout: 5, "a.b": 1 }))).toEqual([
    'datasource[0].properties.conect_timeout: a nats source knows no such property and leaves it aside, did you mean "connect_timeout"?',
    'datasource[0].properties["a.b"]: a nats source knows no such property and leaves it aside',
  ]);
});

test("dynamic config - a channel of an instrument that is not listed is a warning", () => {
  const document = { ...routed({ ...TRADES, ws_topic: "ethusdt@trade" }), instruments: [{ spelling: "BTCUSDT" }] };
  expect(warningsOf(document)).toEqual([
    "routes[0].mappings[0].ws_topic: spot:ethusdt is not among the instruments, it will be learned",
  ]);
});

test("dynamic config - a document with very many mistakes tells the first, and how many more", () => {
  const mistakes = mistakesOf({ topics: Array.from({ length: MISTAKES_MAX + 500 }, () => ({ topik: 1 })) });
  expect(mistakes).toHaveLength(MISTAKES_MAX + 1);
  expect(mistakes.at(-1)).toBe(": and 2000 mistakes more");
});

test("dynamic config - a document that is too long is refused unread", () => {
  const text = `{"topics":[${" ".repeat(DOCUMENT_LENGTH_MAX)}`;
  expect(mistakesOf(text)).toEqual([expect.stringContaining(`want at most ${DOCUMENT_LENGTH_MAX}`)]);
});
