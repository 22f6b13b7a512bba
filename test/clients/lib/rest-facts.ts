/** What REST replies must say, however a library names its method: each is held against the native client's truth. */
import { expect } from "bun:test";
import type { Line, Program } from "./program.ts";
import type { Event, Market, Truth } from "./truth.ts";

type Levels = readonly (readonly string[])[];
type Fact = (truth: Truth, market: Market, result: unknown) => Promise<void> | void;

const only = (result: unknown): Event => (Array.isArray(result) ? (result as Event[])[0]! : (result as Event));

const FACTS: Readonly<Record<string, Fact>> = {
  // A library may hand on the empty reply as an object or as nothing at all.
  ping: (_truth, _market, result) => expect(result ?? {}).toEqual({}),
  time: (_truth, _market, result) =>
    expect(Math.abs(Number((result as Event).serverTime) - Date.now())).toBeLessThan(60_000),
  exchangeInfo: (_truth, _market, result) => {
    const { symbols } = result as { symbols: readonly Event[] };
    for (const { symbol, status, filters } of symbols) {
      expect(status, `${symbol}`).toBe("TRADING");
      const types = (filters as Event[]).map(({ filterType }) => filterType);
      expect(types).toContain("PRICE_FILTER");
      expect(types).toContain("LOT_SIZE");
    }
    expect(symbols.length).toBeGreaterThan(0);
  },
  depth: (truth, market, result) => {
    const { lastUpdateId, bids, asks } = result as { lastUpdateId: number; bids: Levels; asks: Levels };
    return truth.top(market, lastUpdateId, bids, asks);
  },
  trades: async (truth, market, result) => {
    const trades = result as readonly Event[];
    expect(trades.length).toBe(50);
    const { id, price, qty, time, isBuyerMaker } = trades.at(-1)!;
    await truth.published(
      market,
      "trade",
      `trade ${id}`,
      (data) =>
        data.id === String(id) &&
        data.price === price &&
        data.quantity === qty &&
        data.time === time &&
        (data.side === "sell") === isBuyerMaker,
    );
    rising(trades.map((trade) => trade.id));
  },
  aggTrades: async (truth, market, result) => {
    const trades = result as readonly Event[];
    expect(trades.length).toBe(50);
    await truth.confirm(market, { e: "aggTrade", ...trades.at(-1)! });
    rising(trades.map(({ a }) => a));
  },
  klines: (_truth, _market, result) => {
    const rows = result as readonly (readonly (string | number)[])[];
    expect(rows.length).toBe(5);
    for (const [i, [openTime, , high, low, close, , closeTime]] of rows.entries()) {
      expect(Number(openTime) % 60_000).toBe(0);
      expect(Number(closeTime)).toBe(Number(openTime) + 59_999);
      if (i > 0) expect(Number(openTime)).toBe(Number(rows[i - 1]![0]) + 60_000);
      expect(Number(low)).toBeLessThanOrEqual(Number(close));
      expect(Number(high)).toBeGreaterThanOrEqual(Number(close));
    }
  },
  avgPrice: (truth, market, result) => {
    const { price } = result as Event;
    return truth.published(market, "avgPrice", `an average of ${price}`, (data) => data.price === price);
  },
  ticker24hr: (truth, market, result) => {
    const { lastPrice, volume, count, openPrice } = only(result);
    return truth.published(
      market,
      "ticker",
      `${JSON.stringify(result)}`,
      (data) => data.close === lastPrice && data.volume === volume && data.count === count && data.open === openPrice,
    );
  },
  tickerPrice: (truth, market, result) => {
    const { price } = only(result);
    return truth.published(market, "ticker", `a last price of ${price}`, (data) => data.close === price);
  },
  bookTicker: (truth, market, result) => {
    const { bidPrice, bidQty, askPrice, askQty } = only(result);
    return truth.published(
      market,
      "bookTicker",
      JSON.stringify(result),
      (data) =>
        data.bid === bidPrice && data.bidQuantity === bidQty && data.ask === askPrice && data.askQuantity === askQty,
    );
  },
  premiumIndex: (truth, market, result) => {
    const { markPrice, indexPrice } = only(result);
    return truth.published(
      market,
      "markPrice",
      JSON.stringify(result),
      (data) => data.mark === markPrice && data.index === indexPrice,
    );
  },
};

/** Every REST reply that the program got is true; `unknownSymbol` is the one that must be an error, in Binance's words. */
export async function confirmRest(
  truth: Truth,
  program: Program,
  market: Market,
  calls: readonly string[],
): Promise<void> {
  const find = (call: string): Line | undefined =>
    program.of("rest").find((line) => line.market === market && line.call === call);
  for (const call of calls) {
    await program.until(
      () => find(call) !== undefined,
      () => `says what REST ${call} answered`,
    );
    const { result, error } = find(call)!;
    if (call === "unknownSymbol") {
      expect(error).toBe("Invalid symbol.");
      continue;
    }
    if (error !== undefined) throw new Error(`${program.name}: ${market} ${call}: ${error}`);
    await FACTS[call]!(truth, market, result);
  }
}

function rising(ids: readonly unknown[]): void {
  expect(ids).toEqual([...ids].sort((a, b) => Number(a) - Number(b)));
  expect(new Set(ids).size).toBe(ids.length);
}
