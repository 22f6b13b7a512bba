/**
 * Whether an update may go on: of a known channel, of its kind, in the form of its family, with sound numbers.
 *
 * On the path: mapper -> CHECK -> keeper. Mappers are trusted to be pure, not to be right about every record.
 */
import type { Channel } from "../channel/channel.ts";
import { isDecimal } from "../channel/decimal.ts";
import type { AggTrade, Body, Family, Trade } from "../channel/types.ts";
import type { MappedUpdate } from "./mapper/mapper.ts";

const FORMS: Readonly<Record<Family, ReadonlySet<Body["type"]>>> = {
  book: new Set<Body["type"]>(["snapshot", "delta", "stale"]),
  value: new Set<Body["type"]>(["value"]),
  items: new Set<Body["type"]>(["items", "gap"]),
  candles: new Set<Body["type"]>(["candles"]),
};

/** Dates end there. */
const TIME_MS_MAX = 8.64e15;

const isTime = (time: number): boolean => Number.isSafeInteger(time) && time >= 0 && time <= TIME_MS_MAX;

/** What is wrong with the update, or null. */
export function faultOf(update: MappedUpdate, channel: Channel): string | null {
  if (update.kind !== channel.kind) return "kind";
  if (!FORMS[channel.family].has(update.type)) return "form";
  if (!isTime(update.time)) return "time";
  if ((channel.kind === "private") !== (update.user !== "")) return "user";
  if (update.type === "items") {
    if (channel.kind === "trade" || channel.kind === "aggTrade") return tradesFault(update.data as readonly Trade[]);
  }
  return null;
}

function tradesFault(trades: readonly (Trade | AggTrade)[]): string | null {
  for (const trade of trades) {
    if (!isDecimal(trade.price) || !isDecimal(trade.quantity)) return "trade number";
    if (!isTime(trade.time)) return "time";
    if (trade.side !== "buy" && trade.side !== "sell") return "side";
  }
  return null;
}
