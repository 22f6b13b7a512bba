/**
 * A recording that goes wrong on purpose: malformed lines, a false checksum, a crossed book, a new epoch. Everybody is
 * told in the words of their dialect, and ends with the source's book (DESIGN 1 and 10, "Told, per dialect").
 *
 * The recording loops, so that nothing depends on when a client has joined: it sees whole rounds.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { BinanceBook } from "../lib/binance-book.ts";
import type { BinanceClient } from "../lib/binance-client.ts";
import type { Frame } from "../lib/frame-socket.ts";
import { RecordingWriter } from "../lib/kraken-recording.ts";
import type { NativeStream, Push } from "../lib/native-stream.ts";
import { PlainBook, type PlainLevel } from "../lib/plain-book.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

const DEPTH = "xbtusd@depth";
const TRADE = "xbtusd@trade";

/** 30 levels around a price, in strings of uneven length. */
function sides(middle: number): [PlainLevel[], PlainLevel[]] {
  const level = (price: number, at: number): PlainLevel => [price.toFixed(5), `${at + 1}.${"0".repeat(7)}${at % 9}`];
  const bids = Array.from({ length: 30 }, (_, at) => level(middle - 1 - at, at));
  const asks = Array.from({ length: 30 }, (_, at) => level(middle + 1 + at, at));
  return [bids, asks];
}

interface Round {
  readonly text: string;
  /** The book right before it went wrong the first and the second time, and at the end. */
  readonly books: readonly ReturnType<PlainBook["depth"]>[];
  readonly trades: readonly string[];
}

/** Good, false checksum, healed, crossed, healed. */
function roundWithFaults(): Round {
  const writer = new RecordingWriter("XBT/USD");
  const books: ReturnType<PlainBook["depth"]>[] = [];
  const trades: string[] = [];
  const live = (middle: number) => {
    for (let step = 0; step < 12; step++) {
      writer.wait(20).bid((middle - 1 - (step % 5)).toFixed(5), `${step}.50000000`);
      if (step % 4 !== 0) continue;
      const quantity = `0.${books.length}${step}`.padEnd(10, "0");
      trades.push(quantity);
      writer.trade(middle.toFixed(5), quantity, step % 8 === 0 ? "b" : "s");
    }
    books.push(writer.book.depth());
  };
  writer.snapshot(...sides(50_000));
  live(50_000);
  writer.raw("{this is not JSON").raw('[1,{"b":[["50000.00000"]]},"book-1000","XBT/USD"]');
  writer.wait(20).corruptBid("49990.00000", "7.00000000", "8.00000000");
  for (let step = 0; step < 5; step++) writer.wait(20).bid("49989.00000", `${step + 1}.00000000`);
  writer.wait(150).snapshot(...sides(50_010));
  live(50_010);
  writer.wait(20).unchecked("b", "50020.00000", "1.00000000");
  writer.wait(200).snapshot(...sides(50_020));
  live(50_020);
  return { text: writer.wait(60).text(), books, trades };
}

const ROUND = roundWithFaults();

async function startRound(folder: TempFolder, text = ROUND.text): Promise<TestNode> {
  const node = await startTestNode({ replay: folder.write("XBT.ws", text), speed: "1", loop: true });
  await node.instruments(1);
  return node;
}

/** The pushes of each epoch that was seen from its first to its last; the one that was joined is not whole. */
function wholeEpochs(stream: NativeStream): Push[][] {
  const rounds: Push[][] = [[]];
  let epoch: string | undefined;
  for (const push of stream.pushes) {
    if (push.epoch !== undefined && push.epoch !== epoch) rounds.push([]);
    epoch = push.epoch ?? epoch;
    rounds.at(-1)?.push(push);
  }
  return rounds.slice(2, -1);
}

/** `snapshot delta delta stale` -> `snapshot delta stale`, without what is said when the epoch is over. */
function shapeOf(pushes: readonly Push[]): string[] {
  const types = pushes.map(({ type }) => type);
  if (types.at(-1) === "stale") types.pop();
  return types.filter((type, at) => type !== types[at - 1]);
}

/** The book after each run of deltas. */
function booksOf(pushes: readonly Push[]): unknown[] {
  const book = new PlainBook();
  const books: unknown[] = [];
  for (const [at, push] of pushes.entries()) {
    if (push.type === "stale") continue;
    const { bids, asks } = push.data as { bids: PlainLevel[]; asks: PlainLevel[] };
    if (push.type === "snapshot") book.clear();
    book.apply(bids, asks);
    if (push.type === "delta" && pushes[at + 1]?.type !== "delta") books.push(book.depth());
  }
  return books;
}

