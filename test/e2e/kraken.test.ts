/** A recorded feed goes in, and every client of every kind ends with exactly the book the feed ends with. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { RUNGS } from "../../src/ring/messages.ts";
import { feed } from "../feeds.ts";
import { BinanceBook, fetchDepth } from "../lib/binance-book.ts";
import type { BinanceClient } from "../lib/binance-client.ts";
import { foldRecording } from "../lib/kraken-recording.ts";
import type { NativeClient } from "../lib/native-client.ts";
import { PATIENT, startTestNode, type TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

const path = feed("KRAKEN.ws.50.0");
const withFeed = path === null ? test.skip : test.concurrent;
const CHECKSUMS = 4269;
/** The recording is 31 s long. The slower ones are for a machine that is so busy that the middle is over too soon. */
const SPEEDS = ["10", "4", "2"];
/** Records of 4,322: all books have begun. */
const MIDDLE = 1800;

const recording = (() => {
  let fold: ReturnType<typeof foldRecording> | null = null;
  return () => {
    fold ??= foldRecording(path ?? "");
    return fold;
  };
})();
const symbols = (): string[] => [...recording().books.keys()];

/**
 * Joins clients early and in the middle of the recording, and waits for its end. Tries again at a slower pace where it was
 * over before the late ones had joined.
 */
async function followed<Client>(
  join: (node: TestNode) => Promise<Client[]>,
  judge: (clients: readonly Client[], node: TestNode) => Promise<void>,
): Promise<void> {
  for (const speed of SPEEDS) {
    await using node = await startTestNode({ replay: path ?? "", speed, config: PATIENT });
    await node.instruments(10);
    const clients = await join(node);
    await waitFor(() => node.shard().records >= MIDDLE, "the middle of the recording");
    clients.push(...(await join(node)));
    if (node.shard().source.state.name === "ended") continue;
    await node.ended();
    await judge(clients, node);
    return;
  }
  throw new Error("the recording was over before the clients had joined, at every speed");
}

/** Where each book's chain ends, as a client that comes last is told. */
async function lastSeqs(node: TestNode): Promise<Map<string, number>> {
  const client = await node.native();
  const reply = await client.subscribe(symbols().map((symbol) => `${symbol}@depth`));
  return new Map(symbols().map((symbol) => [symbol, reply.channels[`${symbol}@depth`]?.seq ?? -1]));
}

function expectAllVerified(node: TestNode): void {
  const { resyncs, malformed, refused, staleBooks, books } = node.shard();
  expect({ resyncs, malformed, refused, staleBooks, books }).toEqual({
    resyncs: {},
    malformed: {},
    refused: {},
    staleBooks: [],
    books: 10,
  });
}

withFeed(
  "kraken - all checksums verify, and a client that joins after the end has the books the feed ends with",
  async () => {
    expect(recording().checksums).toBe(CHECKSUMS);
    expect(symbols()).toHaveLength(10);
    await using node = await startTestNode({ replay: path ?? "", speed: "max" });
    await node.ended();
    expectAllVerified(node);

    const client = await node.native();
    const reply = await client.subscribe(symbols().map((symbol) => `${symbol}@depth`));
    expect(reply.ok).toBe(true);
    expect(reply.errors).toBeUndefined();
    for (const [symbol, book] of recording().books) {
      expect(client.stream(`${symbol}@depth`).book.depth()).toEqual(book.depth());
      const { lastUpdateId, bids, asks } = await fetchDepth(node.http, symbol);
      expect({ bids, asks }).toEqual(book.depth());
      expect(lastUpdateId).toBe(reply.channels[`${symbol}@depth`]?.seq ?? -1);
    }
    expect(client.faults).toEqual([]);

    for (const levels of [5, 10, 20]) {
      await client.subscribe(symbols().map((symbol) => `${symbol}@depth${levels}`));
      for (const [symbol, book] of recording().books)
        await reachesValue(client.stream(`${symbol}@depth${levels}`), book.depth(levels));
    }
    await waitFor(async () => (await node.readiness()).ready, "the node is ready");
    expect(await node.metric("tidegate_book_resyncs_total")).toBe(0);
  },
);

withFeed("kraken - native clients that join early and in the middle, on every rung, end with the feed's books", () =>
  followed(onEveryRung, judgeNative),
);

