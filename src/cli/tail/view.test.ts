import { expect, test } from "bun:test";
import type { ChannelPush } from "../../../client/src/frames.ts";
import { waitFor } from "../../../test/lib/wait.ts";
import { Panel } from "./panel.ts";
import { plainLines, timeOfDay } from "./text.ts";
import { jsonView, type Output, plainView, screenView } from "./view.ts";

const time = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const at = { time, sentUs: 1_000_000 };
const snapshot: ChannelPush = {
  ...at,
  channel: "b@depth",
  type: "snapshot",
  epoch: "k1",
  seq: 5,
  data: {
    bids: [
      ["10.50", "2.0"],
      ["10.40", "1.0"],
    ],
    asks: [["10.52", "4.0"]],
  },
};
const delta: ChannelPush = {
  ...at,
  channel: "b@depth",
  type: "delta",
  prev: 5,
  seq: 7,
  data: { bids: [["10.50", "0"]], asks: [] },
};
const trade: ChannelPush = {
  ...at,
  channel: "b@trade",
  type: "items",
  prev: 1,
  seq: 2,
  data: [{ id: "77", price: "10.51", quantity: "0.5", side: "buy", time }],
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours are escape sequences
const bare = (text: string): string => text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "");

function outputs() {
  const text = { out: "", err: "", stuck: 0 };
  const to = (name: "out" | "err", waitingBytes: number): Output => ({
    write(more) {
      text[name] += more;
    },
    waitingBytes,
  });
  const make = (waitingBytes = 0) => ({
    out: to("out", waitingBytes),
    err: to("err", 0),
    onStuck: () => {
      text.stuck += 1;
    },
  });
  return { text, make };
}

test("tail view - plain lines: a book by its best, a trade by itself, troubles by name", () => {
  const day = timeOfDay(time);
  const top = { bid: ["10.40", "1.0"], ask: ["10.52", "4.0"] } as const;
  expect(plainLines(delta, top)).toEqual([`${day} b@depth delta seq 7 1+0 levels  bid 10.40 x 1.0  ask 10.52 x 4.0`]);
  expect(plainLines(trade, null)).toEqual([`${day} b@trade buy  10.51 x 0.5 id 77`]);
  const gap: ChannelPush = { channel: "c", type: "gap", missed: null, from: 3, to: 4, reason: "source" };
  expect(plainLines(gap, null)).toEqual(["c GAP an unknown number of missing, 3 to 4 (source)"]);
  expect(plainLines({ channel: "c", type: "stale" }, null)[0]).toStartWith("c STALE");
  const ticker: ChannelPush = {
    ...at,
    channel: "b@bookTicker",
    type: "value",
    prev: 1,
    seq: 2,
    data: { bid: "1", bidQuantity: "2", ask: "3", askQuantity: "4" },
  };
  expect(plainLines(ticker, null)).toEqual([`${day} b@bookTicker bid 1 x 2  ask 3 x 4`]);
  expect(plainLines({ ...ticker, data: { a: 1, b: { c: "x" } } }, null)).toEqual([
    `${day} b@bookTicker a 1  b {"c":"x"}`,
  ]);
});

test("tail view - the plain form follows the book", () => {
  const { text, make } = outputs();
  const view = plainView(make());
  view.push(snapshot, "", false);
  view.push(delta, "", false);
  expect(text.out.split("\n").map((line) => line.split("bid ")[1])).toEqual([
    "10.50 x 2.0  ask 10.52 x 4.0",
    "10.40 x 1.0  ask 10.52 x 4.0",
    undefined,
  ]);
});

test("tail view - JSON is the push as it came and nothing else, notes go to stderr", () => {
  const { text, make } = outputs();
  const view = jsonView(make());
  view.note("connected");
  view.push(trade, '{"as":"it came"}', false);
  expect(text).toEqual({ out: '{"as":"it came"}\n', err: "connected\n", stuck: 0 });
});

test("tail view - a reader that does not read is given up", () => {
  const { text, make } = outputs();
  jsonView(make(65 * 1024 * 1024)).push(trade, "{}", false);
  plainView(make(65 * 1024 * 1024)).push(trade, "{}", false);
  expect(text.stuck).toBe(2);
});

test("tail panel - a book has its levels best first with bars by quantity, and fits the screen", () => {
  const panel = new Panel("b@depth");
  panel.add(snapshot, false, 1_002_500);
  const lines = panel.lines(80, 20).map(bare);
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(/^b@depth {2}spread 0\.02 {2}seq 5 .*latency 2\.5 ms$/);
  expect(lines[1]).toMatch(/ █{14} 2\.0 10\.50 {2}10\.52 4\.0 █{28}$/);
  expect(lines[2]).toMatch(/ █{7} 1\.0 10\.40 {2}$/);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(panel.lines(80, 2)).toHaveLength(2);
  panel.add(delta, false, 1_002_500);
  expect(panel.lines(80, 20).map(bare)[1]).toMatch(/1\.0 10\.40 {2}10\.52/);
});

test("tail panel - stale is shown until the next data, gaps are counted", () => {
  const panel = new Panel("b@trade");
  panel.add(trade, false, 1_000_000);
  panel.add({ channel: "b@trade", type: "stale" }, false, 1_000_000);
  expect(bare(panel.lines(80, 9)[0] ?? "")).toContain("STALE");
  panel.add({ channel: "b@trade", type: "gap", missed: 3, from: 3, to: 5, reason: "slow" }, false, 1_000_000);
  panel.add({ ...trade, prev: 5, seq: 6 }, false, 1_000_000);
  const lines = panel.lines(80, 9).map(bare);
  expect(lines[0]).toContain("gaps 1");
  expect(lines[0]).not.toContain("STALE");
  expect(lines[2]).toBe("--- gap: 3 missing, 3 to 5 (slow) ---");
});

test("tail panel - no line is wider than the screen", () => {
  const panel = new Panel("b@ticker");
  const data = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`field${index}`, "1234567890"]));
  panel.add({ ...at, channel: "b@ticker", type: "value", prev: null, seq: 1, data }, false, 1_000_000);
  for (const line of panel.lines(40, 5)) expect(bare(line).length).toBeLessThanOrEqual(40);
});

test("tail view - the screen shows every channel and the notes, and gives the terminal back", async () => {
  const { text, make } = outputs();
  const view = screenView(
    make(),
    ["b@depth", "b@trade"],
    () => ({ columns: 80, rows: 24 }),
    () => 1_000_000,
  );
  view.push(snapshot, "", false);
  view.push(trade, "", false);
  view.note("connected to somewhere");
  await waitFor(() => bare(text.out).includes("connected to somewhere"), "the note is drawn");
  const shown = bare(text.out);
  for (const part of ["b@depth", "10.50", "b@trade", "buy  10.51 x 0.5", "connected to somewhere"]) {
    expect(shown).toContain(part);
  }
  expect(shown.split("\r\n").length).toBeLessThanOrEqual(24);
  view.close();
  expect(text.out).toEndWith("\x1b[?25h\x1b[?1049lconnected to somewhere\n");
});
