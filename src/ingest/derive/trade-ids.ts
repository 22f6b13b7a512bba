/**
 * Trade numbers: the source's own ids where they are decimals below 10^14, else a counter per channel.
 *
 * Which of the two is decided once per source, by its first trade, and kept in the checkpoint, so that numbers of a
 * channel never change their nature. A mapper says `t: -1` where the source has no such id. Counters start at the epoch's
 * base and count 1 per trade, so they rise across epochs too.
 */
import type { AggTrade, Trade } from "../../channel/types.ts";

export const SOURCE_ID_MAX = 10 ** 14;

export type TradeIdMode = "source" | "counter";

export const isSourceId = (id: number): boolean => Number.isSafeInteger(id) && id >= 0 && id < SOURCE_ID_MAX;

/** The decision, shared by all trade channels of a shard. */
export class TradeIds {
  mode: TradeIdMode | null = null;

  /** The trades with `t` and `id` filled in; null if one lacks the id that its source always gives. */
  number(trades: readonly Trade[], counter: number): readonly Trade[] | null {
    const first = trades[0];
    if (first === undefined) return trades;
    this.mode ??= isSourceId(first.t) ? "source" : "counter";
    if (this.mode === "counter") {
      return trades.map((trade, index) => withNumber(trade, counter + index));
    }
    if (!trades.every((trade) => isSourceId(trade.t))) return null;
    return trades.every((trade) => trade.id !== "") ? trades : trades.map((trade) => withNumber(trade, trade.t));
  }
}

const withNumber = (trade: Trade, t: number): Trade => ({ ...trade, t, id: trade.id === "" ? String(t) : trade.id });

/** aggTrades that come from the source: theirs if all have a number, else counted. */
export function numberAggTrades(trades: readonly AggTrade[], counter: number): readonly AggTrade[] {
  return trades.every((trade) => isSourceId(trade.a))
    ? trades
    : trades.map((trade, index) => ({ ...trade, a: counter + index }));
}
