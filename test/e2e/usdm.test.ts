/** USD-M streams from end to end: routes, every stream's frames, the chain of books, all-market arrays. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type BinanceClient, untilTooMany } from "../lib/binance-client.ts";
import type { Frame } from "../lib/frame-socket.ts";
import { PlainBook } from "../lib/plain-book.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { waitFor } from "../lib/wait.ts";

let node: TestNode;

beforeAll(async () => {
  node = await startTestNode({ simRate: "1000", seed: "33" });
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

const CANDLE = "t T i f L o c h l v n x q V Q B";
const DEPTH = "e E T s U u pu b a";
const WINDOW = "o h l v q O C F L n";
/** Keys of each event in the order of the wire, by route. */
const KEYS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  public: {
    "btcusdt@trade": "e E T s t p q X m",
    "btcusdt@bookTicker": "e u E T s b B a A",
    "!bookTicker": "e u E T s b B a A",
    "btcusdt@depth": DEPTH,
    "btcusdt@depth@100ms": DEPTH,
    "btcusdt@depth@500ms": DEPTH,
    "btcusdt@depth5": DEPTH,
    "btcusdt@depth10@100ms": DEPTH,
    "btcusdt@depth20@500ms": DEPTH,
  },
  market: {
    "btcusdt@aggTrade": "e E s a p q nq f l T m",
    "btcusdt@markPrice": "e E s p ap i P r T",
    "btcusdt@markPrice@1s": "e E s p ap i P r T",
    "btcusdt@kline_1m": "e E s k",
    "btcusdt_perpetual@continuousKline_1m": "e E ps ct k",
    "btcusdt@miniTicker": "e E s c o h l v q",
    "btcusdt@ticker": `e E s p P w c Q ${WINDOW}`,
  },
};
const ARRAYS: Readonly<Record<string, string>> = {
  "!markPrice@arr": "markPriceUpdate",
  "!markPrice@arr@1s": "markPriceUpdate",
  "!miniTicker@arr": "24hrMiniTicker",
  "!ticker@arr": "24hrTicker",
};

const keysOf = (frame: unknown): string => Object.keys(frame as object).join(" ");
const hasAll = (client: BinanceClient, streams: readonly string[]): Promise<void> =>
  waitFor(
    () => streams.every((stream) => client.of(stream).length > 0),
    () => `an event of ${streams.filter((stream) => client.of(stream).length === 0)}`,
  );

/** The one stream that both routes have. */
const ON_BOTH = "btcusdt@trade";

for (const route of ["public", "market"] as const) {
  test.concurrent(`usdm - /${route} delivers its streams, keys in Binance's order, and none of the other route`, async () => {
    const streams = Object.keys(KEYS[route]!);
    const others = Object.keys(KEYS[route === "public" ? "market" : "public"]!).filter((name) => name !== ON_BOTH);
    const client = await node.binance(`/${route}/stream?streams=${[...streams, ...others].join("/")}`);
    await hasAll(client, streams);
    for (const stream of streams) {
      for (const event of client.of(stream)) expect([stream, keysOf(event)]).toEqual([stream, KEYS[route]![stream]!]);
    }
    for (const stream of others) expect([stream, client.of(stream).length]).toEqual([stream, 0]);
    if (route === "market") {
      expect(keysOf(client.of("btcusdt@kline_1m")[0]!.k)).toBe(CANDLE.replace("t T", "t T s"));
      expect(keysOf(client.of("btcusdt_perpetual@continuousKline_1m")[0]!.k)).toBe(CANDLE);
    }
    expect(client.closed).toBeNull();
  });
}

