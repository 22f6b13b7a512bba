import { expect, test } from "bun:test";
import { timeMs } from "./exact.ts";
import { judgeDeclarative } from "./judge.ts";
import { parsePath } from "./path.ts";

const told = (mapper: Record<string, unknown>): string[] =>
  judgeDeclarative({ name: "m", ...mapper }).map(({ path, message }) => `${path.join(".")}: ${message}`);

const trade = { time: "t", price: "p", quantity: "q", side: "s" };

test("declarative check - what a kind needs, and what it does not know", () => {
  expect(told({ kind: "trade", fields: trade })).toEqual([]);
  expect(told({ kind: "trade", fields: { time: "t", prices: "p", quantity: "q", side: "s", x: "y" } })).toEqual([
    "fields.price: is missing, want where the price of a trade stands",
    'fields.prices: a trade has no such field, did you mean "price"?',
    "fields.x: a trade has no such field: want symbol, market, time, id, price, quantity, side",
  ]);
  expect(told({ kind: "depth", fields: { type: { const: "delta" } } })).toEqual(["fields: want bids, asks or both"]);
  expect(told({ kind: "no", fields: {} })).toEqual([]);
  expect(told({ kind: "json", fields: { constructor: "a" } })[0]).toStartWith("fields.constructor: a json has no such");
});

test("declarative check - paths, constants, tables and units", () => {
  const field = (name: string, spec: unknown) => told({ kind: "trade", fields: { ...trade, [name]: spec } });
  expect(field("price", "a..b")[0]).toBe(
    'fields.price: "a..b" is wrong, want a path such as data.p, levels[0], $.time or data["a.b"]',
  );
  expect(field("price", "a[*].b")[0]).toContain("has [*], which only items, bids and asks have");
  expect(field("price", {})).toEqual(["fields.price: want either path or const"]);
  expect(field("price", { path: "p", const: "1" })).toEqual(["fields.price: want either path or const"]);
  expect(field("price", { const: 1 })).toEqual([
    'fields.price.const: 1 is wrong, want a decimal as text, such as "0.10"',
  ]);
  expect(field("price", { path: "p", unit: "s" })).toEqual(["fields.price.unit: only times have a unit"]);
  expect(field("side", { path: "s", values: { B: "bid" } })).toEqual([
    'fields.side.values.B: "bid" is wrong, want one of buy, sell',
  ]);
  expect(field("time", { path: "t", default: "now" })[0]).toContain("want a time as a whole number");
  expect(field("price", { path: "p", when: { a: 1 } })).toEqual(["fields.price.when: only bids and asks have that"]);
  expect(told({ kind: "trade", items: "a[", when: { "": 1, "b]": 2 }, fields: trade })).toHaveLength(2);
  const depth = { type: { const: "delta" }, bids: { path: "b[*][*]", price: "x[", unit: "s" } };
  expect(told({ kind: "depth", fields: depth })).toEqual([
    "fields.bids.unit: a list of levels has none: want path, price, quantity and when",
    'fields.bids.path: "b[*][*]" has [*] inside, want it at the end',
    'fields.bids.price: "x[" is wrong, want a path such as data.p, levels[0], $.time or data["a.b"]',
  ]);
});

test("declarative - paths are read as they are written", () => {
  expect(parsePath('$.a[0]["b.c"].d-e')).toMatchObject({ fromRoot: true, steps: ["a", 0, "b.c", "d-e"] });
  expect(parsePath("[1]")).toMatchObject({ fromRoot: false, steps: [1] });
  expect(parsePath("$")).toMatchObject({ fromRoot: true, steps: [] });
  for (const wrong of ["", ".a", "a.", "a b", "a[-1]", "a[b]", "a['b']", "$a", 'a["b', "a.$"]) {
    expect([wrong, parsePath(wrong)]).toEqual([wrong, null]);
  }
});

test("declarative - times of any unit in whole milliseconds", () => {
  const cases: [unknown, Parameters<typeof timeMs>[1], number][] = [
    ["1795321303824", "ms", 1795321303824],
    ["1795321303824.9", "ms", 1795321303824],
    ["1795321303", "s", 1795321303000],
    ["1795321303.8", "s", 1795321303800],
    ["1795321303.82499999", "s", 1795321303824],
    ["1795321303824999", "us", 1795321303824],
    ["1795321303824999999", "ns", 1795321303824],
    ["12", "us", 0],
    ["2021-04-17T16:43:37.075687Z", "iso", 1618677817075],
    ["-5", "ms", Number.NaN],
    ["1e3", "ms", Number.NaN],
    [null, "s", Number.NaN],
    ["99999999999999999999", "s", Number.NaN],
  ];
  for (const [value, unit, ms] of cases) expect([value, timeMs(value, unit)]).toEqual([value, ms]);
});
