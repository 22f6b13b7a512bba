/**
 * Who misses something is told in the words of its dialect: the cells of the table in docs/protocol.md, "Who is told what".
 *
 * Here a venue's connection is cut, so books have to be taken up again and nobody knows which trades were lost. The other
 * rows: a false checksum, a stale book that stays so and a new epoch in disturbance.test.ts, a lapped worker in
 * lap.test.ts, one that ends in faults.test.ts, a slow session in slow.test.ts.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { BinanceBook } from "../lib/binance-book.ts";
import type { BinanceClient } from "../lib/binance-client.ts";
import type { NativeClient } from "../lib/native-client.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { krakenV1Speech } from "../venue/kraken-v1-speech.ts";
import { VenueServer } from "../venue/venue-server.ts";

setDefaultTimeout(TEST_MS_MAX);

const SYMBOL = "XBT/USD";
const DEPTH = "xbtusd@depth";
const TRADE = "xbtusd@trade";
const BEST = "xbtusd@bookTicker";
const SECONDS = 1618678100;

/** A book whose best bid moves with each change, and a trade behind each change. */
function script(changes: number): string[] {
  const level = (price: string, quantity: string, at: number) => `["${price}","${quantity}","${SECONDS + at}.000000"]`;
  const frames = [`[1,{"as":[${level("101.0", "1.0", 0)}],"bs":[${level("99.0", "1.0", 0)}]},"book-1000","${SYMBOL}"]`];
  for (let at = 1; at <= changes; at++) {
    frames.push(`[1,{"b":[${level("99.0", `${at}.5`, at)}]},"book-1000","${SYMBOL}"]`);
    frames.push(`[1,[["100.0","0.${at}","${SECONDS + at}.500000","b","l",""]],"trade","${SYMBOL}"]`);
  }
  return frames;
}

let venue: VenueServer;
let node: TestNode;
let native: NativeClient;
let depth: BinanceClient;
let book: BinanceBook;
let trades: BinanceClient;
let best: BinanceClient;
let player: Timer;

beforeAll(async () => {
  venue = await VenueServer.start({ speech: krakenV1Speech, script: script(50_000) });
  node = await startTestNode({ upstream: `kraken-v1:${SYMBOL}`, upstreamUrl: venue.socket.ws });
  player = setInterval(() => venue.play(2), 10);
  await node.instruments(1);
  native = await node.native();
  await native.subscribe([DEPTH, TRADE, BEST]);
  depth = await node.binance("/ws");
  book = new BinanceBook(depth, "");
  await depth.request("SUBSCRIBE", [`${DEPTH}@100ms`]);
  await book.start(node.http, "XBTUSD");
  trades = await node.binance(`/ws/${TRADE}`);
  best = await node.binance(`/ws/${BEST}`);
  const follow = () => book.applied > 1 && [trades, best].every((client) => client.of("").length > 1);
  await waitFor(follow, "everybody follows");
  await waitFor(() => native.stream(TRADE).items.length > 1, "the native client follows");

  for (const session of venue.sessions) session.cut();
  await waitFor(() => native.stream(DEPTH).notices.some(({ type }) => type === "stale"), "the book is stale");
  const snapshots = () => native.stream(DEPTH).pushes.filter(({ type }) => type === "snapshot");
  await waitFor(() => snapshots().length === 2, "the book is back");
  const { applied } = book;
  const items = native.stream(TRADE).items.length;
  await waitFor(() => book.applied > applied + 2 && native.stream(TRADE).items.length > items + 2, "it goes on");
});

afterAll(async () => {
  clearInterval(player);
  await node?.[Symbol.asyncDispose]();
  await venue?.stop();
});

test("told - native, stale: the word, then a snapshot in the chain", () => {
  const { pushes } = native.stream(DEPTH);
  const at = pushes.findIndex(({ type }) => type === "stale");
  expect(pushes[at + 1]).toMatchObject({ type: "snapshot", prev: pushes[at - 1]?.seq ?? -1 });
  expect(native.stream(DEPTH).stale).toBe(false);
  expect(native.faults).toEqual([]);
});

test("told - Binance, stale for a moment: nothing is said, the chain goes on and the book is the venue's", async () => {
  clearInterval(player);
  expect(depth.closed).toBeNull();
  await waitFor(
    () => JSON.stringify(book.book.depth()) === JSON.stringify(venue.depth(SYMBOL)),
    () => `${JSON.stringify(book.book.depth())} becomes ${JSON.stringify(venue.depth(SYMBOL))}`,
  );
  expect(book.faults).toEqual([]);
});

test("told - native, items that the source lost: a gap of a number nobody knows, in the chain", () => {
  const { pushes, notices } = native.stream(TRADE);
  expect(notices).toMatchObject([{ type: "gap", missed: null, reason: "source" }]);
  const at = pushes.indexOf(notices[0]!);
  expect(pushes[at + 1]).toMatchObject({ type: "items", prev: notices[0]!.to });
});

test("told - Binance, items that the source lost: closed 1012 with the stream and the reason", async () => {
  const { code, reason } = await trades.untilClosed();
  expect(code).toBe(1012);
  expect(reason).toContain(TRADE);
});

test("told - Binance, values alone: nothing is said, they go on", () => {
  expect(best.closed).toBeNull();
  expect(native.stream(BEST).notices.filter(({ type }) => type === "gap")).toEqual([]);
});
