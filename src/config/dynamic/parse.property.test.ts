/** Random changes of a sound document: parsing never throws, and what it refuses has a path and a sentence. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { dynamicContext } from "../../dynamic-context.ts";
import { parseDynamic } from "./parse.ts";

const context = dynamicContext();

/** On a machine that is busy with much else. */
const BUSY_MS = 60_000;

const SOUND = {
  datasource: [
    { version: 1, type: "kafka", name: "k", properties: { "bootstrap.servers": ["a:1"], "group.id": "g" } },
    { version: 1, type: "nats", name: "n", properties: { servers: "nats://a:1", tls: {} } },
  ],
  topics: [{ version: 1, topic: "{symbol}@trade", rate: 20, burst: 60, auth: "public", history: { count: 5 } }],
  routes: [
    {
      id: "r",
      version: 1,
      peer_id: "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
      data_source: "n",
      mappings: [
        { mapper: "mine", source_topic: "md.{symbol}", fanout_topic: "f.{symbol}", ws_topic: "{symbol}@trade" },
        { mapper: "book", source_topic: "md.books", fanout_topic: "b", ws_topic: "usdm:btcusdt@depth", bus: "nats" },
      ],
    },
  ],
  mappers: [
    {
      version: 1,
      name: "mine",
      kind: "trade",
      when: { e: ["t", 1, true] },
      items: "data[*]",
      fields: {
        time: { path: "$.t", unit: "us" },
        price: "p",
        quantity: { path: "q", default: "0" },
        side: { path: "s", values: { B: "buy", S: "sell" } },
      },
    },
    {
      name: "book",
      kind: "depth",
      fields: { type: { const: "delta" }, bids: { path: "b[*]", price: "p", when: { x: 1 } }, asks: "a" },
    },
  ],
  instruments: [{ spelling: "BTC/USDT", tick: "0.01", lot: "1", status: "halt", market: "usdm" }],
  limits: { subscriptionsMax: 5, commands: { native: { perSecond: 5 } }, deny: ["10.0.0.0/8"] },
};

type Way = readonly (string | number)[];

/** Paths of all values in it. */
function waysOf(value: unknown, way: Way = []): Way[] {
  if (typeof value !== "object" || value === null) return [way];
  return [way, ...Object.entries(value).flatMap(([name, inner]) => waysOf(inner, [...way, name]))];
}

const WAYS = waysOf(SOUND).filter((way) => way.length > 0);

function changed(document: unknown, way: Way, change: (owner: Record<string, unknown>, field: string) => void): void {
  const owner = way
    .slice(0, -1)
    .reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], document);
  if (typeof owner === "object" && owner !== null) change(owner as Record<string, unknown>, String(way.at(-1)));
}

const junk = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom("", "tg.x", "{symbol}", "a b", "__proto__", "constructor", -1, 0.5, 2, null, [], {}, "\u0000", "k"),
);
const mutation = fc.tuple(
  fc.constantFrom(...WAYS),
  fc.constantFrom("replace", "remove", "add", "rename"),
  junk,
  fc.string(),
);

test(
  "dynamic config - any change of a sound document is taken or refused with a path and a sentence",
  () => {
    expect("config" in parseDynamic(JSON.stringify(SOUND), context)).toBe(true);
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
        const document = structuredClone(SOUND);
        for (const [way, how, value, name] of mutations) {
          changed(document, way, (owner, field) => {
            if (how === "add" && !Array.isArray(owner)) owner[name] = value;
            else if (how === "rename") owner[name] = owner[field];
            if (how === "replace") owner[field] = value;
            else if (how !== "add") delete owner[field];
          });
        }
        const text = JSON.stringify(document);
        const parsed = parseDynamic(text, context);
        for (const { path, message, line, column } of "mistakes" in parsed ? parsed.mistakes : []) {
          expect(message.length).toBeGreaterThan(10);
          expect(message).not.toContain("Invalid input");
          expect(path).toMatch(/^($|[a-zA-Z_$[])/);
          expect([line, column >= 1 && column <= text.length]).toEqual([1, true]);
        }
        if ("mistakes" in parsed) expect(parsed.mistakes.length).toBeGreaterThan(0);
      }),
      { numRuns: 200 },
    );
  },
  BUSY_MS,
);

test(
  "dynamic config - any text is taken or refused, and where JSON.parse sees no JSON neither do we",
  () => {
    const text = JSON.stringify(SOUND, null, 1);
    const cut = fc.tuple(fc.nat(text.length), fc.nat(3), fc.string({ maxLength: 3 }));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          cut.map(([at, gone, put]) => text.slice(0, at) + put + text.slice(at + gone)),
        ),
        (given) => {
          const parsed = parseDynamic(given, context);
          const isFault = "mistakes" in parsed && parsed.mistakes[0]?.message.startsWith("not JSON") === true;
          let isJson = true;
          try {
            // With a byte order mark a document is taken all the same.
            JSON.parse(given.replace(/^\uFEFF/, ""));
          } catch {
            isJson = false;
          }
          expect([given, isFault]).toEqual([given, !isJson]);
        },
      ),
      { numRuns: 200 },
    );
  },
  BUSY_MS,
);