for (const cadence of [0, 100]) {
  test.concurrent(`disturbance - a native client at ${cadence} ms is told stale, healed in the chain, told of each epoch`, async () => {
    using folder = new TempFolder();
    await using node = await startRound(folder);
    const client = await node.native();
    await client.subscribe([DEPTH, TRADE], { cadence });
    const rounds = () => wholeEpochs(client.stream(DEPTH));
    const tradeRounds = () => wholeEpochs(client.stream(TRADE));
    await waitFor(() => rounds().length >= 2 && tradeRounds().length >= 1, "whole rounds");
    for (const round of rounds()) {
      const shape = ["snapshot", "delta", "stale", "snapshot", "delta", "stale", "snapshot", "delta"];
      expect(shapeOf(round)).toEqual(shape);
      expect(booksOf(round)).toEqual([...ROUND.books]);
      const [first, ...healed] = round.filter(({ type }) => type === "snapshot");
      expect(first?.prev).toBeNull();
      for (const snapshot of healed) {
        const at = round.indexOf(snapshot);
        expect(round[at - 1]?.type).toBe("stale");
        // In the chain: it goes on from the last push that had a number.
        expect(snapshot.prev).toBe(round[at - 2]?.seq ?? -1);
        expect(snapshot.seq).toBeGreaterThan(snapshot.prev ?? Number.POSITIVE_INFINITY);
      }
    }
    for (const [gap, ...items] of tradeRounds()) {
      expect(gap).toMatchObject({ type: "gap", missed: null, reason: "epoch" });
      expect(items.flatMap(({ data }) => (data as Frame[]).map(({ quantity }) => quantity))).toEqual([...ROUND.trades]);
    }
    expect(client.faults).toEqual([]);
  });
}

test.concurrent("disturbance - a Binance book goes on silently through a resync, and is closed 1012 at a new epoch", async () => {
  using folder = new TempFolder();
  await using node = await startRound(folder);
  const values = await node.binance("/ws/xbtusd@bookTicker");
  const trades = await node.binance("/ws/xbtusd@trade");
  // A session that joined right after a close has the whole round before it, both resyncs in it.
  for (let rounds = 0; rounds < 2; ) {
    const client = await node.binance("/ws");
    const book = new BinanceBook(client, "");
    await client.request("SUBSCRIBE", [`${DEPTH}@100ms`]);
    await book.start(node.http, "XBTUSD");
    const closed = await client.untilClosed();
    expect(closed).toEqual({ code: 1012, reason: `${DEPTH}: continuity was lost` });
    if (book.applied === 0) continue;
    expect(book.faults).toEqual([]);
    expect(book.book.depth()).toEqual(ROUND.books[2]!);
    if (book.applied > 4) rounds++;
  }
  expect(await trades.untilClosed()).toMatchObject({ code: 1012 });
  expect(values.closed).toBeNull();
  expect(values.of("").length).toBeGreaterThan(10);
  await waitFor(async () => (await node.metric("tidegate_closes_total", 'code="1012"')) >= 3, "the closes are counted");
});

test.concurrent("disturbance - readiness and metrics show stale books, bad records and their causes, and recover", async () => {
  using folder = new TempFolder();
  await using node = await startRound(folder);
  const client = await node.native();
  await client.subscribe([DEPTH]);
  const seen = async (state: string) => {
    const { ready, parts } = await node.readiness();
    expect(ready).toBe(true);
    return parts.books?.state === state && (state === "ok" || parts.books.reason === "1 stale");
  };
  await waitFor(() => seen("degraded"), "a stale book shows in /readyz");
  await waitFor(() => seen("ok"), "and its recovery");
  await waitFor(async () => (await node.metric("tidegate_stale_channels")) === 1, "a stale channel shows in /metrics");
  await waitFor(async () => (await node.metric("tidegate_stale_channels")) === 0, "and its recovery in /metrics");
  for (const cause of ["checksum", "crossed"])
    expect(await node.metric("tidegate_book_resyncs_total", `cause="${cause}"`), cause).toBeGreaterThan(0);
  expect(await node.metric("tidegate_bad_records_total")).toBeGreaterThanOrEqual(2);
  const { malformed } = node.shard();
  expect(Object.keys(malformed).sort()).toEqual(["bad book", "not JSON"]);
});

test.concurrent("disturbance - stale longer than 5 s: Binance sessions that saw it turn are closed 1012, native ones stay", async () => {
  using folder = new TempFolder();
  const writer = new RecordingWriter("XBT/USD").snapshot(...sides(50_000));
  for (let step = 0; step < 40; step++) writer.wait(50).bid("49999.00000", `${step + 1}.00000000`);
  writer.corruptBid("49990.00000", "7.00000000", "8.00000000").wait(6500).raw('{"event":"heartbeat"}');
  await using node = await startRound(folder, writer.text());
  const native = await node.native();
  await native.subscribe([DEPTH]);
  const isStale = () => native.stream(DEPTH).stale;
  // One that runs before the turn; on a busy machine it may take another round.
  const join = async (): Promise<BinanceClient> => {
    for (;;) {
      await waitFor(() => !isStale(), "the book is good");
      const client = await node.binance(`/ws/${DEPTH}@100ms`);
      await waitFor(() => isStale() || client.of("").length > 0, "a Binance client follows");
      if (!isStale()) return client;
      client.close();
    }
  };
  const saw = await join();
  await waitFor(isStale, "the book is stale");
  const late = await node.binance(`/ws/${DEPTH}@100ms`);
  await late.request("LIST_SUBSCRIPTIONS");
  const closed = await saw.untilClosed();
  expect(closed).toEqual({ code: 1012, reason: `${DEPTH} is stale: checksum` });
  expect(native.closed).toBeNull();
  expect(late.closed).toBeNull();
  expect((await fetch(`${node.http}/api/v3/depth?symbol=XBTUSD`)).status).toBe(503);
});
