/**
 * Tickers over REST: 24 hours, rolling windows and the trading day, last prices, best prices, mark prices.
 *
 * Invariants: of one symbol there is always an answer, with zeros where nothing is known yet; in a list of all symbols
 * those of which nothing is known are left out.
 */
import type { Instrument } from "../../../channel/instruments.ts";
import type { Level, MarkPrice, Ticker, WindowTicker } from "../../../channel/types.ts";
import { dayTicker, timeZoneOf, windowMinutes, windowTicker } from "./candles.ts";
import type { Book, Market } from "./market.ts";
import type { Query } from "./query.ts";
import { Refusal, refuse, UNAVAILABLE } from "./replies.ts";

type Fields = Readonly<Record<string, string | number>>;

const ZERO = "0.00000000";
const NO_LEVEL: Level = [ZERO, ZERO];
const TYPES = ["FULL", "MINI"] as const;
const WINDOW_SYMBOLS_MAX = 100;

const NOTHING: Ticker = {
  open: ZERO,
  high: ZERO,
  low: ZERO,
  close: ZERO,
  volume: ZERO,
  quoteVolume: ZERO,
  openTime: 0,
  closeTime: 0,
  partial: true,
  change: ZERO,
  changePercent: "0.000",
  weightedAverage: ZERO,
  previousClose: ZERO,
  lastQuantity: ZERO,
  firstId: -1,
  lastId: -1,
  count: 0,
};

/** Whom a request asks about: one gives an object, several give an array. */
interface Asked {
  readonly instruments: readonly Instrument[];
  readonly isOne: boolean;
  readonly isAll: boolean;
}

function readSymbols(market: Market, query: Query): () => Asked {
  const symbols = market.isSpot ? query.symbols() : oneOrNone(query);
  return () => {
    if (symbols === null) return { instruments: market.list(), isOne: false, isAll: true };
    if ("one" in symbols) return { instruments: [market.find(symbols.one)], isOne: true, isAll: false };
    return { instruments: symbols.list.map((symbol) => market.find(symbol)), isOne: false, isAll: false };
  };
}

function oneOrNone(query: Query): { readonly one: string } | null {
  const one = query.optionalSymbol();
  return one === null ? null : { one };
}

/** One object of `make` for every instrument asked for; null leaves it out of a list of all. */
async function answer(
  { instruments, isOne, isAll }: Asked,
  make: (instrument: Instrument, isAll: boolean) => Promise<Fields | null>,
): Promise<string> {
  const made = await Promise.all(instruments.map((instrument) => make(instrument, isAll)));
  return JSON.stringify(isOne ? made[0] : made.filter((fields) => fields !== null));
}

export function ticker24hr(market: Market, query: Query): Promise<string> {
  const asked = readSymbols(market, query);
  const type = market.isSpot ? query.oneOf("type", TYPES) : "FULL";
  query.end();
  return answer(asked(), async (instrument, isAll) => {
    const ticker = (await market.value<Ticker>(instrument, "ticker"))?.data;
    if (ticker === undefined && isAll) return null;
    if (type === "MINI") return miniFields(instrument, ticker ?? NOTHING);
    const book = market.isSpot ? await market.book(instrument, 1) : null;
    return dayFields(instrument, ticker ?? NOTHING, market.isSpot ? topOf(book) : null);
  });
}

/** Rolling window of spot: `symbol` or `symbols` has to be sent. */
export function ticker(market: Market, query: Query): Promise<string> {
  const asked = readSomeSymbols(market, query);
  const minutes = windowMinutes(query.optional("windowSize"));
  const type = query.oneOf("type", TYPES);
  query.end();
  return answer(asked(), async (instrument) => {
    const window = (await windowTicker(market, instrument, minutes)) ?? NOTHING;
    return type === "MINI" ? miniFields(instrument, window) : windowFields(instrument, window);
  });
}

export function tradingDay(market: Market, query: Query): Promise<string> {
  const asked = readSomeSymbols(market, query);
  const offset = timeZoneOf(query.optional("timeZone"));
  const type = query.oneOf("type", TYPES);
  query.end();
  return answer(asked(), async (instrument) => {
    const day = (await dayTicker(market, instrument, offset)) ?? NOTHING;
    return type === "MINI" ? miniFields(instrument, day) : windowFields(instrument, day);
  });
}

