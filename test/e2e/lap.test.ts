/**
 * A worker that stands still long enough for the ring to overtake it: everything it missed is brought back in the chain,
 * or its clients are told (DESIGN 8, and the row "lapped ring" in DESIGN 10).
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { BinanceBook, fetchDepth } from "../lib/binance-book.ts";
import type { NativeClient } from "../lib/native-client.ts";
import { PlainBook, type PlainLevel } from "../lib/plain-book.ts";
import { PATIENT, startTestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

const STALL_MS = 700;

/** The client's book as it was at `seq`, folded from its pushes. */
function bookAt(client: NativeClient, asked: string, seq: number): PlainBook {
  const book = new PlainBook();
  for (const push of client.stream(asked).pushes) {
    if ((push.seq ?? 0) > seq) break;
    const { bids, asks } = push.data as { bids: PlainLevel[]; asks: PlainLevel[] };
    if (push.type === "snapshot") book.clear();
    book.apply(bids, asks);
  }
  return book;
}

test("lap - a stalled worker's chains go on exactly where they stopped, in both dialects and on every rung", async () => {
  await using node = await startTestNode({ simRate: "2000", ringBytes: "512KiB", config: PATIENT });
  const symbols = node.node.parts.registry.list("spot").map(({ symbol }) => symbol);
  const names = ["depth", "trade"].flatMap((stream) => symbols.map((symbol) => `${symbol}@${stream}`));
  const natives = await Promise.all(
    [0, 0, 100, 500].map(async (cadence) => {
      const client = await node.native();
      await client.subscribe(names, { cadence });
      return client;
    }),
  );
  const binance = await node.binance("/stream");
  const books = new Map(symbols.map((symbol) => [symbol, new BinanceBook(binance, `${symbol}@depth@100ms`)]));
  const streams = symbols.flatMap((symbol) => [`${symbol}@depth@100ms`, `${symbol}@trade`]);
  expect(await binance.request("SUBSCRIBE", streams)).toMatchObject({ result: null });
  await Promise.all([...books].map(([symbol, book]) => book.start(node.http, symbol.toUpperCase())));
  await waitFor(() => [...books.values()].every(({ applied }) => applied > 0), "all books follow");

  const laps = () => node.metric("tidegate_ring_laps_total");
  // How much a stall leaves behind depends on the machine: until one was long enough.
  for (let ms = STALL_MS; (await laps()) === 0; ms += STALL_MS) {
    if (ms > 4 * STALL_MS) throw new Error("no stall was long enough for a lap");
    node.node.parts.edge?.post(0, { is: "inject", fault: "stall", ms });
    await Bun.sleep(ms);
    const since = natives[0]?.received ?? 0;
    await waitFor(() => (natives[0]?.received ?? 0) > since + 100, "the worker is back");
    // Counters come a few times a second.
    await Bun.sleep(300);
  }
  const counts = natives.map((client) => client.received);
  await waitFor(() => natives.every((client, at) => client.received > (counts[at] ?? 0) + 50), "streams go on");

  for (const client of natives) {
    expect(client.closed).toBeNull();
    expect(client.faults).toEqual([]);
    for (const { notices } of client.streams.values()) expect(notices).toEqual([]);
    for (const symbol of symbols) {
      const ids = client.stream(`${symbol}@trade`).items.map(({ id }) => Number(id));
      ids.slice(1).forEach((id, at) => {
        expect(id).toBe((ids[at] ?? 0) + 1);
      });
    }
  }
  for (const symbol of symbols) {
    const truth = await fetchDepth(node.http, symbol);
    for (const client of natives.slice(0, 2)) {
      await client.reaches(`${symbol}@depth`, truth.lastUpdateId);
      expect(bookAt(client, `${symbol}@depth`, truth.lastUpdateId).depth()).toEqual({
        bids: truth.bids,
        asks: truth.asks,
      });
    }
    expect(books.get(symbol)?.faults).toEqual([]);
    const trades = binance.of(`${symbol}@trade`).map(({ t }) => Number(t));
    trades.slice(1).forEach((id, at) => {
      expect(id).toBe((trades[at] ?? 0) + 1);
    });
  }
  expect(binance.closed).toBeNull();
  // The slow ones too: their books are those of real time at the same seq.
  for (const client of natives.slice(2)) {
    for (const symbol of symbols) {
      const { have } = client.stream(`${symbol}@depth`);
      const book = client.stream(`${symbol}@depth`).book.depth();
      await natives[0]?.reaches(`${symbol}@depth`, have ?? 0);
      expect(book).toEqual(bookAt(natives[0] as NativeClient, `${symbol}@depth`, have ?? 0).depth());
    }
  }
});
