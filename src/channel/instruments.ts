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

const TEXTS = ["market", "symbol", "spelling", "base", "quote", "tick", "lot"] as const;
const STATUSES: ReadonlySet<unknown> = new Set<InstrumentStatus>(["trading", "halt", "auction", "delisted"]);

/** Whether something that came from elsewhere has the shape of an instrument. */
export function isInstrument(value: unknown): value is Instrument {
  if (typeof value !== "object" || value === null) return false;
  const fields = value as Readonly<Record<string, unknown>>;
  return (
    TEXTS.every((name) => typeof fields[name] === "string") &&
    isStep(fields.tick) &&
    isStep(fields.lot) &&
    STATUSES.has(fields.status) &&
    typeof fields.inferred === "boolean"
  );
}

/** Steps are decimals above zero. */
const isStep = (value: unknown): boolean =>
  typeof value === "string" && /^\d+(\.\d+)?$/.test(value) && /[1-9]/.test(value);
