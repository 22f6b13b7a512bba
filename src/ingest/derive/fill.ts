/** A trade as derivation sees it: its numbers parsed once for all candles and windows of its instrument. */
import { type Decimal, multiply, parseDecimal } from "../../channel/decimal.ts";
import type { Trade } from "../../channel/types.ts";

export interface Fill {
  readonly trade: Trade;
  readonly price: number;
  readonly quantity: Decimal;
  readonly quote: Decimal;
}

export function fillOf(trade: Trade): Fill {
  const quantity = parseDecimal(trade.quantity);
  return { trade, price: Number(trade.price), quantity, quote: multiply(parseDecimal(trade.price), quantity) };
}
