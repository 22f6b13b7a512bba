/**
 * Instruments as symbols of Binance's exchangeInfo.
 *
 * Invariants: tick and lot are the instrument's own strings; where we know no rule, the value is one that forbids nothing.
 */
import { decimalsOf } from "../../../channel/decimal.ts";
import type { Instrument, InstrumentStatus } from "../../../channel/instruments.ts";
import { contractStatus, NEVER, UNKNOWN } from "../contract.ts";

const STATUS: Readonly<Record<InstrumentStatus, string>> = {
  trading: "TRADING",
  halt: "HALT",
  auction: "AUCTION_MATCH",
  delisted: "BREAK",
};

/** Digits behind the point that Binance shows for every asset; more if the step of ours needs more. */
const PRECISION_MIN = 8;
/** Binance's own "as much as fits": 2^63 / 10^8. */
const NO_LIMIT = "92233720368.00000000";

export function spotSymbol(instrument: Instrument): Record<string, unknown> {
  const { tick, lot } = instrument;
  const baseDigits = Math.max(PRECISION_MIN, decimalsOf(lot));
  const quoteDigits = Math.max(PRECISION_MIN, decimalsOf(tick));
  return {
    symbol: instrument.symbol.toUpperCase(),
    status: STATUS[instrument.status],
    baseAsset: instrument.base.toUpperCase(),
    baseAssetPrecision: baseDigits,
    quoteAsset: instrument.quote.toUpperCase(),
    quotePrecision: quoteDigits,
    quoteAssetPrecision: quoteDigits,
    baseCommissionPrecision: baseDigits,
    quoteCommissionPrecision: quoteDigits,
    orderTypes: ["LIMIT", "LIMIT_MAKER", "MARKET"],
    icebergAllowed: false,
    ocoAllowed: false,
    otoAllowed: false,
    quoteOrderQtyMarketAllowed: false,
    allowTrailingStop: false,
    cancelReplaceAllowed: false,
    isSpotTradingAllowed: true,
    isMarginTradingAllowed: false,
    filters: [
      { filterType: "PRICE_FILTER", minPrice: tick, maxPrice: NO_LIMIT, tickSize: tick },
      { filterType: "LOT_SIZE", minQty: lot, maxQty: NO_LIMIT, stepSize: lot },
      {
        filterType: "NOTIONAL",
        minNotional: "0.00000000",
        applyMinToMarket: false,
        maxNotional: NO_LIMIT,
        applyMaxToMarket: false,
        avgPriceMins: 5,
      },
    ],
    permissions: [],
    permissionSets: [["SPOT"]],
    defaultSelfTradePreventionMode: "NONE",
    allowedSelfTradePreventionModes: ["NONE"],
  };
}

export function usdmSymbol(instrument: Instrument): Record<string, unknown> {
  const { tick, lot } = instrument;
  const symbol = instrument.symbol.toUpperCase();
  const quote = instrument.quote.toUpperCase();
  return {
    symbol,
    pair: symbol,
    contractType: "PERPETUAL",
    deliveryDate: NEVER,
    onboardDate: UNKNOWN,
    status: contractStatus(instrument.status),
    baseAsset: instrument.base.toUpperCase(),
    quoteAsset: quote,
    marginAsset: quote,
    pricePrecision: decimalsOf(tick),
    quantityPrecision: decimalsOf(lot),
    baseAssetPrecision: PRECISION_MIN,
    quotePrecision: PRECISION_MIN,
    underlyingType: "COIN",
    underlyingSubType: [],
    orderTypes: ["LIMIT", "MARKET"],
    timeInForce: ["GTC", "IOC", "FOK"],
    filters: [
      { filterType: "PRICE_FILTER", minPrice: tick, maxPrice: NO_LIMIT, tickSize: tick },
      { filterType: "LOT_SIZE", minQty: lot, maxQty: NO_LIMIT, stepSize: lot },
      { filterType: "MARKET_LOT_SIZE", minQty: lot, maxQty: NO_LIMIT, stepSize: lot },
      { filterType: "MIN_NOTIONAL", notional: "0" },
    ],
  };
}

/** The assets that USD-M contracts are margined in. */
export function marginAssets(instruments: readonly Instrument[]): Record<string, unknown>[] {
  const assets = new Set(instruments.map(({ quote }) => quote.toUpperCase()));
  return [...assets].map((asset) => ({ asset, marginAvailable: true, autoAssetExchange: null }));
}
