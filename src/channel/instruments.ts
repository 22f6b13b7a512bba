/** Instruments: the tradable symbols of each market. The registry (registry.ts) implements the Catalog over them. */

export type InstrumentStatus = "trading" | "halt" | "auction" | "delisted";

export interface Instrument {
  /** `spot`, `usdm`. */
  readonly market: string;
  /** Lower case without separators: `btcusd`, `btcusd220527`. */
  readonly symbol: string;
  /** As the source spells it: `BTC/USD`. */
  readonly spelling: string;
  readonly base: string;
  readonly quote: string;
  /** Smallest price and quantity step as decimals, `"0.01"`. */
  readonly tick: string;
  readonly lot: string;
  readonly status: InstrumentStatus;
  /** tick and lot were inferred from data, not told by the source or config. */
  readonly inferred: boolean;
}
