/**
 * What the simulated exchange trades: the same ten names on two markets, with ticks, lots and prices like the real ones.
 *
 * Decimals on the wire: prices with the tick's decimals; quantities with 8 decimals on spot and the lot's on usdm.
 */
import type { Instrument } from "../src/channel/instruments.ts";
import { GatewayError } from "../src/lib/errors.ts";
import { Scale } from "./scale.ts";

export type SimMarket = "spot" | "usdm";

interface Listing {
  readonly base: string;
  /** The price its path swings around. */
  readonly anchor: number;
  /** Deviation of a day's return. */
  readonly volatility: number;
  /** Share of the market's events. */
  readonly weight: number;
  readonly spot: readonly [tick: string, lot: string];
  readonly usdm: readonly [tick: string, lot: string];
}

const QUOTE = "USDT";
/** Balances in the quote asset are whole numbers of 10^-8. */
export const QUOTE_SCALE = new Scale("0.00000001");

const LISTINGS: readonly Listing[] = [
  { base: "BTC", anchor: 97000, volatility: 0.025, weight: 10, spot: ["0.01", "0.00001"], usdm: ["0.10", "0.001"] },
  { base: "ETH", anchor: 2750, volatility: 0.032, weight: 8, spot: ["0.01", "0.0001"], usdm: ["0.01", "0.001"] },
  { base: "BNB", anchor: 860, volatility: 0.028, weight: 5, spot: ["0.01", "0.001"], usdm: ["0.01", "0.01"] },
  { base: "SOL", anchor: 165, volatility: 0.042, weight: 6, spot: ["0.01", "0.001"], usdm: ["0.01", "0.01"] },
  { base: "XRP", anchor: 2.25, volatility: 0.04, weight: 5, spot: ["0.0001", "0.1"], usdm: ["0.0001", "0.1"] },
  { base: "ADA", anchor: 0.58, volatility: 0.045, weight: 4, spot: ["0.0001", "0.1"], usdm: ["0.0001", "1"] },
  { base: "DOGE", anchor: 0.165, volatility: 0.05, weight: 4, spot: ["0.00001", "1"], usdm: ["0.00001", "1"] },
  { base: "LTC", anchor: 92, volatility: 0.035, weight: 3, spot: ["0.01", "0.001"], usdm: ["0.01", "0.001"] },
  { base: "LINK", anchor: 15.8, volatility: 0.045, weight: 3, spot: ["0.01", "0.01"], usdm: ["0.001", "0.01"] },
  { base: "AVAX", anchor: 17.2, volatility: 0.045, weight: 3, spot: ["0.01", "0.01"], usdm: ["0.001", "1"] },
];

/** One symbol of one market, with its scales. */
export interface SymbolSpec {
  readonly market: SimMarket;
  readonly symbol: string;
  readonly base: string;
  readonly quote: string;
  readonly tick: string;
  readonly lot: string;
  readonly anchor: number;
  readonly volatility: number;
  readonly weight: number;
  readonly prices: Scale;
  readonly quantities: Scale;
  readonly tickSize: number;
  readonly lotSize: number;
  /** Quote units (10^-8) that one lot costs per tick of price: a whole number. */
  readonly quoteUnits: number;
}

/** All symbols of a market, or those named. */
export function symbolsOf(market: SimMarket, names?: readonly string[]): SymbolSpec[] {
  const all = LISTINGS.map((listing) => specOf(market, listing));
  if (names === undefined) return all;
  if (names.length === 0) throw new GatewayError("BAD_OPTION", "the simulated exchange needs at least one symbol");
  return [...new Set(names)].map((name) => {
    const spec = all.find((each) => each.symbol === name);
    if (spec) return spec;
    const known = all.map((each) => each.symbol).join(", ");
    throw new GatewayError("BAD_OPTION", `the simulated exchange does not list "${name}"; it has ${known}`);
  });
}

function specOf(market: SimMarket, listing: Listing): SymbolSpec {
  const [tick, lot] = listing[market];
  const prices = new Scale(tick);
  const quantities = new Scale(lot, market === "spot" ? 8 : undefined);
  return {
    market,
    symbol: `${listing.base}${QUOTE}`.toLowerCase(),
    base: listing.base,
    quote: QUOTE,
    tick,
    lot,
    anchor: listing.anchor,
    volatility: listing.volatility,
    weight: listing.weight,
    prices,
    quantities,
    tickSize: Number(tick),
    lotSize: Number(lot),
    quoteUnits: 10 ** (QUOTE_SCALE.decimals - prices.decimals - quantities.decimals),
  };
}

export function instrumentOf(spec: SymbolSpec): Instrument {
  return {
    market: spec.market,
    symbol: spec.symbol,
    spelling: `${spec.base}${spec.quote}`,
    base: spec.base,
    quote: spec.quote,
    tick: spec.tick,
    lot: spec.lot,
    status: "trading",
    inferred: false,
  };
}
