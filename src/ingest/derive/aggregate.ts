/**
 * aggTrades from trades: consecutive fills of one taker order at one price.
 *
 * Rule: neighbouring trades of ONE record with the same side, price and millisecond are one aggTrade. A source that sends
 * each fill as a record of its own therefore gives one aggTrade per trade: an order's end cannot be seen without waiting
 * for the next record, and an aggTrade is published at once, never changed later. `f`, `l` are the trades' numbers, as
 * Binance has them; the quantity is the exact sum with the decimals of its longest part.
 */
import { add } from "../../channel/decimal.ts";
import type { AggTrade, Trade } from "../../channel/types.ts";

/** `firstNumber` is the `a` of the first of them. */
export function aggregate(trades: readonly Trade[], firstNumber: number): AggTrade[] {
  const aggregated: AggTrade[] = [];
  let from = 0;
  for (let i = 1; i <= trades.length; i++) {
    const first = trades[from] as Trade;
    const next = trades[i];
    if (next !== undefined && isSameOrder(first, next)) continue;
    aggregated.push(merge(trades, from, i, firstNumber + aggregated.length));
    from = i;
  }
  return aggregated;
}

const isSameOrder = (a: Trade, b: Trade): boolean => a.side === b.side && a.price === b.price && a.time === b.time;

function merge(trades: readonly Trade[], from: number, to: number, number: number): AggTrade {
  const first = trades[from] as Trade;
  const last = trades[to - 1] as Trade;
  let quantity = first.quantity;
  for (let i = from + 1; i < to; i++) quantity = add(quantity, (trades[i] as Trade).quantity);
  return {
    a: number,
    price: first.price,
    quantity,
    firstId: first.t,
    lastId: last.t,
    side: first.side,
    time: first.time,
  };
}
