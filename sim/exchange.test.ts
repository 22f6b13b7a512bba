import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Depth, Level, Liquidation, MarkPrice, Trade, Update } from "../src/channel/types.ts";
import { Exchange } from "./exchange.ts";
import { instrumentOf, type SimMarket, symbolsOf } from "./symbols.ts";

const START = 1_795_321_303_824;
const HOUR = 3_600_000;
const MARKETS: readonly SimMarket[] = ["spot", "usdm"];

const open = (market: SimMarket, seed: number, symbols?: readonly string[], startMs = START) =>
  new Exchange({
    market,
    seed,
    ...(symbols ? { symbols } : {}),
    startMs,
    firstTradeId: 1000,
    firstOrderId: 5000,
    channelName: (where, symbol, stream) => `${where}/${symbol}/${stream}`,
    markEveryMs: 1000,
  });

/** Steps until `count` updates came, `rate` per second; every record by itself. */
function* live(exchange: Exchange, count: number, rate: number, startMs = START): Generator<readonly Update[]> {
  yield exchange.open(startMs);
  let done = 0;
  for (let time = startMs; done < count; ) {
    const updates = exchange.step(time);
    yield updates;
    done += updates.length;
    time += (Math.max(1, updates.length) * 1000) / rate;
  }
}

/** A client's book: what snapshots and deltas make of it. */
class Fold {
  readonly bids = new Map<string, string>();
  readonly asks = new Map<string, string>();

  apply(update: Update): void {
    const depth = update.data as Depth;
    if (update.type === "snapshot") {
      this.bids.clear();
      this.asks.clear();
    }
    for (const [side, levels] of [[this.bids, depth.bids] as const, [this.asks, depth.asks] as const]) {
      for (const [price, quantity] of levels) {
        if (Number(quantity) === 0) {
          // Only what was there can go.
          expect(side.delete(price)).toBe(true);
        } else side.set(price, quantity);
      }
    }
  }

  get best(): readonly [bid: number, ask: number] {
    return [Math.max(...[...this.bids.keys()].map(Number)), Math.min(...[...this.asks.keys()].map(Number))];
  }

  get sides(): { bids: Level[]; asks: Level[] } {
    const sorted = (side: Map<string, string>, sign: number) =>
      [...side].sort(([a], [b]) => sign * (Number(a) - Number(b)));
    return { bids: sorted(this.bids, -1), asks: sorted(this.asks, 1) };
  }
}

test("exchange - the fold of its deltas is its own book, uncrossed after every record, bounded, over seeds", () => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom(...MARKETS), fc.constantFrom(1, 20, 1000, 50_000), (seed, market, rate) => {
      const exchange = open(market, seed, ["btcusdt", "avaxusdt"]);
      const folds = new Map<string, Fold>();
      for (const updates of live(exchange, 600, rate)) {
        for (const update of updates) {
          if (update.kind !== "depth") continue;
          const fold = folds.get(update.channel) ?? new Fold();
          folds.set(update.channel, fold);
          fold.apply(update);
          const [bid, ask] = fold.best;
          expect(bid).toBeLessThan(ask);
          expect(fold.bids.size).toBeLessThan(300);
          expect(fold.asks.size).toBeLessThan(300);
        }
      }
      expect(folds.size).toBe(2);
      for (const [channel, fold] of folds) {
        const whole = exchange.snapshot(channel, START)?.data as Depth;
        expect(fold.sides).toEqual({ bids: [...whole.bids] as Level[], asks: [...whole.asks] as Level[] });
        expect(whole.bids.length).toBeGreaterThan(20);
        expect(whole.asks.length).toBeGreaterThan(20);
      }
    }),
    { numRuns: 24 },
  );
});

test("exchange - equal seeds and times give equal records, other seeds do not", () => {
  for (const market of MARKETS) {
    const run = (seed: number) => JSON.stringify([...live(open(market, seed), 3000, 200)]);
    expect(run(11)).toBe(run(11));
    expect(run(11)).not.toBe(run(12));
  }
});

