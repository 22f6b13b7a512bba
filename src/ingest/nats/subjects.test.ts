import { expect, test } from "bun:test";
import { covers, nameOfSubject, overlap, subjectFault, subjectOfPattern } from "./subjects.ts";

test("nats subjects - a symbol is a wildcard, also where it is part of a word", () => {
  expect(subjectOfPattern("md.trade.{symbol}")).toBe("md.trade.*");
  expect(subjectOfPattern("md.trade-{symbol}.v1")).toBe("md.*.v1");
  expect(subjectOfPattern("fanout.trade.btcusdt")).toBe("fanout.trade.btcusdt");
});

test("nats subjects - what is none, and what belongs to the bus, is refused with a reason", () => {
  for (const good of ["a", "md.trade.*", "md.>", "md.*.btc"]) expect(subjectFault(good)).toBeNull();
  for (const bad of ["", "a..b", "a b", "md.>.x", "md.tr*", "a.\u0007"])
    expect(subjectFault(bad)).toContain("is no NATS subject");
  for (const ours of ["tg.main.x", "*.trade", ">", "tg"]) expect(subjectFault(ours)).toContain("to the bus");
});

test("nats subjects - which covers which", () => {
  const cases: readonly [string, string, boolean, boolean][] = [
    ["md.>", "md.trade.btc", true, true],
    ["md.>", "md", false, false],
    ["md.*", "md.trade.btc", false, false],
    ["md.*.btc", "md.trade.*", false, true],
    ["md.trade.btc", "md.trade.*", false, true],
    ["md.*", "md.>", false, true],
    ["md.trade", "md.trade", true, true],
    ["md.trade", "md.depth", false, false],
    ["a.>", "b.>", false, false],
  ];
  for (const [outer, inner, covered, shared] of cases) {
    expect([outer, inner, covers(outer, inner), overlap(outer, inner)]).toEqual([outer, inner, covered, shared]);
    expect(overlap(inner, outer)).toBe(shared);
  }
});

test("nats subjects - names of consumers are legal and differ", () => {
  const names = ["md.trade.*", "md.trade.>", "md.trade.any", "md_trade_any"].map(nameOfSubject);
  expect(new Set(names).size).toBe(4);
  expect(names[0]).toMatch(/^md_trade_any-[0-9a-f]{8}$/);
  expect(names.every((name) => /^[A-Za-z0-9_-]+$/.test(name))).toBe(true);
});
