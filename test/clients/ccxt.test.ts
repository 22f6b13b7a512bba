/**
 * ccxt as it comes from npm, told only another base URL (docs/protocol.md, "Endpoints"): what it hands to its user is what
 * a native client of the same node saw, also where its socket is cut, delayed, throttled and stopped.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import ccxt from "ccxt";
import type { CuttingProxy } from "../lib/cutting-proxy.ts";
import type { Frame } from "../lib/frame-socket.ts";
import type { NativeClient } from "../lib/native-client.ts";
import type { NativeStream } from "../lib/native-stream.ts";
import { PlainBook } from "../lib/plain-book.ts";
import { PATIENT, startTestNode, type TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { patiently, proxyOn, WAYS } from "./lib/way.ts";

setDefaultTimeout(TEST_MS_MAX);

const MARKET = "BTC/USDT";
const ROUNDS = 3;

type Exchange = InstanceType<typeof ccxt.pro.binance>;

for (const way of WAYS)
  describe(`ccxt ${way.name}`, () => {
    let node: TestNode;
    let native: NativeClient;
    let exchange: Exchange;
    let proxy: CuttingProxy | null;

    const watch = <T>(ask: () => Promise<T>): Promise<T> =>
      patiently((error) => way.cuts && error instanceof ccxt.NetworkError, ask);

    beforeAll(async () => {
      node = await startTestNode({ simRate: "1000", seed: "5", config: PATIENT });
      native = await node.native();
      proxy = await proxyOn(way, node.port);
      const streams = ["trade", "depth", "miniTicker", "bookTicker", "kline_1m"].map((stream) => `btcusdt@${stream}`);
      const reply = await native.subscribe(streams);
      expect(reply.errors).toBeUndefined();
      exchange = new ccxt.pro.binance({
        options: { fetchMarkets: { types: ["spot"] }, fetchCurrencies: false, fetchMargins: false },
      });
      // ccxt wants it once before it opens a ws:// URL.
      await exchange.loadHttpProxyAgent();
      const urls = exchange.urls.api as unknown as { public: string; private: string; ws: { spot: string } };
      urls.public = `${node.http}/api/v3`;
      urls.private = `${node.http}/api/v3`;
      urls.ws.spot = `${proxy === null ? node.ws : `ws://127.0.0.1:${proxy.port}`}/stream-spot/ws`;
    });

    afterAll(async () => {
      await exchange?.close();
      proxy?.[Symbol.dispose]();
      await node?.[Symbol.asyncDispose]();
    });

    /** The native push of `channel` that `found` accepts; it may come after ccxt's. */
    async function pushOf(channel: string, what: string, found: (data: Frame, seq: number) => boolean): Promise<Frame> {
      const { pushes } = native.stream(channel);
      let data: Frame | undefined;
      const matches = (): boolean => {
        for (const push of pushes) {
          const all = Array.isArray(push.data) ? (push.data as Frame[]) : [push.data as Frame];
          data = all.find((one) => found(one, push.seq ?? -1));
          if (data !== undefined) return true;
        }
        return false;
      };
      await waitFor(matches, `the native client saw ${what}`);
      return data as Frame;
    }

    /** The native client's book as it was at `seq`, folded again from what it received; null if it has not come yet. */
    function bookAt(stream: NativeStream, seq: number): PlainBook | null {
      const book = new PlainBook();
      for (const push of stream.pushes) {
        const { bids, asks } = push.data as { bids: [string, string][]; asks: [string, string][] };
        if (push.type === "snapshot") book.clear();
        book.apply(bids, asks);
        if (push.seq === seq) return book;
      }
      return null;
    }

    const numbers = (levels: readonly (readonly string[])[]): number[][] => levels.map((level) => level.map(Number));

    test("markets come from exchangeInfo with true ticks and lots", async () => {
      const markets = await exchange.loadMarkets();
      expect(Object.keys(markets)).toContain(MARKET);
      expect(Object.keys(markets).length).toBeGreaterThanOrEqual(10);
      const market = exchange.market(MARKET);
      expect([market.spot, market.active, market.base, market.quote]).toEqual([true, true, "BTC", "USDT"]);
      expect([market.precision.price, market.precision.amount]).toEqual([0.01, 0.00001]);
    });

    test("watchTrades yields the trades a native client saw, until unWatchTrades", async () => {
      const seen = new Map<string, { price: number; amount: number; side: string; timestamp: number }>();
      for (let round = 0; round < ROUNDS; round++) {
        for (const { id, price, amount, side, timestamp } of await watch(() => exchange.watchTrades(MARKET))) {
          seen.set(String(id), {
            price: Number(price),
            amount: Number(amount),
            side: String(side),
            timestamp: Number(timestamp),
          });
        }
      }
      expect(seen.size).toBeGreaterThanOrEqual(ROUNDS);
      for (const [id, trade] of seen) {
        const { price, quantity, side, time } = await pushOf("btcusdt@trade", `trade ${id}`, (data) => data.id === id);
        expect(trade).toEqual({
          price: Number(price),
          amount: Number(quantity),
          side: String(side),
          timestamp: Number(time),
        });
      }
      const ids = [...seen.keys()].map(Number).sort((a, b) => a - b);
      // What is traded while it has no connection it does not see.
      if (!way.cuts) expect(ids.at(-1)! - ids[0]!).toBe(ids.length - 1);

      const url = Object.keys(exchange.clients).find((one) => exchange.clients[one]?.subscriptions["trade::BTC/USDT"]);
      expect(await exchange.unWatchTrades(MARKET)).toBeDefined();
      expect(url === undefined ? [] : Object.keys(exchange.clients[url]?.subscriptions ?? {})).toEqual([]);
    });

    test("watchOrderBook keeps a book that equals the native one at the same seq", async () => {
      const stream = native.stream("btcusdt@depth");
      const seqs = new Set<number>();
      while (seqs.size < ROUNDS) {
        const { nonce, bids, asks } = await watch(() => exchange.watchOrderBook(MARKET));
        const seq = Number(nonce);
        // ccxt goes on changing what it returned: this is what it held at that moment.
        const held = { bids: structuredClone([...bids]), asks: structuredClone([...asks]) };
        if (seqs.has(seq)) continue;
        seqs.add(seq);
        await native.reaches("btcusdt@depth", seq);
        const book = bookAt(stream, seq);
        expect(book, `a native push ended at ${seq}`).not.toBeNull();
        expect(held).toEqual({ bids: numbers(book!.bids()), asks: numbers(book!.asks()) } as typeof held);
        expect(held.bids.length).toBeGreaterThan(10);
        expect(Number(held.bids[0]?.[0])).toBeLessThan(Number(held.asks[0]?.[0]));
      }
    });

    test("watchTicker yields a miniTicker that a native client saw", async () => {
      for (let round = 0; round < 2; round++) {
        const ticker = await watch(() => exchange.watchTicker(MARKET));
        const { open, high, low, last, baseVolume, quoteVolume } = ticker;
        await pushOf(
          "btcusdt@miniTicker",
          JSON.stringify({ open, high, low, last, baseVolume, quoteVolume }),
          (data) =>
            Number(data.open) === open &&
            Number(data.high) === high &&
            Number(data.low) === low &&
            Number(data.close) === last &&
            Number(data.volume) === baseVolume &&
            Number(data.quoteVolume) === quoteVolume,
        );
        expect(Number(low)).toBeLessThanOrEqual(Number(last));
        expect(Number(high)).toBeGreaterThanOrEqual(Number(last));
        expect(Number(baseVolume)).toBeGreaterThan(0);
      }
    });

    test("watchBidsAsks yields the best prices a native client saw at the same seq", async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const tickers = await watch(() => exchange.watchBidsAsks([MARKET]));
        const { bid, bidVolume, ask, askVolume, info } = tickers[MARKET]!;
        const { u } = info as { u: number };
        const data = await pushOf("btcusdt@bookTicker", `best prices at ${u}`, (_, seq) => seq === u);
        expect([bid, bidVolume, ask, askVolume]).toEqual(
          [data.bid, data.bidQuantity, data.ask, data.askQuantity].map(Number),
        );
        expect(Number(bid)).toBeLessThan(Number(ask));
      }
    });

    test("watchOHLCV yields candles a native client saw", async () => {
      for (let round = 0; round < 2; round++) {
        const candles = await watch(() => exchange.watchOHLCV(MARKET, "1m"));
        const [time, open, high, low, close, volume] = structuredClone(candles.at(-1))!;
        const candle = await pushOf(
          "btcusdt@kline_1m",
          `candle ${time} with volume ${volume}`,
          (data) => data.openTime === time && Number(data.volume) === volume && Number(data.close) === close,
        );
        expect([open, high, low]).toEqual([candle.open, candle.high, candle.low].map(Number));
        expect(Number(time) % 60_000).toBe(0);
      }
    });

    test("meanwhile the native client's chains were unbroken", () => {
      expect(native.faults).toEqual([]);
      expect(native.closed).toBeNull();
    });

    test("its connections were cut, if they should be", async () => {
      if (proxy === null) return;
      const { cuts } = proxy;
      await watch(() => exchange.watchTrades(MARKET));
      await waitFor(() => proxy !== null && proxy.cuts > Math.max(1, cuts), "a connection is cut");
      const [trade] = await watch(() => exchange.watchTrades(MARKET));
      await pushOf("btcusdt@trade", `trade ${trade?.id}`, (data) => data.id === trade?.id);
    });
  });