test("exchange - a record has at most one update per channel, and says the time of its step", () => {
  for (const market of MARKETS) {
    for (const updates of live(open(market, 3), 5000, 500)) {
      expect(new Set(updates.map((update) => update.channel)).size).toBe(updates.length);
      for (const update of updates) expect(Number.isSafeInteger(update.time) && update.time >= START).toBe(true);
    }
  }
});

test("exchange - trades are numbered without gaps, sweeps have several items, taker sides are both", () => {
  const trades = new Map<string, Trade[]>();
  let sweeps = 0;
  for (const updates of live(open("spot", 4), 8000, 400)) {
    for (const update of updates) {
      if (update.kind !== "trade") continue;
      const items = update.data as Trade[];
      if (items.length > 1) sweeps++;
      trades.set(update.channel, [...(trades.get(update.channel) ?? []), ...items]);
    }
  }
  expect(sweeps).toBeGreaterThan(50);
  expect(trades.size).toBe(10);
  for (const [channel, items] of trades) {
    items.forEach((trade, i) => {
      if (trade.t !== 1000 + i || trade.id !== String(trade.t)) throw new Error(`${channel}: ${trade.id} at ${i}`);
    });
    for (const side of ["buy", "sell"] as const) {
      expect(items.filter((trade) => trade.side === side).length).toBeGreaterThan(items.length / 5);
    }
  }
});

test("exchange - prices and quantities have the market's decimals and lie on tick and lot", () => {
  for (const market of MARKETS) {
    const specs = symbolsOf(market);
    const prices = new Map(specs.map((spec) => [spec.symbol, spec]));
    for (const updates of live(open(market, 5), 2000, 300)) {
      for (const { channel, data, kind } of updates) {
        const spec = prices.get(channel.split("/")[1]!)!;
        const pairs: (readonly [string, string])[] = [];
        if (kind === "depth") pairs.push(...(data as Depth).bids, ...(data as Depth).asks);
        if (kind === "trade") pairs.push(...(data as Trade[]).map((item) => [item.price, item.quantity] as const));
        for (const [price, quantity] of pairs) {
          if (spec.prices.format(spec.prices.parse(price) ?? -1) !== price)
            throw new Error(`${channel} price ${price}`);
          if (spec.quantities.format(spec.quantities.parse(quantity) ?? -1) !== quantity) {
            throw new Error(`${channel} quantity ${quantity}`);
          }
        }
      }
    }
  }
  expect(symbolsOf("spot")[0]!.quantities.format(150_000)).toBe("1.50000000");
  expect(symbolsOf("usdm")[0]!.prices.format(970_001)).toBe("97000.10");
  expect(instrumentOf(symbolsOf("spot")[0]!)).toMatchObject({ symbol: "btcusdt", spelling: "BTCUSDT", tick: "0.01" });
});

test("exchange - the book follows the fair price, on both markets the same, across restarts too", () => {
  const middle = (market: SimMarket, startMs: number) => {
    const exchange = open(market, 6, ["btcusdt"], startMs);
    const fold = new Fold();
    for (const updates of live(exchange, 3000, 20, startMs)) {
      for (const update of updates) if (update.kind === "depth") fold.apply(update);
    }
    const [bid, ask] = fold.best;
    expect((ask - bid) / bid).toBeLessThan(0.002);
    return (bid + ask) / 2;
  };
  const spot = middle("spot", START);
  expect(Math.abs(middle("usdm", START) / spot - 1)).toBeLessThan(0.003);
  expect(Math.abs(middle("spot", START + 60_000) / spot - 1)).toBeLessThan(0.01);
});

