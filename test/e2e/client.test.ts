/**
 * The client of client/ against a real node: over a proxy that cuts its connections, and over a node that is replaced.
 *
 * What it has is compared with a client of the tests that shares no code with it and is not cut.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { type Client, type ConnectOptions, connect, type Gap, type Trade } from "../../client/src/mod.ts";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import type { NativeClient } from "../lib/native-client.ts";
import type { Push } from "../lib/native-stream.ts";
import { PlainBook, type PlainLevel } from "../lib/plain-book.ts";
import { startPlayingNode } from "../lib/playing-node.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

setDefaultTimeout(2 * TEST_MS_MAX);

/** The simulated exchange, for what needs every kind of channel. */
let node: TestNode;
const folder = new TempFolder();

beforeAll(async () => {
  node = await startTestNode({ simRate: "500", seed: "41" });
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

const DEPTH = "btcusdt@depth";
const TRADE = "btcusdt@trade";

const depthOf = (push: Push) => push.data as { bids: PlainLevel[]; asks: PlainLevel[] };

/** The reference's book as it was at `seq`. */
async function bookAt(reference: NativeClient, seq: number): Promise<ReturnType<PlainBook["depth"]>> {
  await reference.reaches(DEPTH, seq);
  const book = new PlainBook();
  for (const push of reference.stream(DEPTH).pushes) {
    if ((push.seq ?? 0) > seq) break;
    if (push.type === "snapshot") book.clear();
    book.apply(depthOf(push).bids, depthOf(push).asks);
  }
  return book.depth();
}

/** One client, everything that it was told, and its trades as a loop over them sees them. */
class Watched implements Disposable {
  readonly client: Client;
  readonly depth;
  readonly trades: Trade[] = [];
  readonly gaps: Gap[] = [];
  /** Of each kind of event how many. */
  readonly told = { connected: 0, lost: 0, stale: 0, fresh: 0, epoch: 0, broken: 0, odd: 0, refused: 0 };
  readonly loop: Promise<void>;
  readonly subscription;

  constructor(url: string, options: ConnectOptions) {
    this.client = connect(url, { retryMsFirst: 10, retryMsMax: 100, ...options });
    for (const name of Object.keys(this.told) as (keyof Watched["told"])[])
      this.client.on(name, () => {
        this.told[name] += 1;
      });
    this.depth = this.client.subscribe(DEPTH);
    this.subscription = this.client.subscribe(TRADE);
    this.loop = this.#follow();
  }

  async #follow(): Promise<void> {
    for await (const update of this.subscription) {
      if (update.type === "gap") this.gaps.push(update);
      else this.trades.push(...update.data);
    }
  }

  [Symbol.dispose](): void {
    this.client.close();
  }
}

/** A TCP door that leads to whatever port it is told to, for connections from then on. */
class Door implements Disposable {
  port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.port = port;
    this.#server = createServer((client) => {
      const node = connectTcp(this.port, "127.0.0.1");
      client.pipe(node).pipe(client);
      for (const [socket, other] of [
        [client, node],
        [node, client],
      ] as const) {
        this.#sockets.add(socket);
        socket.on("error", () => other.destroy());
        socket.on("close", () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
      }
    });
  }

  static async open(port: number): Promise<Door> {
    const door = new Door(port);
    await new Promise<void>((resolve) => door.#server.listen(0, "127.0.0.1", resolve));
    return door;
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the door is not open");
    return `ws://127.0.0.1:${address.port}`;
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

test("client - cut again and again, at several cadences: every trade once, the book exact, whatever happens told", async () => {
  const reference = await node.native();
  await reference.subscribe([DEPTH, TRADE]);
  using proxy = await CuttingProxy.start({ port: node.port, seed: 7, lifeMsMin: 250, lifeMsMax: 1000 });
  const url = `ws://127.0.0.1:${proxy.port}`;
  const crew = [{}, {}, { cadence: 50 }, { cadence: 100 }, { cadence: 250, verifyMs: 200 }, { verifyMs: 100 }].map(
    (options) => new Watched(url, options),
  );
  try {
    const cut = () => crew.every(({ told }) => told.connected > 4);
    await waitFor(cut, () => `all were cut: ${crew.map(({ told }) => told.connected)}`, 45_000);
    proxy.calm();
    // Connections that are about to be cut already may still be.
    const begun = reference.stream(TRADE).items.length;
    await waitFor(() => reference.stream(TRADE).items.length > begun + 30, "trades go on");
    const target = reference.stream(DEPTH).have ?? 0;
    const whole = ({ depth, subscription }: Watched) =>
      depth.state === "fresh" && subscription.state === "fresh" && (depth.position?.seq ?? 0) >= target;
    await waitFor(
      () => crew.every(whole),
      () => `all are fresh: ${crew.map(({ depth, subscription }) => [depth.state, subscription.state])}`,
    );
    for (const { client, depth, trades, gaps, told, subscription } of crew) {
      const seq = depth.position?.seq ?? 0;
      const book = depth.book.depth();
      const last = trades.at(-1)?.id;
      const tradesSeq = subscription.position?.seq ?? 0;
      client.close();
      expect(book).toEqual(await bookAt(reference, seq));
      await reference.reaches(TRADE, tradesSeq);
      const all = reference.stream(TRADE).items as unknown as Trade[];
      const from = all.findIndex(({ id }) => id === trades[0]?.id);
      const to = all.findIndex(({ id }) => id === last);
      expect(trades.map(({ id }) => id)).toEqual(all.slice(from, to + 1).map(({ id }) => id));
      expect(trades.length).toBeGreaterThan(30);
      expect(gaps).toEqual([]);
      const { broken, odd, refused, epoch, connected, lost } = told;
      expect({ broken, odd, refused, epoch }).toEqual({ broken: 0, odd: 0, refused: 0, epoch: 0 });
      expect(lost).toBeGreaterThanOrEqual(connected - 1);
      expect(told.fresh).toBeGreaterThan(2);
      expect(told.stale).toBe(told.fresh - 2);
    }
  } finally {
    for (const watched of crew) watched.client.close();
  }
  await Promise.all(crew.map(({ loop }) => loop));
  expect(reference.faults).toEqual([]);
});

test("client - every kind of channel has what its type says", async () => {
  const client = connect(node.http);
  try {
    const [top, partial, ticker, mini, window, avg, mark] = [
      client.subscribe("btcusdt@bookTicker"),
      client.subscribe("btcusdt@depth5"),
      client.subscribe("btcusdt@ticker"),
      client.subscribe("btcusdt@miniTicker"),
      client.subscribe("btcusdt@ticker_1h"),
      client.subscribe("btcusdt@avgPrice"),
      client.subscribe("usdm:btcusdt@markPrice"),
    ];
    const values = [top, partial, ticker, mini, window, avg, mark];
    await Promise.all(values.map(({ ready }) => ready));
    await waitFor(
      () => values.every(({ value, state }) => value !== null && state === "fresh"),
      () => `all have values: ${values.map(({ channel, state }) => `${channel} ${state}`)}`,
      40_000,
    );
    const isDecimal = (text: string | undefined) => expect(text).toMatch(/^-?\d+(\.\d+)?$/);
    for (const text of [top.value?.bid, top.value?.askQuantity, partial.value?.bids[0]?.[0], ticker.value?.close])
      isDecimal(text);
    for (const text of [ticker.value?.lastQuantity, mini.value?.quoteVolume, window.value?.change, avg.value?.price])
      isDecimal(text);
    for (const text of [mark.value?.mark, mark.value?.index, mark.value?.fundingRate]) isDecimal(text);
    expect([typeof ticker.value?.count, typeof mini.value?.partial, typeof mark.value?.nextFundingTime]).toEqual([
      "number",
      "boolean",
      "number",
    ]);
    const aggregates = client.subscribe("btcusdt@aggTrade");
    for await (const update of aggregates) {
      if (update.type === "gap") continue;
      isDecimal(update.data[0]?.price);
      expect([typeof update.data[0]?.a, update.data[0]?.side === "buy" || update.data[0]?.side === "sell"]).toEqual([
        "number",
        true,
      ]);
      break;
    }
    for await (const update of client.subscribe("btcusdt@kline_1s")) {
      if (update.type === "gap" || !update.data.some(({ closed }) => closed)) continue;
      expect(update.data[0]).toMatchObject({ interval: "1s", closed: true });
      isDecimal(update.data[0]?.takerVolume);
      break;
    }
    expect(client.subscriptions.size).toBe(9);
  } finally {
    client.close();
  }
});

test("client - a node that drains is left before it closes anybody, without a moment in which nothing is connected", async () => {
  await using old = await startPlayingNode(folder, { nodeId: "old" });
  await using next = await startPlayingNode(folder, { nodeId: "next", middle: 60_000 });
  using door = await Door.open(old.port);
  // An early time of its own, so that a busy machine has the rest for it.
  using watched = new Watched(door.url, { random: () => 0.1 });
  const drains: { afterMs: number; moveMs: number }[] = [];
  watched.client.on("drain", (drain) => drains.push(drain));
  await waitFor(() => watched.depth.state === "fresh" && watched.trades.length > 2, "it follows the old node");
  door.port = next.port;
  const drained = old.node.drain(20_000, "test");
  await waitFor(() => watched.told.connected === 2, "it has left the old node", 30_000);
  const before = watched.trades.length;
  await waitFor(
    () => watched.depth.state === "fresh" && watched.trades.length > before + 5,
    () => `it follows the new node: ${watched.depth.state}, ${JSON.stringify(watched.told)}`,
  );
  expect(drains).toHaveLength(1);
  expect(drains[0]?.moveMs).toBeLessThanOrEqual((drains[0]?.afterMs ?? 0) * 0.8 + 1);
  expect(watched.told).toMatchObject({ lost: 0, epoch: 2, broken: 0, odd: 0, refused: 0 });
  expect(watched.gaps).toMatchObject([{ missed: null, reason: "epoch" }]);
  // Nobody is left there: it need not wait.
  await drained;
});

test("client - a node that is replaced by another: a new epoch, its gap told, the new node's book", async () => {
  await using old = await startPlayingNode(folder, { nodeId: "old" });
  using watched = new Watched(old.http, {});
  await watched.depth.ready;
  await waitFor(() => watched.trades.length > 5, "trades of the old node");
  const { port } = old;
  const positions = [watched.depth.position, watched.subscription.position];
  await old[Symbol.asyncDispose]();
  await waitFor(() => watched.depth.state === "stale", "the client knows that it is stale");
  await using next = await startPlayingNode(folder, { nodeId: "next", middle: 60_000, port });
  const reference = await next.native();
  await reference.subscribe([DEPTH, TRADE]);
  const before = watched.trades.length;
  await waitFor(
    () => watched.depth.state === "fresh" && watched.trades.length > before + 20,
    () => `the client goes on: ${watched.depth.state}, ${JSON.stringify(watched.told)}`,
  );
  expect(watched.told).toMatchObject({ epoch: 2, broken: 0, odd: 0, refused: 0 });
  expect(watched.gaps).toMatchObject([{ missed: null, reason: "epoch" }]);
  expect(watched.depth.position?.epoch).not.toBe(positions[0]?.epoch);
  const seq = watched.depth.position?.seq ?? 0;
  const book = watched.depth.book.depth();
  expect(book).toEqual(await bookAt(reference, seq));
  watched.client.close();
  await watched.loop;
});
