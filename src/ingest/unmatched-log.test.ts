import { expect, test } from "bun:test";
import { UnmatchedLog } from "./unmatched-log.ts";

function logged() {
  const lines: unknown[] = [];
  const log = new UnmatchedLog(
    { info: (message, fields) => lines.push([message.split(":")[1]?.trim(), fields]) },
    "k1",
  );
  const tell = (symbol?: string): void => {
    const record = { topic: "md.trade", key: null, value: new Uint8Array(1), time: null };
    log.tell({ skipped: "unmatched", ...(symbol !== undefined && { symbol }), advice: "list it" }, record);
  };
  return { lines, tell };
}

test("unmatched log - each symbol once, with its topic and what to change", () => {
  const { lines, tell } = logged();
  for (const symbol of ["ETHUSDT", "ETHUSDT", undefined, undefined]) tell(symbol);
  const message = "records of this symbol are counted and left out";
  expect(lines).toEqual([
    [message, { shard: "k1", symbol: "ETHUSDT", topic: "md.trade", advice: "list it" }],
    [message, { shard: "k1", topic: "md.trade", advice: "list it" }],
  ]);
});

test("unmatched log - after a hundred symbols one line says that there are more", () => {
  const { lines, tell } = logged();
  for (let i = 0; i < 300; i++) tell(`s${i}`);
  expect(lines).toHaveLength(101);
  expect(lines[99]).toMatchObject([expect.anything(), { symbol: "s99" }]);
  expect(lines[100]).toEqual([
    "more symbols than are named here, their records are only counted",
    { shard: "k1", named: 100 },
  ]);
});

test("unmatched log - a symbol of any length is shown cut", () => {
  const { lines, tell } = logged();
  tell("x".repeat(100_000));
  expect(lines).toMatchObject([[expect.anything(), { symbol: "x".repeat(64) }]]);
});