test("exchange - usdm marks every symbol about once a second, with funding at the next multiple of 8 h", () => {
  const times = new Map<string, number[]>();
  for (const updates of live(open("usdm", 7), 4000, 200)) {
    for (const { channel, kind, data, time } of updates) {
      if (kind !== "markPrice") continue;
      const mark = data as MarkPrice;
      times.set(channel, [...(times.get(channel) ?? []), time]);
      for (const value of [mark.mark, mark.markAverage, mark.index, mark.settle]) expect(value).toMatch(/^\d+\.\d{8}$/);
      expect(mark.fundingRate).toMatch(/^-?0\.\d{8}$/);
      expect(Math.abs(Number(mark.mark) / Number(mark.index) - 1)).toBeLessThan(0.005);
      expect(mark.nextFundingTime % (8 * HOUR)).toBe(0);
      expect(mark.nextFundingTime - time).toBeGreaterThan(0);
      expect(mark.nextFundingTime - time).toBeLessThanOrEqual(8 * HOUR);
    }
  }
  expect(times.size).toBe(10);
  for (const list of times.values()) {
    expect(list.length).toBeGreaterThanOrEqual(18);
    expect(list.length).toBeLessThanOrEqual(22);
  }
});

test("exchange - leveraged agents are liquidated through the book, and totals stay over funding and all", () => {
  const exchange = open("usdm", 8, ["solusdt", "dogeusdt"], START);
  const before = exchange.totals();
  const liquidations: Liquidation[] = [];
  let withTrade = 0;
  // Nine hours at two updates a second and symbol: over a funding time.
  for (const updates of live(exchange, 4 * 9 * 3600, 4)) {
    for (const { kind, data } of updates) {
      if (kind !== "liquidation") continue;
      liquidations.push(...(data as Liquidation[]));
      if (updates.some((update) => update.kind === "trade")) withTrade++;
    }
  }
  expect(liquidations.length).toBeGreaterThan(10);
  expect(withTrade).toBeGreaterThan(0);
  for (const { filled, quantity, side, price, averagePrice } of liquidations) {
    expect(Number(filled)).toBeLessThanOrEqual(Number(quantity));
    // Never worse than the bankruptcy price.
    const better = Number(averagePrice) - Number(price);
    expect(side === "sell" ? better : -better).toBeGreaterThanOrEqual(0);
  }
  expect(exchange.totals()).toEqual(before);
});

test("exchange - spot totals stay while everybody trades", () => {
  const exchange = open("spot", 9);
  const before = exchange.totals();
  for (const updates of live(exchange, 20_000, 5000)) expect(updates.length).toBeLessThanOrEqual(10);
  expect(exchange.totals()).toEqual(before);
});

test("exchange - history is in order, ends before its end, and goes on where the books begin", () => {
  for (const market of MARKETS) {
    const exchange = open(market, 10);
    const last = new Map<string, Trade>();
    const counts = new Map<string, number>();
    let time = START - 25 * HOUR;
    for (const [update] of exchange.history(START - 25 * HOUR, START)) {
      expect(update?.kind).toBe("trade");
      if (update!.time < time || update!.time >= START) throw new Error(`out of order: ${update!.time}`);
      time = update!.time;
      const trades = update!.data as Trade[];
      counts.set(update!.channel, (counts.get(update!.channel) ?? 0) + 1);
      for (const trade of trades) {
        if (trade.t !== (last.get(update!.channel)?.t ?? 999) + 1) throw new Error(`${update!.channel}: ${trade.t}`);
        last.set(update!.channel, trade);
      }
    }
    expect(counts.size).toBe(10);
    for (const count of counts.values()) expect(Math.abs(count / 2250 - 1)).toBeLessThan(0.1);
    for (const snapshot of exchange.open(START)) {
      const { bids, asks } = snapshot.data as Depth;
      const trade = last.get(snapshot.channel.replace("depth", "trade"))!;
      const mid = (Number(bids[0]![0]) + Number(asks[0]![0])) / 2;
      expect(Math.abs(Number(trade.price) / mid - 1)).toBeLessThan(0.003);
    }
  }
});
