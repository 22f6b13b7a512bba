/**
 * What a channel is: its name taken apart, its kind, its family and, for derived ones, the channel it is made from.
 *
 * The `Catalog` answers for every name whether it is known; the instruments registry implements it.
 */
import type { Instrument } from "./instruments.ts";
import type { HowMade } from "./kinds.ts";
import type { Family, Kind } from "./types.ts";

export interface Channel {
  /** Canonical: lower-case market and symbol, no prefix for the default market: `btcusdt@depth`, `usdm:btcusdt@trade`. */
  readonly name: string;
  readonly market: string;
  /** '' for a bare topic such as `balance`. */
  readonly symbol: string;
  /** The part after `@`, or the bare topic. */
  readonly stream: string;
  readonly kind: Kind;
  readonly family: Family;
  /** kline: `1m`; else ''. */
  readonly interval: string;
  /** partialDepth: 5, 10 or 20; else 0. */
  readonly levels: number;
  /** The book this channel is a pure function of (bookTicker, depth5/10/20), else ''. */
  readonly derivedFrom: string;
  /** Null for bare topics. */
  readonly instrument: Instrument | null;
  /** Made on each node from another channel of the instrument. */
  readonly made?: Making;
  /** All-market channels: the stream that each instrument of the market adds; `instrument`: the instruments themselves. */
  readonly all?: string;
  /** The channel `instrument`: made on each node of its own registry. */
  readonly ofRegistry?: true;
}

/** How a channel is made from `from` (its canonical name). */
export type Making = HowMade & { readonly from: string };

export interface Catalog {
  /** The channel of a name in any accepted spelling (`spot:btcusdt@depth` too), or null if it is not known. */
  resolve(name: string): Channel | null;
}
