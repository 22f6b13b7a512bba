/**
 * Slow clients on real sockets, behind a proxy that stops: slowed with exact chains, left out and told, or closed in
 * order; the others and the node feel nothing of it.
 *
 * First all of them stop together and go on when the node has done something about each; then the tests look at what came
 * of it. Who does not go on is in tests of its own at the end.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { BinanceBook } from "../lib/binance-book.ts";
import { BinanceClient } from "../lib/binance-client.ts";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import { NativeClient } from "../lib/native-client.ts";
import type { Push } from "../lib/native-stream.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { waitFor } from "../lib/wait.ts";

/** Slowness takes its time, and so does a busy machine. */
const LONG_MS = 60_000;
setDefaultTimeout(2 * LONG_MS);

const SYMBOLS = ["btcusdt", "ethusdt", "bnbusdt"] as const;
const DEPTH = "btcusdt@depth";
const TRADE = "btcusdt@trade";
/** Its topic says `onSlow: "gap"`. */
const GAP_TRADE = "solusdt@trade";
const DEPTHS = SYMBOLS.map((symbol) => `${symbol}@depth`);
const TRADES = SYMBOLS.map((symbol) => `${symbol}@trade`);
/** Much to send at little cost. */
const VALUES = SYMBOLS.flatMap((symbol) =>
  ["bookTicker", "depth20", "kline_1m", "kline_5m", "kline_1h", "kline_1d"].map((stream) => `${symbol}@${stream}`),
);
const ALL = [...DEPTHS, ...TRADES, ...VALUES];

const folder = new TempFolder();
const closing: (() => void)[] = [];

/** A node with these limits, and a proxy in front of it. */
class Place {
  readonly node: TestNode;
  readonly proxy: CuttingProxy;

  private constructor(node: TestNode, proxy: CuttingProxy) {
    this.node = node;
    this.proxy = proxy;
  }

  static async start(limits: Readonly<Record<string, number>>): Promise<Place> {
    const source = { kind: "sim", rate: 2000, seed: 4 };
    const topics = [{ version: 1, topic: GAP_TRADE, onSlow: "gap" }];
    const config = folder.write("tidegate.json", JSON.stringify({ source, limits, topics }));
    const node = await startTestNode({ config });
    return new Place(node, await CuttingProxy.start({ port: node.port, seed: 1 }));
  }

  async native(channels: readonly string[]): Promise<NativeClient> {
    const client = await NativeClient.connect(`ws://127.0.0.1:${this.proxy.port}/ws/quote/v1`);
    closing.push(() => client.close());
    await client.subscribe(channels);
    return client;
  }

  async binance(streams: readonly string[]): Promise<BinanceClient> {
    const client = await BinanceClient.connect(`ws://127.0.0.1:${this.proxy.port}/stream`);
    closing.push(() => client.close());
    await client.request("SUBSCRIBE", streams);
    return client;
  }

  /** Waits until the node has done so many times what `action` says about slow sessions. */
  async did(action: string, count: number): Promise<void> {
    const times = () => this.node.metric("tidegate_slow_total", `action="${action}"`);
    await waitFor(async () => (await times()) >= count, `${count} of ${action}`, LONG_MS);
  }

  closes(code: number): Promise<number> {
    return this.node.metric("tidegate_closes_total", `code="${code}"`);
  }

  /** No outbox holds anything any more. */
  async empty(): Promise<void> {
    await waitFor(
      async () => (await this.node.metric("tidegate_outbox_bytes")) === 0,
      "no outbox holds anything",
      LONG_MS,
    );
  }

  async stop(): Promise<void> {
    this.proxy[Symbol.dispose]();
    await this.node[Symbol.asyncDispose]();
  }
}

/** Patient about age, so that a busy machine does not close who is to be slowed. */
const PATIENT = {
  outboxAgeMaxMs: 100_000,
  outboxBytesMax: 32 * 1024 * 1024,
  slowPatienceMs: 200,
  slowPatienceMsMax: 1000,
};

let place: Place;
let healthy: NativeClient;
let native: NativeClient;
let chooser: NativeClient;
let leftOut: NativeClient;
let binance: BinanceClient;
let wordless: BinanceClient;
let books: Map<string, BinanceBook>;
/** What the node answered to a cadence of 50 ms, and how many changes of cadence had been told by then. */
let asked: { answer: number; changes: number };

