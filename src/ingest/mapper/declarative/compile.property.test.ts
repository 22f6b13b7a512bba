/** Random records: a declarative mapper never throws, and one that only repeats the canonical names is the canonical mapper. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { symbolOf } from "../../../channel/name.ts";
import { reasonOf } from "../blame.ts";
import { createMapper } from "../mod.ts";
import { createDeclarative } from "./compile.ts";
import type { DeclarativeSpec } from "./spec.ts";

/** On a machine that is busy with much else. */
const BUSY_MS = 60_000;

const learn = (market: string, spelling: string): string =>
  (market === "spot" ? "" : `${market}:`) + symbolOf(spelling);

const same = (...names: string[]): Record<string, string> => Object.fromEntries(names.map((name) => [name, name]));

const TRADE: DeclarativeSpec = {
  name: "trade",
  kind: "trade",
  fields: same("symbol", "market", "time", "id", "price", "quantity", "side"),
};
const DEPTH: DeclarativeSpec = {
  name: "depth",
  kind: "depth",
  fields: same("symbol", "market", "time", "type", "bids", "asks", "prev", "seq"),
};
const LISTED: DeclarativeSpec = { ...TRADE, items: "data[*].list", when: { "$.e": ["x", 1], side: "buy" } };

const decimal = fc.oneof(
  fc.double({ min: 0, max: 1e6, noNaN: true }).map((number) => number.toFixed(4)),
  fc.constantFrom("0", "0.10", "27508.40", "-1", "1e5", "", "x", 5, 2.5, null),
);
const time = fc.oneof(fc.nat(2e9), fc.constantFrom("1795321303824", "x"));
const symbol = fc.constantFrom("BTC/USDT", "ethusdt", 5, null);
const rest = { market: fc.constantFrom("spot", "usdm"), extra: fc.jsonValue() };
const trade = fc.record(
  {
    symbol,
    time,
    id: fc.oneof(fc.nat(), fc.string(), fc.boolean()),
    price: decimal,
    quantity: decimal,
    ...rest,
    side: fc.constantFrom("buy", "sell", "x"),
  },
  { requiredKeys: ["symbol", "time"] },
);
const levels = fc.array(fc.tuple(decimal, decimal), { maxLength: 4 });
const depth = fc.record(
  {
    symbol,
    time,
    type: fc.constantFrom("snapshot", "delta", "x"),
    bids: levels,
    asks: levels,
    prev: fc.nat(),
    seq: fc.nat(),
    ...rest,
  },
  { requiredKeys: ["symbol", "time", "type"] },
);

/** Canonical mappers say less about what is wrong. */
const outcome = (mapped: object): unknown => ("malformed" in mapped ? "malformed" : mapped);

test(
  "declarative - one that repeats the canonical names takes and makes what the canonical mapper does",
  () => {
    for (const [spec, name, records] of [
      [TRADE, "trade_v1", trade],
      [DEPTH, "depth_v2", depth],
    ] as const) {
      const declarative = createDeclarative(spec, { learn });
      const canonical = createMapper(name, { learn });
      fc.assert(
        fc.property(records as fc.Arbitrary<object>, (record) => {
          const text = JSON.stringify(record);
          // Numbers in lists: the canonical mapper wants texts there. Ids: it takes any number, the other what the text says.
          if (name === "depth_v2" && /[[,]-?\d/.test(text)) return;
          if ("id" in record && (typeof record.id === "boolean" || record.id === "")) return;
          const made = canonical.map(text);
          expect([text, outcome(declarative.map(text))]).toEqual([text, outcome(made)]);
          if ("malformed" in made) expect([text, reasonOf(made)]).not.toEqual([text, expect.stringMatching(/^bad /)]);
        }),
        { numRuns: 300 },
      );
    }
  },
  BUSY_MS,
);

test(
  "declarative - no text makes it throw",
  () => {
    const mappers = [TRADE, DEPTH, LISTED].map((spec) => createDeclarative(spec, { learn }));
    const listed = fc.record({
      e: fc.constantFrom("x", 1, "y"),
      data: fc.oneof(fc.jsonValue(), fc.array(fc.record({ list: fc.array(trade) }))),
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          listed.map((record) => JSON.stringify(record)),
        ),
        (text) => {
          for (const mapper of mappers) {
            const mapped = mapper.map(text);
            if ("malformed" in mapped) expect(mapped.malformed.length).toBeGreaterThan(0);
            else if (!("skipped" in mapped)) for (const { channel } of mapped) expect(channel).toContain("@");
          }
        },
      ),
      { numRuns: 300 },
    );
  },
  BUSY_MS,
);
