/**
 * Resume over real sockets: clients that are cut off again and again, a network that stands still, a worker that dies; in
 * the end everybody has every trade once and in order, and the exact book (DESIGN 7, "History and resume").
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { Random } from "../../sim/random.ts";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import { JitteryClient } from "../lib/jittery-client.ts";
import { NativeClient } from "../lib/native-client.ts";
import type { NativeStream, Push } from "../lib/native-stream.ts";
import { PlainBook, type PlainLevel } from "../lib/plain-book.ts";
import { startTestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

const DEPTH = "btcusdt@depth";
const TRADE = "btcusdt@trade";
const KLINE = "btcusdt@kline_1s";
const TICKER = "btcusdt@ticker";
const CHANNELS = [DEPTH, TRADE, KLINE, TICKER];

const idsOf = ({ items }: NativeStream): string[] => items.map(({ id }) => String(id));

/** From its first trade on, each that the one who stayed has. */
function sameTrades(stream: NativeStream, truth: NativeStream): void {
  const ids = idsOf(stream);
  const all = idsOf(truth);
  expect(ids.length).toBeGreaterThan(0);
  const from = all.indexOf(ids[0]!);
  const both = Math.min(all.length - from, ids.length);
  expect(from).toBeGreaterThanOrEqual(0);
  expect(ids.slice(0, both)).toEqual(all.slice(from, from + both));
}

/** What the client has now is what the one who stayed had at the same seq. */
async function sameBook(stream: NativeStream, truth: NativeStream): Promise<void> {
  for (;;) {
    const seq = stream.have ?? 0;
    const depth = stream.book.depth();
    await waitFor(
      () => (truth.have ?? 0) >= seq,
      () => `${stream.asked}: at ${seq}, who stayed at ${truth.have}`,
    );
    const at = truth.pushes.findIndex((push) => push.seq === seq);
    if (at >= 0) {
      expect(depth).toEqual(fold(truth.pushes.slice(0, at + 1)).depth());
      return;
    }
    // Who stayed was slowed down for a while, or came later: at the next seq.
    await waitFor(() => stream.have !== seq, `${stream.asked} goes on`);
  }
}

function fold(pushes: readonly Push[]): PlainBook {
  const book = new PlainBook();
  for (const { type, data } of pushes) {
    if (data === undefined) continue;
    const { bids, asks } = data as { bids: PlainLevel[]; asks: PlainLevel[] };
    if (type === "snapshot") book.clear();
    book.apply(bids, asks);
  }
  return book;
}

/** Every value that both had at the same seq is the same. */
function sameValues(stream: NativeStream, truth: NativeStream): void {
  const all = new Map(truth.pushes.map(({ seq, data }) => [seq, data]));
  const both = stream.pushes.filter(({ seq }) => all.has(seq));
  expect(both.length).toBeGreaterThan(0);
  for (const { seq, data } of both) expect(data).toEqual(all.get(seq));
}

/** Every candle that closed while it was there is the one that the other has. */
function sameCandles(stream: NativeStream, truth: NativeStream): void {
  const closed = [...stream.candles].filter(([, { closed }]) => closed === true);
  const first = Math.min(...stream.candles.keys());
  const wanted = [...truth.candles].filter(([openTime, candle]) => candle.closed === true && openTime >= first);
  const newest = Math.max(...closed.map(([openTime]) => openTime));
  expect(closed.length).toBeGreaterThan(0);
  expect(closed).toEqual(wanted.filter(([openTime]) => openTime <= newest));
}

test("resume - clients that are cut off again and again, and a worker that dies: every trade once, exact books", async () => {
  await using node = await startTestNode({ simRate: "300" });
  using proxy = await CuttingProxy.start({
    port: node.port,
    seed: 5,
    lifeMsMin: 2000,
    lifeMsMax: 6000,
    weathers: [{}, { delayMs: [0, 30] }, { bytesPerSecond: 400_000 }],
  });
  const truth = await NativeClient.connect(`${node.ws}/ws/quote/v1`);
  await truth.subscribe(CHANNELS);
  await waitFor(() => truth.stream(TRADE).items.length > 0, "a first trade");
  const random = new Random(7);
  const url = `ws://127.0.0.1:${proxy.port}/ws/quote/v1`;
  const clients = Array.from({ length: 12 }, (_, index) => {
    const cadence = [0, 0, 100, 500][index % 4]!;
    return new JitteryClient({
      url,
      channels: CHANNELS,
      cadence,
      lifeMs: () => random.below(300),
      awayMs: () => random.below(100),
    });
  });
  const resumed = (times: number) => () => clients.every(({ resumes }) => resumes >= times);
  const shown = () => `everybody resumes: ${clients.map(({ resumes }) => resumes)}`;
  try {
    await waitFor(resumed(3), shown, 30_000);
    // Who stayed is on a connection of its own: it is closed with its worker, and its place is kept by who resumes.
    const before = idsOf(truth.stream(TRADE)).length;
    node.node.parts.edge?.post(0, { is: "inject", fault: "throw", ms: 0 });
    await truth.untilClosed();
    const again = await NativeClient.connect(await serving(node.ws));
    for (const [asked, stream] of truth.streams) again.streams.set(asked, stream);
    const since = Object.fromEntries(
      [...truth.streams].map(([asked, { epoch, have }]) => [asked, { epoch: epoch!, seq: have! }]),
    );
    const reply = await again.subscribe(CHANNELS, { since });
    expect(Object.values(reply.channels).map(({ recovered }) => recovered)).toEqual(CHANNELS.map(() => true));
    const counts = clients.map(({ resumes }) => resumes);
    await waitFor(() => clients.every(({ resumes }, at) => resumes >= counts[at]! + 1), shown, 30_000);
    proxy.calm();
    for (const client of clients) client.stays = true;
    await waitFor(() => again.stream(TRADE).items.length > before, "trades go on");

    for (const client of clients) {
      expect(client.faults).toEqual([]);
      expect(client.notRecovered).toBe(0);
      expect(
        [...client.streams.values()].flatMap(({ notices }) => notices.filter(({ type }) => type === "gap")),
      ).toEqual([]);
      await sameBook(client.stream(DEPTH), again.stream(DEPTH));
      sameValues(client.stream(TICKER), again.stream(TICKER));
      sameTrades(client.stream(TRADE), again.stream(TRADE));
      sameCandles(client.stream(KLINE), again.stream(KLINE));
    }
    expect(again.faults).toEqual([]);
    again.close();
  } finally {
    await Promise.all(clients.map((client) => client.stop()));
  }
});