const cadences = (client: NativeClient, channel: string): string[] =>
  client
    .stream(channel)
    .notices.filter(({ type }) => type === "cadence")
    .map(({ ms, reason }) => `${ms} ${reason}`);
const gapsOf = (client: NativeClient, channel: string): Push[] =>
  client.stream(channel).notices.filter(({ type }) => type === "gap");

beforeAll(async () => {
  place = await Place.start(PATIENT);
  healthy = await place.node.native();
  await healthy.subscribe([...ALL, GAP_TRADE]);
  native = await place.native(ALL);
  chooser = await place.native(ALL);
  leftOut = await place.native([...ALL, GAP_TRADE]);
  binance = await place.binance([...DEPTHS.map((channel) => `${channel}@100ms`), ...TRADES]);
  wordless = await place.binance([...TRADES, ...VALUES, GAP_TRADE]);
  books = new Map(DEPTHS.map((channel) => [channel, new BinanceBook(binance, `${channel}@100ms`)]));
  for (const [channel, book] of books) await book.start(place.node.http, channel.slice(0, channel.indexOf("@")));
  await waitFor(() => leftOut.stream(GAP_TRADE).items.length > 0, "trades come");

  place.proxy.pause();
  await Promise.all([place.did("leftOut", 1), place.did("closedGap", 1)]);
  const merged = 3 * (DEPTHS.length + VALUES.length) + DEPTHS.length;
  const atSlowest = () => place.node.metric("tidegate_rung_sessions", 'rung="1000"');
  await waitFor(async () => (await atSlowest()) >= merged, "all that merges is on 1000 ms", LONG_MS);
  const { length } = healthy.stream(GAP_TRADE).items;
  await waitFor(() => healthy.stream(GAP_TRADE).items.length > length + 10, "more is traded");
  place.proxy.resume();

  await waitFor(() => cadences(chooser, DEPTH).includes("1000 slow"), "it is told of its cadence", LONG_MS);
  const reply = await chooser.ask({ op: "cadence", channel: DEPTH, ms: 50 });
  asked = { answer: Number(reply.cadence), changes: cadences(chooser, DEPTH).length };
  const isBack = (client: NativeClient, channel: string) => cadences(client, channel).at(-1) === "0 slow";
  await waitFor(
    () => [native, leftOut].every((client) => [...DEPTHS, ...VALUES].every((channel) => isBack(client, channel))),
    () => `everything is back: ${cadences(native, DEPTH)}; ${cadences(leftOut, DEPTH)}; closed ${native.closed?.code}`,
    LONG_MS,
  );
  await waitFor(() => gapsOf(leftOut, GAP_TRADE).length > 0, "the gap is told", LONG_MS);
  await waitFor(
    () => String(cadences(chooser, DEPTH).at(-1)).startsWith("50 "),
    "its cadence is the asked one",
    LONG_MS,
  );
  await place.did("up", 3);
  // Nothing new comes any more, so everybody can be compared with everybody.
  await Promise.all(place.node.node.parts.shards.map((shard) => shard.stop()));
});

afterAll(async () => {
  for (const close of closing) close();
  await place?.stop();
  folder[Symbol.dispose]();
});

test("slow - native: down to 1000 ms, told, back up to what was asked for; every book and chain is exact", async () => {
  expect(cadences(native, DEPTH)).toContain("1000 slow");
  expect(
    cadences(native, DEPTH)
      .map((text) => Number.parseInt(text, 10))
      .every((ms) => ms <= 1000),
  ).toBe(true);
  expect(cadences(native, TRADE)).toEqual([]);
  for (const channel of DEPTHS) {
    await native.reaches(channel, healthy.stream(channel).have ?? 0);
    expect(native.stream(channel).book.depth()).toEqual(healthy.stream(channel).book.depth());
  }
  for (const channel of TRADES) {
    await native.reaches(channel, healthy.stream(channel).have ?? 0);
    const ids = native.stream(channel).items.map(({ id }) => id);
    expect(
      healthy
        .stream(channel)
        .items.slice(-ids.length)
        .map(({ id }) => id),
    ).toEqual(ids);
  }
  expect([native.faults, native.closed]).toEqual([[], null]);
});

