/**
 * The market-data types every part shares: kinds, items, updates and publications.
 *
 * On the path: a mapper makes UPDATES; the pipeline numbers them and they are PUBLICATIONS; the engine encodes those.
 * Invariants: prices and quantities are decimal strings, byte for byte what the source sent; times are integer
 * milliseconds since 1970 unless the name ends in `Us`; objects are never changed after they were handed on.
 */

import type { Instrument } from "./instruments.ts";

export type Kind =
  | "trade"
  | "aggTrade"
  | "depth"
  | "partialDepth"
  | "bookTicker"
  | "ticker"
  | "miniTicker"
  | "windowTicker"
  | "avgPrice"
  | "markPrice"
  | "index"
  | "funding"
  | "kline"
  | "liquidation"
  | "instrument"
  | "json"
  | "private";

/**
 * How a kind behaves on the way to a client:
 * `book` merges levels, `value` keeps the latest, `items` loses nothing and batches, `candles` keeps the latest state of
 * each candle and never skips a closed one.
 */
export type Family = "book" | "value" | "items" | "candles";

/** `[price, quantity]`; quantity zero in a delta removes the level. */
export type Level = readonly [price: string, quantity: string];

/** The side of the taker. */
export type Side = "buy" | "sell";

export interface Trade {
  /** The source's own id as a string, else `t` as a string. */
  readonly id: string;
  /** Number of the trade: the source's id if it is a decimal below 10^14, else the channel's counter. */
  readonly t: number;
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
  /** `t` of the first and the last trade in it. */
  readonly firstId: number;
  readonly lastId: number;
  readonly side: Side;
  readonly time: number;
}

/** A snapshot's sides are sorted best first and hold no zero; a delta's levels are absolute quantities in any order. */
export interface Depth {
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
}

/** An empty side has price and quantity `"0"`. */
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
  /** Base and quote volume. */
  readonly volume: string;
  readonly quoteVolume: string;
  readonly openTime: number;
  readonly closeTime: number;
  /** The window began before our data, or holds a source gap. */
  readonly partial: boolean;
}

/** Of a rolling window of any length. */
export interface WindowTicker extends MiniTicker {
  readonly change: string;
  /** Percent, e.g. `"1.883"`. */
  readonly changePercent: string;
  readonly weightedAverage: string;
  /** Trade ids and number of trades in the window; -1, -1, 0 if none. */
  readonly firstId: number;
  readonly lastId: number;
  readonly count: number;
}

/** Of the last 24 h. */
export interface Ticker extends WindowTicker {
  /** Last price before the window. */
  readonly previousClose: string;
  readonly lastQuantity: string;
}

export interface AvgPrice {
  /** Length of the window: `5m`. */
  readonly interval: string;
  readonly price: string;
  /** Of the last trade, ms. */
  readonly tradeTime: number;
}

export interface Candle {
  readonly interval: string;
  readonly openTime: number;
  /** Last millisecond of the candle. */
  readonly closeTime: number;
  readonly open: string;
  readonly high: string;
  readonly low: string;
  readonly close: string;
  readonly volume: string;
  readonly quoteVolume: string;
  readonly takerVolume: string;
  readonly takerQuoteVolume: string;
  /** -1, -1, 0 if no trade fell into it. */
  readonly firstId: number;
  readonly lastId: number;
  readonly count: number;
  readonly closed: boolean;
  readonly partial: boolean;
}

export interface MarkPrice {
  readonly mark: string;
  readonly markAverage: string;
  readonly index: string;
  /** Estimated settlement price. */
  readonly settle: string;
  readonly fundingRate: string;
  readonly nextFundingTime: number;
}

export interface Liquidation {
  readonly side: Side;
  readonly price: string;
  readonly averagePrice: string;
  readonly quantity: string;
  readonly filled: string;
  readonly time: number;
}

/** Raw JSON text (no line feed in it), passed through to clients as it is. */
export interface JsonText {
  readonly json: string;
}

/** What one instrument of a market adds to an all-market channel, with its place in its own chain. */
export interface MarketMember {
  /** As in channel names: lower case. */
  readonly symbol: string;
  readonly seq: number;
  readonly time: number;
  readonly data: Value | Liquidation | Instrument;
  /** Best bid and ask just now, for tickers that show them. */
  readonly top: () => BookTicker | null;
}

/** A flush of an all-market channel: the instruments that changed, each once. */
export interface MarketMembers {
  readonly members: readonly MarketMember[];
}

/** What each kind's publications carry: one item for `items` and `candles`, the whole for `book` and `value`. */
export interface Content {
  trade: Trade;
  aggTrade: AggTrade;
  depth: Depth;
  partialDepth: Depth;
  bookTicker: BookTicker;
  ticker: Ticker;
  miniTicker: MiniTicker;
  windowTicker: WindowTicker;
  avgPrice: AvgPrice;
  markPrice: MarkPrice;
  index: JsonText;
  funding: JsonText;
  kline: Candle;
  liquidation: Liquidation;
  instrument: JsonText;
  json: JsonText;
  private: JsonText;
}

export type Value =
  | BookTicker
  | Depth
  | Ticker
  | MiniTicker
  | WindowTicker
  | AvgPrice
  | MarkPrice
  | JsonText
  | MarketMembers;
export type Item = Trade | AggTrade | Liquidation | JsonText;

/** Lossless items that are known to be missing; `missed` is null when nobody can know how many. */
export interface Gap {
  readonly missed: number | null;
  readonly reason: "source" | "slow" | "epoch" | "history";
}

/** Why a channel is not to be trusted until its next snapshot. */
export type StaleReason = "checksum" | "sequence" | "crossed" | "reconnect" | "disconnected" | "no-head";

/** What a publication says, by family. `stale` is numbered like any other, so that it cannot be lost silently. */
export type Body =
  | { readonly type: "snapshot"; readonly data: Depth }
  | { readonly type: "delta"; readonly data: Depth }
  | { readonly type: "value"; readonly data: Value }
  | { readonly type: "items"; readonly data: readonly Item[] }
  | { readonly type: "candles"; readonly data: readonly Candle[] }
  | { readonly type: "gap"; readonly data: Gap }
  | { readonly type: "stale"; readonly data: StaleReason };

/** A normalised change in our own types, before numbering. `channel` is a canonical name (channel/name.ts). */
export type Update = Body & {
  readonly channel: string;
  readonly kind: Kind;
  /** '' for public channels. */
  readonly user: string;
  /** The source's time in ms. */
  readonly time: number;
};

/**
 * One numbered change of one channel. `seq` rises strictly for ever, `prev` is the seq before it in this chain (null for
 * the first of an epoch). A chain's key is (channel, user).
 */
export type Publication = Update & {
  readonly seq: number;
  readonly prev: number | null;
  /** Wall clock in microseconds when our source received the record. */
  readonly receivedUs: number;
};

/** `(epoch, seq)`. */
export interface Position {
  readonly epoch: string;
  readonly seq: number;
}
