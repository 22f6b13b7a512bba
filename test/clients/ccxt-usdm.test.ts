/**
 * ccxt's USD-M exchange as it comes from npm, told only another base URL, and both of its exchanges over REST: what they
 * hand to their user is what a native client of the same node saw, or what the other way to ask says. The sockets also go
 * through a network that cuts, delays, throttles and stops them.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import ccxt from "ccxt";
import type { CuttingProxy } from "../lib/cutting-proxy.ts";
import type { Frame } from "../lib/frame-socket.ts";
import type { NativeClient } from "../lib/native-client.ts";
import { PlainBook } from "../lib/plain-book.ts";
import { PATIENT, startTestNode, type TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { patiently, proxyOn, WAYS } from "./lib/way.ts";

setDefaultTimeout(TEST_MS_MAX);

const MARKET = "BTC/USDT:USDT";
const ROUNDS = 3;

type Usdm = InstanceType<typeof ccxt.pro.binanceusdm>;
type Spot = InstanceType<typeof ccxt.pro.binance>;

for (const way of WAYS)
  describe(`ccxt usdm ${way.name}`, () => {
    let node: TestNode;
    let native: NativeClient;
    let usdm: Usdm;
    let spot: Spot;
    let proxy: CuttingProxy | null;

    const watch = <T>(ask: () => Promise<T>): Promise<T> =>
      patiently((error) => way.cuts && error instanceof ccxt.NetworkError, ask);

    beforeAll(async () => {
      node = await startTestNode({ simRate: "1000", seed: "6", config: PATIENT });
      native = await node.native();
      proxy = await proxyOn(way, node.port);
      const ws = proxy === null ? node.ws : `ws://127.0.0.1:${proxy.port}`;
      const streams = ["trade", "depth", "miniTicker", "bookTicker", "kline_1m", "markPrice"];
      const reply = await native.subscribe(streams.map((stream) => `usdm:btcusdt@${stream}`));
      expect(reply.errors).toBeUndefined();
      usdm = new ccxt.pro.binanceusdm({ options: { fetchMarkets: { types: ["linear"] }, fetchCurrencies: false } });
      spot = new ccxt.pro.binance({
        options: { fetchMarkets: { types: ["spot"] }, fetchCurrencies: false, fetchMargins: false },
      });
      for (const exchange of [usdm, spot]) {
        await exchange.loadHttpProxyAgent();
        const urls = exchange.urls.api as unknown as Record<string, string> & { ws: Record<string, string> };
        urls.public = urls.private = `${node.http}/api/v3`;
        urls.fapiPublic = urls.fapiPrivate = `${node.http}/fapi/v1`;
        urls.fapiPublicV2 = `${node.http}/fapi/v2`;
        urls.ws.spot = `${ws}/stream-spot/ws`;
        urls.ws.future = `${ws}/ws`;
      }
      await Promise.all([usdm.loadMarkets(), spot.loadMarkets()]);
    });

    afterAll(async () => {
      await Promise.all([usdm?.close(), spot?.close()]);
      proxy?.[Symbol.dispose]();
      await node?.[Symbol.asyncDispose]();
    });

    /** The native push of `stream` that `found` accepts; it may come after ccxt's. */
    async function pushOf(stream: string, what: string, found: (data: Frame, seq: number) => boolean): Promise<Frame> {
      const { pushes } = native.stream(`usdm:btcusdt@${stream}`);
      let data: Frame | undefined;
      await waitFor(() => {
        for (const push of pushes) {
          const all = Array.isArray(push.data) ? (push.data as Frame[]) : [push.data as Frame];
          data = all.find((one) => found(one, push.seq ?? -1));
          if (data !== undefined) return true;
        }
        return false;
      }, `the native client saw ${what}`);
      return data as Frame;
    }

    const numbers = (levels: readonly (readonly string[])[]): number[][] => levels.map((level) => level.map(Number));
    /** The addresses that ccxt has open with a subscription like this. */
    const addressesOf = (subscription: string): string[] =>
      Object.keys(usdm.clients).filter((url) => usdm.clients[url]?.subscriptions[subscription]);

    test("markets are perpetual contracts with true ticks and lots", () => {
      const market = usdm.market(MARKET);
      expect([market.swap, market.linear, market.active, market.settle]).toEqual([true, true, true, "USDT"]);
      expect([market.precision.price, market.precision.amount]).toEqual([0.1, 0.001]);
      expect(usdm.symbols.length).toBeGreaterThanOrEqual(10);
    });

    test("watchTrades yields the trades a native client saw, until unWatchTrades", async () => {
      let seen = 0;
      for (let round = 0; round < ROUNDS; round++) {
        for (const { id, price, amount, side, timestamp } of await watch(() => usdm.watchTrades(MARKET))) {
          const trade = await pushOf("trade", `trade ${id}`, (data) => data.id === id);
          expect([price, amount, side, timestamp]).toEqual([
            Number(trade.price),
            Number(trade.quantity),
            String(trade.side),
            Number(trade.time),
          ]);
          seen++;
        }
      }
      expect(seen).toBeGreaterThanOrEqual(ROUNDS);
      const [address] = addressesOf("trade::BTC/USDT:USDT");
      expect(address).toContain("/public/ws/");
      expect(await watch(() => usdm.unWatchTrades(MARKET))).toBeDefined();
      expect(addressesOf("trade::BTC/USDT:USDT")).toEqual([]);
    });

    test("watchOrderBook keeps a book that equals the native one at the same seq", async () => {
      const { pushes } = native.stream("usdm:btcusdt@depth");
      const seqs = new Set<number>();
      while (seqs.size < ROUNDS) {
        const { nonce, bids, asks } = await watch(() => usdm.watchOrderBook(MARKET));
        const seq = Number(nonce);
        const held = { bids: structuredClone([...bids]), asks: structuredClone([...asks]) };
        if (seqs.has(seq)) continue;
        seqs.add(seq);
        await native.reaches("usdm:btcusdt@depth", seq);
        const book = new PlainBook();
        for (const push of pushes) {
          if ((push.seq ?? 0) > seq) break;
          const depth = push.data as { bids: [string, string][]; asks: [string, string][] };
          book.apply(depth.bids, depth.asks);
        }
        const truth = { bids: numbers(book.bids()), asks: numbers(book.asks()) };
        // Its book began with the best thousand levels.
        expect(held.bids.slice(0, 500)).toEqual(truth.bids.slice(0, 500) as typeof held.bids);
        expect(held.asks.slice(0, 500)).toEqual(truth.asks.slice(0, 500) as typeof held.asks);
        expect(held.bids.length).toBeGreaterThan(10);
      }
      expect(await watch(() => usdm.unWatchOrderBook(MARKET))).toBeDefined();
    });

    test("watchTicker and watchTickers", async () => {
      const { last, high, low, baseVolume } = await watch(() => usdm.watchTicker(MARKET));
      await pushOf(
        "miniTicker",
        `last ${last}, volume ${baseVolume}`,
        (data) =>
          Number(data.close) === last &&
          Number(data.volume) === baseVolume &&
          Number(data.high) === high &&
          Number(data.low) === low,
      );
      const all = new Set<string>();
      while (all.size < usdm.symbols.length)
        for (const symbol of Object.keys(await watch(() => usdm.watchTickers()))) all.add(symbol);
      expect(all.has("ETH/USDT:USDT")).toBe(true);
    });

    test("watchBidsAsks yields the best prices a native client saw at the same seq", async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const { bid, bidVolume, ask, askVolume, info } = (await watch(() => usdm.watchBidsAsks([MARKET])))[MARKET]!;
        const { u } = info as { u: number };
        const data = await pushOf("bookTicker", `best prices at ${u}`, (_, seq) => seq === u);
        expect([bid, bidVolume, ask, askVolume]).toEqual(
          [data.bid, data.bidQuantity, data.ask, data.askQuantity].map(Number),
        );
      }
    });

    test("watchOHLCV yields candles a native client saw", async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const [time, open, high, low, close, volume] = structuredClone(
          (await watch(() => usdm.watchOHLCV(MARKET, "1m"))).at(-1),
        )!;
        const candle = await pushOf(
          "kline_1m",
          `candle ${time} with volume ${volume}`,
          (data) => data.openTime === time && Number(data.volume) === volume && Number(data.close) === close,
        );
        expect([open, high, low]).toEqual([candle.open, candle.high, candle.low].map(Number));
      }
    });

    test("watchMarkPrice and watchMarkPrices", async () => {
      const { markPrice, indexPrice, info } = await watch(() => usdm.watchMarkPrice(MARKET));
      await pushOf("markPrice", `mark ${markPrice}`, (data) => Number(data.mark) === markPrice);
      expect(Number(indexPrice)).toBe(Number((info as { i: string }).i));
      const all = await watch(() => usdm.watchMarkPrices());
      expect(Object.keys(all).length).toBe(usdm.symbols.length);
    });

    // REST does not go through that network.
    if (!way.cuts)
      test("the same over REST, on both markets", async () => {
        for (const [exchange, symbol] of [
          [usdm, MARKET],
          [spot, "BTC/USDT"],
        ] as const) {
          const book = await exchange.fetchOrderBook(symbol, 100);
          expect([book.bids.length, book.asks.length]).toEqual([100, 100]);
          expect(book.bids[0]![0]!).toBeLessThan(book.asks[0]![0]!);

          const candles = await exchange.fetchOHLCV(symbol, "1m", undefined, 100);
          expect(candles).toHaveLength(100);
          expect(candles.every((candle, i) => i === 0 || candle[0]! - candles[i - 1]![0]! === 60_000)).toBe(true);

          const trades = await exchange.fetchTrades(symbol, undefined, 50);
          expect(trades).toHaveLength(50);
          const ticker = await exchange.fetchTicker(symbol);
          expect(ticker.low!).toBeLessThanOrEqual(ticker.last!);
          expect(ticker.high!).toBeGreaterThanOrEqual(ticker.last!);
          expect(Object.keys(await exchange.fetchTickers()).length).toBe(exchange.symbols.length);
          const best = (await exchange.fetchBidsAsks([symbol]))[symbol]!;
          expect(best.bid!).toBeLessThan(best.ask!);
          const prices = await exchange.fetchLastPrices();
          expect(Object.keys(prices).length).toBe(exchange.symbols.length);
          expect(Math.abs((await exchange.fetchTime())! - Date.now())).toBeLessThan(5000);
          expect(await exchange.fetchOrderBook("NO/SUCH").catch((error: Error) => error.constructor.name)).toBe(
            "BadSymbol",
          );
        }
        const rate = await usdm.fetchFundingRate(MARKET);
        expect([rate.fundingRate, typeof rate.markPrice]).toEqual([0.0001, "number"]);
      });

    test("meanwhile the native client's chains were unbroken", () => {
      expect(native.faults).toEqual([]);
      expect(native.closed).toBeNull();
    });
  });
