import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { feed } from "../../test/feeds.ts";
import { GatewayError } from "../lib/errors.ts";
import { inspectReplay, parseLine, readLines } from "./replay-file.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-replay-file-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
async function fileOf(content: string | Uint8Array): Promise<string> {
  const path = join(folder, String(files++));
  await Bun.write(path, content);
  return path;
}
function refusal(path: string): string {
  try {
    inspectReplay(path);
  } catch (error) {
    if (error instanceof GatewayError) return error.message;
    throw error;
  }
  return "accepted";
}

test("replay file - each line says what it is", () => {
  expect(parseLine("wss://ws.kraken.com <-> 1618678132.3858151")).toEqual({
    type: "connection",
    url: "wss://ws.kraken.com",
  });
  expect(parseLine('wss://ws.kraken.com <- 1618678132.8253062: {"event":"subscribe"}')).toEqual({
    type: "request",
    url: "wss://ws.kraken.com",
    text: '{"event":"subscribe"}',
  });
  expect(parseLine('1618678133.25: {"event": "heartbeat"}')).toEqual({
    type: "record",
    timeMs: 1618678133250,
    text: '{"event": "heartbeat"}',
  });
  expect(parseLine("1618678133: []\r")).toEqual({ type: "record", timeMs: 1618678133000, text: "[]" });
  for (const blank of ["", "  ", "\r"]) expect(parseLine(blank)).toEqual({ type: "blank" });
});

test("replay file - a line that is nothing of that is a record without a time", () => {
  for (const text of ["{}", "soon: {}", ": {}", "12", "-1: {}", "1e99: {}", "a <-> b", "a <- 5"]) {
    expect(parseLine(text)).toEqual({ type: "record", timeMs: null, text });
  }
});

test("replay file - lines come whole and in order, wherever the read blocks cut them", async () => {
  const lines = Array.from({ length: 30_000 }, (_, index) => `${index}: ${"ä€😀".repeat(index % 7)}`);
  const path = await fileOf(lines.join("\n"));
  const read: string[] = [];
  let blocks = 0;
  for await (const block of readLines(path)) {
    blocks++;
    read.push(...block);
  }
  expect(blocks).toBeGreaterThan(2);
  expect(read).toEqual(lines);
});

test("replay file - a line beyond any recording's ends it with what to change", async () => {
  const path = await fileOf(new Uint8Array(17 * 1024 * 1024).fill(65));
  const read = (async () => {
    for await (const lines of readLines(path)) expect(lines).toEqual([]);
  })();
  await expect(read).rejects.toThrow("is not a recording (a line is over 16777216 characters)");
});

test("replay file - the head tells the connection, the venue and what was asked", async () => {
  const head = (url: string): Promise<string> =>
    fileOf(`${url} <-> 1.5\n${url} <- 1.6: {"op":1}\n${url} <- 1.7: hello\n2.5: {}\n`);
  expect(inspectReplay(await head("wss://ws.kraken.com"))).toEqual({
    url: "wss://ws.kraken.com",
    venue: "kraken-v1",
    requests: [{ op: 1 }, "hello"],
  });
  for (const [url, venue] of [
    ["wss://ws.kraken.com/v2", "kraken"],
    ["wss://futures.kraken.com/ws/v1", null],
    ["wss://ws-feed.pro.coinbase.com", "coinbase"],
    ["wss://ws-feed.exchange.coinbase.com", "coinbase"],
    ["wss://stream.binance.com:9443/stream?streams=a@depth", "binance"],
    ["wss://fstream.binance.com/stream?streams=a@depth", "binance-usdm"],
    ["wss://dstream.binance.com/stream", null],
    ["wss://ws.okx.com:8443/ws/v5/public", "okx"],
    ["wss://notokx.com", null],
    ["what", null],
  ] as const) {
    expect(`${url} ${inspectReplay(await head(url)).venue}`).toBe(`${url} ${venue}`);
  }
  expect(inspectReplay(await fileOf("2.5: []\n"))).toEqual({ url: null, venue: null, requests: [] });
});

test("replay file - what is no recording is refused with one sentence that says what to change", async () => {
  expect(refusal(join(folder, "absent"))).toBe(
    `replay file ${join(folder, "absent")} does not exist: give the path of a recording`,
  );
  expect(refusal(folder)).toContain("is a folder: give one recording inside it");
  expect(refusal(await fileOf(""))).toContain("is not a recording (it holds no record)");
  expect(refusal(await fileOf("wss://x.y <-> 1.0\n\n"))).toContain("is not a recording (it holds no record)");
  expect(refusal(await fileOf('{"json":"lines"}\n'))).toContain(
    `is not a recording (found "{\\"json\\":\\"lines\\"}")`,
  );
  expect(refusal(await fileOf("12: once upon a time\n"))).toContain("is not a recording");
  expect(refusal(await fileOf(crypto.getRandomValues(new Uint8Array(5000))))).toContain("is not a recording");
});

for (const [name, venue, url, requests] of [
  ["KRAKEN.ws.50.0", "kraken-v1", "wss://ws.kraken.com", 1],
  ["COINBASE.ws.28.0", "coinbase", "wss://ws-feed.pro.coinbase.com", 3],
  ["BINANCE.ws.1.0", "binance", "wss://stream.binance.com:9443/stream?streams=", 0],
  ["BINANCE_FUTURES.ws.1.0", "binance-usdm", "wss://fstream.binance.com/stream?streams=", 0],
  ["OKX.ws.1.0", "okx", "wss://ws.okx.com:8443/ws/v5/public", 3],
] as const) {
  const path = feed(name);
  test.skipIf(path === null)(`replay file - the recorded feed ${name} is understood from its head`, () => {
    const head = inspectReplay(path!);
    expect(head.venue).toBe(venue);
    expect(head.url).toStartWith(url);
    expect(head.requests).toHaveLength(requests);
  });
}