test.concurrent("usdm - a stream of the other route is accepted with null, on a path without route too; /usdm has all", async () => {
  const [publicly, marketly, bare, unsplit] = await Promise.all([
    node.binance("/public/ws/0"),
    node.binance("/market/ws/1"),
    node.binance("/fstream/ws"),
    node.binance("/usdm/ws"),
  ]);
  const streams = ["ethusdt@bookTicker", "ethusdt@markPrice@1s"];
  for (const client of [publicly, marketly, bare, unsplit]) {
    expect(await client.request("SUBSCRIBE", streams)).toEqual({ result: null, id: 1 });
  }
  const kinds = (client: BinanceClient) => [...new Set(client.of("").map((event) => event.e))].sort();
  await waitFor(
    () => [publicly, marketly, bare].every((client) => client.of("").length > 2) && kinds(unsplit).length > 1,
    "events of one of the two everywhere, of both where all are",
  );
  expect(kinds(publicly)).toEqual(["bookTicker"]);
  expect(kinds(bare)).toEqual(["bookTicker"]);
  expect(kinds(marketly)).toEqual(["markPriceUpdate"]);
  expect(kinds(unsplit)).toEqual(["bookTicker", "markPriceUpdate"]);
});

test.concurrent("usdm - /private lets clients in and stays silent", async () => {
  const client = await node.binance("/private/stream?streams=");
  expect(await client.request("SUBSCRIBE", ["btcusdt@trade", "someListenKey"])).toEqual({ result: null, id: 1 });
  expect(await client.request("LIST_SUBSCRIPTIONS")).toEqual({ result: [], id: 2 });
  expect(client.events.size).toBe(0);
});

test.concurrent("usdm - arrays hold each changed symbol once; the first one the whole market", async () => {
  const streams = Object.keys(ARRAYS);
  const client = await node.binance(`/market/stream?streams=${streams.join("/")}`);
  const symbols = node.node.parts.registry.list("usdm").map(({ symbol }) => symbol.toUpperCase());
  const seenOn = (stream: string) =>
    new Set((client.of(stream) as unknown as Frame[][]).flatMap((array) => array.map((event) => event.s as string)));
  // A young node has no mark price of some symbols yet: it comes within a second, and so within the array after next.
  await waitFor(
    () => streams.every((stream) => client.of(stream).length > 1 && seenOn(stream).size === symbols.length),
    () => `two arrays of each and all of ${symbols} in ${streams.map((stream) => [stream, ...seenOn(stream)])}`,
    20_000,
  );
  const single = KEYS.market!;
  const keys: Readonly<Record<string, string>> = {
    markPriceUpdate: single["btcusdt@markPrice"]!,
    "24hrMiniTicker": single["btcusdt@miniTicker"]!,
    "24hrTicker": single["btcusdt@ticker"]!,
  };
  for (const stream of streams) {
    const arrays = client.of(stream) as unknown as readonly Frame[][];
    expect([stream, [...seenOn(stream)].toSorted()]).toEqual([stream, symbols.toSorted()]);
    for (const array of arrays) {
      expect(array.length).toBeGreaterThan(0);
      expect(new Set(array.map((event) => event.s)).size).toBe(array.length);
      for (const event of array) expect([event.e, keysOf(event)]).toEqual([ARRAYS[stream], keys[String(event.e)]!]);
    }
  }
  // Who joins a running one has the whole market at once.
  const late = await node.binance("/market/stream?streams=!ticker@arr");
  await hasAll(late, ["!ticker@arr"]);
  expect(late.of("!ticker@arr")[0]).toHaveLength(symbols.length);
});

test.concurrent("usdm - !bookTicker is every symbol's own stream", async () => {
  const client = await node.binance("/public/stream?streams=!bookTicker/solusdt@bookTicker");
  await waitFor(() => client.of("solusdt@bookTicker").length > 50, "best prices of one symbol");
  const all = client.of("!bookTicker").filter((event) => event.s === "SOLUSDT");
  const at = (events: readonly Frame[]) => new Map(events.map(({ u, b, B, a, A }) => [u, [b, B, a, A].join(" ")]));
  const [whole, own] = [at(all), at(client.of("solusdt@bookTicker"))];
  const common = [...own.keys()].filter((u) => whole.has(u));
  expect(common.length).toBeGreaterThan(40);
  for (const u of common) expect(whole.get(u)).toBe(own.get(u)!);
});