const onEveryRung = (node: TestNode): Promise<NativeClient[]> =>
  Promise.all(
    RUNGS.map(async (cadence) => {
      const client = await node.native();
      const depths = symbols().map((symbol) => `${symbol}@depth`);
      const tops = symbols().flatMap((symbol) => TOPS.map((stream) => `${symbol}@${stream}`));
      const reply = await client.subscribe([...depths, ...tops], { cadence });
      expect(reply.errors).toBeUndefined();
      expect(Object.values(reply.channels).every((outcome) => outcome.cadence === cadence)).toBe(true);
      return client;
    }),
  );

async function judgeNative(clients: readonly NativeClient[], node: TestNode): Promise<void> {
  const ends = await lastSeqs(node);
  for (const client of clients) {
    for (const [symbol, book] of recording().books) {
      const stream = client.stream(`${symbol}@depth`);
      await client.reaches(`${symbol}@depth`, ends.get(symbol) ?? -1);
      expect(stream.book.depth()).toEqual(book.depth());
      const { bids, asks } = book.depth(1);
      for (const levels of [5, 10, 20])
        await reachesValue(client.stream(`${symbol}@depth${levels}`), book.depth(levels));
      await reachesValue(client.stream(`${symbol}@bookTicker`), {
        bid: bids[0]?.[0],
        bidQuantity: bids[0]?.[1],
        ask: asks[0]?.[0],
        askQuantity: asks[0]?.[1],
      });
      expect(stream.notices).toEqual([]);
      // A joiner's snapshot may be ahead of the flush that its rung's next delta begins at.
      expect(stream.overlaps).toBeLessThanOrEqual(1);
    }
    expect(client.faults).toEqual([]);
  }
  expectAllVerified(node);
}

const TOPS = ["depth5", "depth10", "depth20", "bookTicker"] as const;

/** A value on a slow rung comes up to 3 s after the record. */
async function reachesValue(stream: { readonly asked: string; readonly value: unknown }, value: object): Promise<void> {
  await waitFor(
    () => Bun.deepEquals(stream.value, value),
    () => `${stream.asked} is ${JSON.stringify(value)}, not ${JSON.stringify(stream.value)}`,
  );
}

withFeed("kraken - Binance clients that follow the rule after a REST snapshot end with the feed's books", () =>
  followed(
    async (node) => [await followBooks(node, "@depth@100ms"), await followBooks(node, "@depth")],
    async (followers, node) => {
      const ends = await lastSeqs(node);
      for (const follower of followers) await judgeBinance(follower, ends);
    },
  ),
);

interface Follower {
  readonly client: BinanceClient;
  readonly books: ReadonlyMap<string, BinanceBook>;
  readonly suffix: string;
}

async function followBooks(node: TestNode, suffix: string): Promise<Follower> {
  const client = await node.binance("/stream");
  const books = new Map(symbols().map((symbol) => [symbol, new BinanceBook(client, symbol + suffix)]));
  const params = symbols().flatMap((symbol) => [symbol + suffix, ...TOPS.map((stream) => `${symbol}@${stream}`)]);
  expect(await client.request("SUBSCRIBE", params)).toMatchObject({ result: null });
  await Promise.all([...books].map(([symbol, book]) => book.start(node.http, symbol.toUpperCase())));
  return { client, books, suffix };
}

async function judgeBinance({ client, books, suffix }: Follower, ends: ReadonlyMap<string, number>): Promise<void> {
  for (const [symbol, expected] of recording().books) {
    const book = books.get(symbol) as BinanceBook;
    const end = ends.get(symbol);
    await waitFor(
      () => book.id === end,
      () => `${symbol}${suffix} reaches ${end}, it has ${book.id}; closed: ${JSON.stringify(client.closed)}`,
    );
    expect(book.faults).toEqual([]);
    expect(book.book.depth()).toEqual(expected.depth());
    // No event: the top did not change after the client had joined.
    const last = (stream: string) => client.of(`${symbol}@${stream}`).at(-1);
    for (const levels of [5, 10, 20]) {
      await waitFor(() => {
        const top = last(`depth${levels}`);
        return top === undefined || Bun.deepEquals({ bids: top.bids, asks: top.asks }, expected.depth(levels));
      }, `${symbol}@depth${levels} ends with the top of the book`);
    }
    const { bids, asks } = expected.depth(1);
    const best = [symbol.toUpperCase(), ...bids[0]!, ...asks[0]!];
    const ticker = last("bookTicker");
    if (ticker !== undefined) expect([ticker.s, ticker.b, ticker.B, ticker.a, ticker.A]).toEqual(best);
  }
  expect([...books.values()].reduce((sum, { applied }) => sum + applied, 0)).toBeGreaterThan(0);
  expect(client.closed).toBeNull();
}
