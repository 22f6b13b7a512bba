/** Channels, stamps and contents for the tests of dialects and encoders. */
import type { Channel } from "../channel/channel.ts";
import type { AggTrade, Candle, Family, Kind, Liquidation, MarkPrice, Ticker, Trade } from "../channel/types.ts";
import type { Stamp } from "./encoder.ts";

const FAMILY: Readonly<Record<Kind, Family>> = {
  trade: "items",
  aggTrade: "items",
  liquidation: "items",
  private: "items",
  depth: "book",
  kline: "candles",
  partialDepth: "value",
  bookTicker: "value",
  ticker: "value",
  miniTicker: "value",
  windowTicker: "value",
  avgPrice: "value",
  markPrice: "value",
  index: "value",
  funding: "value",
  instrument: "value",
  json: "value",
};

export function channelFor(kind: Kind, market = "spot", symbol = "ethusdt"): Channel {
  const stream = kind === "kline" ? "kline_1m" : kind === "partialDepth" ? "depth20" : kind;
  return {
    name: market === "spot" ? `${symbol}@${stream}` : `${market}:${symbol}@${stream}`,
    market,
    symbol,
    stream,
    kind,
    family: FAMILY[kind],
    interval: kind === "kline" ? "1m" : "",
    levels: kind === "partialDepth" ? 20 : 0,
    derivedFrom: kind === "bookTicker" || kind === "partialDepth" ? `${symbol}@depth` : "",
    instrument: null,
  };
}

export const AT: Stamp = {
  prev: 156,
  from: 157,
  seq: 160,
  time: 1795321303822,
  sentUs: 1795321303824123,
  epoch: null,
};

export const TRADE: Trade = {
  id: "551201",
  t: 551201,
  price: "2750.84",
  quantity: "0.50000000",
  side: "buy",
  time: 1795321303823,
};

export const AGG_TRADE: AggTrade = {
  a: 90817,
  price: "2750.84",
  quantity: "1.20000000",
  firstId: 551199,
  lastId: 551201,
  side: "sell",
  time: 1795321303823,
};

export const CANDLE: Candle = {
  interval: "1m",
  openTime: 1795321260000,
  closeTime: 1795321319999,
  open: "2749.10",
  high: "2751.00",
  low: "2748.77",
  close: "2750.84",
  volume: "120.50000000",
  quoteVolume: "331412.11",
  takerVolume: "60.20000000",
  takerQuoteVolume: "165600.00",
  firstId: 551100,
  lastId: 551201,
  count: 102,
  closed: false,
  partial: false,
};

export const TICKER: Ticker = {
  open: "2700.00",
  high: "2790.00",
  low: "2690.00",
  close: "2750.84",
  volume: "10000.0",
  quoteVolume: "27400000.0",
  openTime: 1795234903824,
  closeTime: 1795321303824,
  partial: false,
  change: "50.84",
  changePercent: "1.883",
  weightedAverage: "2740.10",
  previousClose: "2699.90",
  lastQuantity: "0.50000000",
  firstId: 540000,
  lastId: 551201,
  count: 11202,
};

export const TOP = { bid: "2750.83", bidQuantity: "3.1", ask: "2750.85", askQuantity: "2.2" } as const;

export const MARK_PRICE: MarkPrice = {
  mark: "2750.90000000",
  markAverage: "2750.70000000",
  index: "2750.50000000",
  settle: "2750.60000000",
  fundingRate: "0.00010000",
  nextFundingTime: 1795334400000,
};

export const LIQUIDATION: Liquidation = {
  side: "sell",
  price: "2700",
  averagePrice: "2701.5",
  quantity: "0.014",
  filled: "0.014",
  time: 1795321303820,
};