test.concurrent("usdm - books: pu is the u before, REST joins without a gap, and the book is the native client's", async () => {
  const native = await node.native();
  await native.subscribe(["usdm:ethusdt@depth"]);
  const speeds = ["", "@100ms", "@500ms"].map((speed) => `ethusdt@depth${speed}`);
  const client = await node.binance(`/public/stream`);
  await client.request("SUBSCRIBE", speeds);
  const response = await fetch(`${node.http}/fapi/v1/depth?symbol=ETHUSDT&limit=1000`);
  const snapshot = (await response.json()) as {
    lastUpdateId: number;
    bids: [string, string][];
    asks: [string, string][];
  };
  expect(keysOf(snapshot)).toBe("lastUpdateId E T bids asks");
  await waitFor(() => speeds.every((stream) => client.of(stream).length > 5), "a chain of each speed");
  for (const stream of speeds) {
    const events = client.of(stream) as unknown as {
      U: number;
      u: number;
      pu: number;
      b: [string, string][];
      a: [string, string][];
    }[];
    events.forEach((event, i) => {
      if (i > 0) expect([stream, event.pu]).toEqual([stream, events[i - 1]!.u]);
      expect(event.U).toBe(event.pu + 1);
    });
    const book = new PlainBook();
    book.apply(snapshot.bids, snapshot.asks);
    const kept = events.filter(({ u }) => u >= snapshot.lastUpdateId);
    // The first event that is processed holds the snapshot's id, or begins right behind it (which clients see by pu).
    expect(kept[0]!.pu).toBeLessThanOrEqual(snapshot.lastUpdateId);
    for (const { b, a } of kept) book.apply(b, a);
    const end = kept.at(-1)!.u;
    await native.reaches("usdm:ethusdt@depth", end);
    const truth = new PlainBook();
    for (const push of native.stream("usdm:ethusdt@depth").pushes) {
      if ((push.seq ?? 0) > end) break;
      const { bids, asks } = push.data as { bids: [string, string][]; asks: [string, string][] };
      truth.apply(bids, asks);
    }
    expect([stream, book.bids().slice(0, 100), book.asks().slice(0, 100)]).toEqual([
      stream,
      truth.bids().slice(0, 100),
      truth.asks().slice(0, 100),
    ]);
  }
  expect(native.faults).toEqual([]);
});

test.concurrent("usdm - ten requests a second are let through, one more is too many", async () => {
  const client = await node.binance("/market/ws");
  expect(await untilTooMany(client, 10)).toEqual({ code: 1008, reason: "Too many requests" });
});

test.concurrent("usdm - forceOrder and contractInfo", async () => {
  const client = await node.binance("/market/stream?streams=!contractInfo/!forceOrder@arr/btcusdt@forceOrder");
  // The session is on a stream when it is listed: a change before that is nobody's.
  await client.request("SUBSCRIBE", ["!contractInfo"]);
  node.node.parts.registry.update("usdm", "avaxusdt", { status: "halt" });
  await hasAll(client, ["!contractInfo"]);
  expect(keysOf(client.of("!contractInfo")[0]!)).toBe("e E s ps ct dt ot cs");
  expect(client.of("!contractInfo")[0]).toMatchObject({ s: "AVAXUSDT", ct: "PERPETUAL", cs: "SETTLING" });
  node.node.parts.registry.update("usdm", "avaxusdt", { status: "trading" });
  await waitFor(() => client.of("!contractInfo").length === 2, "the second change");
  for (const stream of ["!forceOrder@arr", "btcusdt@forceOrder"]) {
    for (const event of client.of(stream)) expect(keysOf(event)).toBe("e E o");
  }
});