test("slow - Binance: the same stream at another pace, U is the u before plus 1 all along", async () => {
  for (const [channel, book] of books) {
    await waitFor(
      () => book.id === healthy.stream(channel).have,
      () => `${channel}: ${book.id}`,
      LONG_MS,
    );
    expect(book.faults).toEqual([]);
    expect(book.book.depth()).toEqual(healthy.stream(channel).book.depth());
  }
  for (const channel of TRADES) {
    const last = healthy.stream(channel).items.at(-1)?.id;
    await waitFor(() => String(binance.of(channel).at(-1)?.t) === last, `${channel} reaches ${last}`, LONG_MS);
    const ids = binance.of(channel).map(({ t }) => String(t));
    expect(
      healthy
        .stream(channel)
        .items.slice(-ids.length)
        .map(({ id }) => id),
    ).toEqual(ids);
  }
  expect(binance.closed).toBeNull();
});

test("slow - trades that are not waited for: as many are lost as the notice says, and the chain goes on", async () => {
  await leftOut.reaches(GAP_TRADE, healthy.stream(GAP_TRADE).have ?? 0);
  const { items, faults } = leftOut.stream(GAP_TRADE);
  expect(gapsOf(leftOut, GAP_TRADE).map(({ reason, missed }) => `${reason} ${typeof missed}`)).toContain("slow number");
  const told = gapsOf(leftOut, GAP_TRADE).reduce((sum, { missed }) => sum + Number(missed), 0);
  const mine = new Set(items.map(({ id }) => id));
  const first = healthy.stream(GAP_TRADE).items.findIndex(({ id }) => id === items[0]?.id);
  const lost = healthy
    .stream(GAP_TRADE)
    .items.slice(first)
    .filter(({ id }) => !mine.has(id));
  expect([lost.length, mine.size, faults]).toEqual([told, items.length, []]);
  // The others stay, whole.
  for (const channel of TRADES) {
    await leftOut.reaches(channel, healthy.stream(channel).have ?? 0);
    expect(gapsOf(leftOut, channel)).toEqual([]);
  }
  expect([leftOut.faults, leftOut.closed]).toEqual([[], null]);
});

test("slow - Binance has no word for trades left out: closed 1012 behind all that came before", async () => {
  const closed = await wordless.untilClosed(LONG_MS);
  expect(closed).toEqual({ code: 1012, reason: `${GAP_TRADE}: continuity was lost, too slow` });
});

test("slow - a cadence asked for while slowed is answered with what holds, and is where it goes back to", () => {
  expect([50, 100, 250, 500, 1000]).toContain(asked.answer);
  expect(cadences(chooser, DEPTH).slice(asked.changes)).not.toContain("0 slow");
  expect([chooser.faults, chooser.closed]).toEqual([[], null]);
});

test("slow - the others felt nothing of it, and nothing of it stays", async () => {
  expect([healthy.faults, healthy.closed, gapsOf(healthy, GAP_TRADE)]).toEqual([[], null, []]);
  await place.empty();
});

test("slow - who does not read at all is closed 4008: all before it comes first, in order, then the code", async () => {
  const strict = await Place.start({ closeLingerMs: 60_000 });
  try {
    const other = await strict.node.native();
    await other.subscribe([DEPTH, TRADE]);
    const still = await strict.native(ALL);
    const wires = await strict.binance([...DEPTHS.map((channel) => `${channel}@100ms`), ...TRADES, ...VALUES]);
    const events = new BinanceBook(wires, `${DEPTH}@100ms`);
    await events.start(strict.node.http, "btcusdt");
    strict.proxy.pause();
    await waitFor(async () => (await strict.closes(4008)) === 2, "both are closed", LONG_MS);
    await waitFor(async () => (await strict.node.metric("tidegate_sessions")) === 1, "their sessions are gone");
    expect(await strict.node.metric("tidegate_outbox_bytes")).toBeGreaterThan(0);
    strict.proxy.resume();
    expect(await still.untilClosed(LONG_MS)).toEqual({ code: 4008, reason: "too slow" });
    expect(await wires.untilClosed(LONG_MS)).toEqual({ code: 4008, reason: "too slow" });
    expect([events.faults, still.faults, other.faults, other.closed]).toEqual([[], [], [], null]);
    await strict.empty();
  } finally {
    await strict.stop();
  }
});
