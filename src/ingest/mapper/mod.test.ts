import { expect, test } from "bun:test";
import { createMapper, mapperNames, mapperOfVenue } from "./mod.ts";

const tools = { learn: () => "ab" };

test("mappers - every name makes the mapper of that name", () => {
  expect(mapperNames).toContain("kraken_v1");
  for (const name of mapperNames) expect(createMapper(name, tools).name).toBe(name);
});

test("mappers - an unknown name is refused with those that exist", () => {
  for (const name of ["kraken", "toString", ""]) {
    expect(() => createMapper(name, tools)).toThrow(`unknown mapper "${name}": use one of kraken_v1, kraken_v2,`);
  }
});

test("mappers - a venue has a mapper or none", () => {
  expect(mapperOfVenue("kraken-v1")).toBe("kraken_v1");
  expect(mapperOfVenue("kraken")).toBe("kraken_v2");
  expect(mapperOfVenue(null)).toBeNull();
});

test("typed - updates pass through untouched, anything else is malformed", () => {
  const typed = createMapper("typed", tools);
  const updates = [{ channel: "c0", kind: "json", user: "", time: 1, type: "value", data: { json: "{}" } }];
  expect(typed.map(updates)).toBe(updates as never);
  expect(typed.map("text")).toEqual({ malformed: "not a list of updates" });
});
