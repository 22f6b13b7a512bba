import { expect, test } from "bun:test";
import { GatewayError } from "./errors.ts";
import { createLog, isPretty, type LogSink } from "./log.ts";

function memorySink(): LogSink & { lines: string[]; full: boolean } {
  return {
    lines: [],
    full: false,
    write(line) {
      if (!this.full) this.lines.push(line);
      return !this.full;
    },
    flush: () => undefined,
  };
}

test("log - a JSON line has level, time, message, fields and the fields of its children", () => {
  const sink = memorySink();
  const log = createLog({ level: "info", format: "json" }, sink, false);
  log.child({ shard: "s1" }).warn("source lost", { attempt: 2 });
  expect(sink.lines).toHaveLength(1);
  const line = JSON.parse(sink.lines[0] ?? "");
  expect(line).toMatchObject({ level: "warn", msg: "source lost", shard: "s1", attempt: 2 });
  expect(Math.abs(line.time - Date.now())).toBeLessThan(60_000);
});

test("log - lines under the level are not written", () => {
  const sink = memorySink();
  const log = createLog({ level: "warn", format: "json" }, sink, false);
  log.info("no");
  log.debug("no");
  log.error("yes");
  expect(sink.lines.map((line) => JSON.parse(line).msg)).toEqual(["yes"]);
});

test("log - an error in the fields keeps its message, code and stack", () => {
  const sink = memorySink();
  createLog({ level: "info", format: "json" }, sink, false).error("failed", { error: new GatewayError("X1", "why") });
  expect(JSON.parse(sink.lines[0] ?? "").error).toMatchObject({ message: "why", code: "X1", type: "GatewayError" });
});

test("log - the readable form is one line without JSON braces around it", () => {
  const sink = memorySink();
  createLog({ level: "info", format: "pretty" }, sink, false).info("node is up", { port: 8080 });
  expect(sink.lines).toHaveLength(1);
  expect(sink.lines[0]).toMatch(/INFO.*node is up.*8080.*\n$/);
  expect(sink.lines[0]?.startsWith("{")).toBe(false);
});

test("log - lines dropped at the limit are counted and told when there is room again", () => {
  const sink = memorySink();
  const log = createLog({ level: "info", format: "json" }, sink, false);
  sink.full = true;
  log.info("a");
  log.info("b");
  sink.full = false;
  log.info("c");
  expect(sink.lines.map((line) => JSON.parse(line))).toMatchObject([{ level: "warn", count: 2 }, { msg: "c" }]);
});

test("log - auto is readable on a terminal and JSON elsewhere", () => {
  expect(isPretty("auto", true)).toBe(true);
  expect(isPretty("auto", false)).toBe(false);
  expect(isPretty("json", true)).toBe(false);
  expect(isPretty("pretty", false)).toBe(true);
});
