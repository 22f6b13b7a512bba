/**
 * What the channels carry, by the name of their stream (docs/protocol.md, "Data by kind").
 *
 * Prices and quantities are decimal strings, as the source wrote them; times are ms since 1970.
 */
import type { Depth } from "./frames.ts";

/** Of the taker. */
export type Side = "buy" | "sell";

export interface Trade {
  /** The source's own. */
  readonly id: string;
  readonly price: string;
  readonly quantity: string;
  readonly side: Side;
  readonly time: number;
}

/** Consecutive trades of one taker order at one price. */
export interface AggTrade {
  readonly a: number;
  readonly price: string;
  readonly quantity: string;
  readonly firstId: number;
  readonly lastId: number;
  readonly side: Side;
  readonly time: number;
}

export interface Liquidation {
  readonly side: Side;
  readonly price: string;
  readonly averagePrice: string;
  readonly quantity: string;
  readonly filled: string;
  readonly time: number;
}

/** An empty side is `"0"`. */
export interface BookTicker {
  readonly bid: string;
  readonly bidQuantity: string;
  readonly ask: string;
  readonly askQuantity: string;
}

export interface MiniTicker {
  readonly open: string;
  readonly high: string;
  readonly low: string;
  readonly close: string;
  /** Base volume. */
  readonly volume: string;
  readonly quoteVolume: string;
  readonly openTime: number;
  readonly closeTime: number;
  /** The window began before the node's data, or holds a gap of the source. */
  readonly partial: boolean;
}

/** Of a window of 1 h, 4 h or a day. */
export interface WindowTicker extends MiniTicker {
  readonly change: string;
  readonly changePercent: string;
  readonly weightedAverage: string;
  /** Of the trades in the window; -1, -1, 0 if there is none. */
  readonly firstId: number;
  readonly lastId: number;
  readonly count: number;
}

/** Of the last 24 h. */
export interface Ticker extends WindowTicker {
  readonly previousClose: string;
  readonly lastQuantity: string;
}

export interface AvgPrice {
  /** Length of the window, `5m`. */
  readonly interval: string;
  readonly price: string;
  readonly tradeTime: number;
}

export interface MarkPrice {
  readonly mark: string;
  readonly markAverage: string;
  readonly index: string;
  readonly settle: string;
  readonly fundingRate: string;
  readonly nextFundingTime: number;
}

export interface Candle {
  readonly interval: string;
  readonly openTime: number;
  /** Its last millisecond. */
  readonly closeTime: number;
  readonly open: string;
  readonly high: string;
  readonly low: string;
  readonly close: string;
  readonly volume: string;
  readonly quoteVolume: string;
  readonly takerVolume: string;
  readonly takerQuoteVolume: string;
  readonly firstId: number;
  readonly lastId: number;
  readonly count: number;
  readonly closed: boolean;
  readonly partial: boolean;
}

/** A tradable symbol that was added or changed; the bare topic `instrument` tells of those of all markets. */
export interface Instrument {
  /** `spot`, `usdm`. */
  readonly market: string;
  /** As in names of channels. */
  readonly symbol: string;
  /** As its source spells it: `BTC/USD`. */
  readonly spelling: string;
  readonly base: string;
  readonly quote: string;
  /** Smallest steps of price and quantity. */
  readonly tick: string;
  readonly lot: string;
  readonly status: "trading" | "halt" | "auction" | "delisted";
  /** Tick and lot were inferred from data that was seen. */
  readonly inferred: boolean;
}

/** By stream: nothing is merged, nothing is left out silently. */
export interface ItemsByStream {
  trade: Trade;
  aggTrade: AggTrade;
  forceOrder: Liquidation;
}

/** By stream: the newest counts. */
export interface ValuesByStream {
  depth5: Depth;
  depth10: Depth;
  depth20: Depth;
  bookTicker: BookTicker;
  ticker: Ticker;
  ticker_1h: WindowTicker;
  ticker_4h: WindowTicker;
  ticker_1d: WindowTicker;
  miniTicker: MiniTicker;
  avgPrice: AvgPrice;
  markPrice: MarkPrice;
}

/** `unknown`: a topic of the operator's own; its first push tells. */
export type Family = "book" | "items" | "value" | "candles" | "unknown";

const ITEMS: ReadonlySet<string> = new Set<keyof ItemsByStream>(["trade", "aggTrade", "forceOrder"]);
const VALUES: ReadonlySet<string> = new Set<keyof ValuesByStream>([
  "depth5",
  "depth10",
  "depth20",
  "bookTicker",
  "ticker",
  "ticker_1h",
  "ticker_4h",
  "ticker_1d",
  "miniTicker",
  "avgPrice",
  "markPrice",
]);

/** How a channel behaves, as far as its name says. */
export function familyOf(channel: string): Family {
  if (channel === "instrument") return "items";
  if (!channel.includes("@")) return "unknown";
  const stream = channel.slice(channel.indexOf("@") + 1);
  if (stream === "depth") return "book";
  if (ITEMS.has(stream)) return "items";
  if (VALUES.has(stream)) return "value";
  return stream.startsWith("kline_") ? "candles" : "unknown";
}