test("resume - a network that stands still and comes back: the exact book again, or a close with a code", async () => {
  await using node = await startTestNode({ simRate: "300" });
  using proxy = await CuttingProxy.start({ port: node.port, seed: 3 });
  const truth = await node.native();
  await truth.subscribe([DEPTH, TRADE]);
  const client = new JitteryClient({
    url: `ws://127.0.0.1:${proxy.port}/ws/quote/v1`,
    channels: [DEPTH, TRADE],
    awayMs: () => 10,
  });
  try {
    await waitFor(() => client.stream(TRADE).items.length > 0, "trades come");
    for (const trades of [5, 20]) {
      proxy.pause();
      const from = truth.stream(TRADE).items.length;
      const stood = client.stream(DEPTH).have;
      await waitFor(() => truth.stream(TRADE).items.length > from + trades, "the market goes on");
      expect(truth.stream(DEPTH).have).toBeGreaterThan(stood ?? 0);
      proxy.resume();
      for (const asked of [DEPTH, TRADE]) {
        const end = truth.stream(asked).have ?? 0;
        await waitFor(() => (client.stream(asked).have ?? 0) >= end, `${asked}: what came in that time`);
      }
      await sameBook(client.stream(DEPTH), truth.stream(DEPTH));
      sameTrades(client.stream(TRADE), truth.stream(TRADE));
    }
    expect(client.faults).toEqual([]);
    // Whatever ended a connection had a code: none was lost without a word.
    expect([...client.closes.keys()].filter((code) => code === 1005 || code === 1006)).toEqual([]);
  } finally {
    await client.stop();
  }
});

test("resume - on a node whose sessions had all left, and on a worker that has just been replaced", async () => {
  await using node = await startTestNode({ simRate: "300" });
  const first = await node.native();
  await first.subscribe([DEPTH, TRADE]);
  await waitFor(() => first.stream(TRADE).items.length > 5, "trades come");
  const since = Object.fromEntries(
    [...first.streams].map(([asked, { epoch, have }]) => [asked, { epoch: epoch!, seq: have! }]),
  );
  first.close();
  await waitFor(() => node.node.parts.engine.status().channels === 0, "nobody is there any more");
  const witness = await node.native();
  await witness.subscribe([DEPTH, TRADE]);
  const from = witness.stream(DEPTH).have ?? 0;
  await waitFor(() => (witness.stream(DEPTH).have ?? 0) > from, "the book has moved on");
  node.node.parts.edge?.post(0, { is: "inject", fault: "throw", ms: 0 });
  await witness.untilClosed();
  const again = await NativeClient.connect(await serving(node.ws));
  for (const [asked, stream] of first.streams) again.streams.set(asked, stream);
  const reply = await again.subscribe([DEPTH, TRADE], { since });
  // The owner keeps trades for who comes back; of a book that nobody followed it gives a snapshot or its changes.
  expect(reply.channels[TRADE]?.recovered).toBe(true);
  const have = again.stream(TRADE).have ?? 0;
  await waitFor(() => (again.stream(TRADE).have ?? 0) > have, "trades go on");
  const checker = await NativeClient.connect(`${node.ws}/ws/quote/v1`);
  await checker.subscribe([DEPTH]);
  await sameBook(again.stream(DEPTH), checker.stream(DEPTH));
  expect(again.faults).toEqual([]);
  again.close();
  checker.close();
});

/** The native endpoint, once a worker listens again. */
async function serving(ws: string): Promise<string> {
  const url = `${ws}/ws/quote/v1`;
  await waitFor(async () => {
    const probe = new WebSocket(url);
    const opened = await new Promise<boolean>((resolve) => {
      probe.onopen = () => resolve(true);
      probe.onerror = () => resolve(false);
      probe.onclose = () => resolve(false);
    });
    probe.close();
    return opened;
  }, "a worker serves again");
  return url;
}