function readSomeSymbols(market: Market, query: Query): () => Asked {
  const symbols = query.symbols();
  if (symbols === null) throw refuse.eitherOf("symbol", "symbols");
  if ("list" in symbols && symbols.list.length > WINDOW_SYMBOLS_MAX) throw refuse.invalid("symbols");
  const names = "one" in symbols ? [symbols.one] : symbols.list;
  return () => ({ instruments: names.map((name) => market.find(name)), isOne: "one" in symbols, isAll: false });
}

export function tickerPrice(market: Market, query: Query): Promise<string> {
  const asked = readSymbols(market, query);
  query.end();
  return answer(asked(), async (instrument, isAll) => {
    const ticker = (await market.value<Ticker>(instrument, "ticker"))?.data;
    if (ticker === undefined && isAll) return null;
    const { close, closeTime } = ticker ?? NOTHING;
    const fields = { symbol: symbolOf(instrument), price: close };
    return market.isSpot ? fields : { ...fields, time: closeTime };
  });
}

export function bookTicker(market: Market, query: Query): Promise<string> {
  const asked = readSymbols(market, query);
  query.end();
  return answer(asked(), async (instrument, isAll) => {
    const book = await market.book(instrument, 1);
    if (book === null && isAll) return null;
    if (book === null) throw new Refusal(UNAVAILABLE);
    const fields = { symbol: symbolOf(instrument), ...topOf(book) };
    return market.isSpot ? fields : { ...fields, time: book.time };
  });
}

/** USD-M. The interest rate is nothing that a feed tells. */
export function premiumIndex(market: Market, query: Query): Promise<string> {
  const asked = readSymbols(market, query);
  query.end();
  return answer(asked(), async (instrument, isAll) => {
    const value = await market.value<MarkPrice>(instrument, "markPrice");
    if (value === null && isAll) return null;
    return {
      symbol: symbolOf(instrument),
      markPrice: value?.data.mark ?? ZERO,
      indexPrice: value?.data.index ?? ZERO,
      estimatedSettlePrice: value?.data.settle ?? ZERO,
      lastFundingRate: value?.data.fundingRate ?? ZERO,
      interestRate: ZERO,
      nextFundingTime: value?.data.nextFundingTime ?? 0,
      time: value?.time ?? 0,
    };
  });
}

const symbolOf = (instrument: Instrument): string => instrument.symbol.toUpperCase();

function topOf(book: Book | null): Fields {
  const [bidPrice, bidQty] = book?.bids[0] ?? NO_LEVEL;
  const [askPrice, askQty] = book?.asks[0] ?? NO_LEVEL;
  return { bidPrice, bidQty, askPrice, askQty };
}

/** `top`: null on USD-M, which shows neither best prices nor the close before the window. */
function dayFields(instrument: Instrument, t: Ticker, top: Fields | null): Fields {
  return {
    symbol: symbolOf(instrument),
    priceChange: t.change,
    priceChangePercent: t.changePercent,
    weightedAvgPrice: t.weightedAverage,
    ...(top === null ? {} : { prevClosePrice: t.previousClose }),
    lastPrice: t.close,
    lastQty: t.lastQuantity,
    ...top,
    openPrice: t.open,
    highPrice: t.high,
    lowPrice: t.low,
    ...volumeFields(t),
  };
}

function windowFields(instrument: Instrument, t: WindowTicker): Fields {
  return {
    symbol: symbolOf(instrument),
    priceChange: t.change,
    priceChangePercent: t.changePercent,
    weightedAvgPrice: t.weightedAverage,
    openPrice: t.open,
    highPrice: t.high,
    lowPrice: t.low,
    lastPrice: t.close,
    ...volumeFields(t),
  };
}

function miniFields(instrument: Instrument, t: WindowTicker): Fields {
  return {
    symbol: symbolOf(instrument),
    openPrice: t.open,
    highPrice: t.high,
    lowPrice: t.low,
    lastPrice: t.close,
    ...volumeFields(t),
  };
}

const volumeFields = (t: WindowTicker): Fields => ({
  volume: t.volume,
  quoteVolume: t.quoteVolume,
  openTime: t.openTime,
  closeTime: t.closeTime,
  firstId: t.firstId,
  lastId: t.lastId,
  count: t.count,
});
