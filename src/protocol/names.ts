/**
 * Channel names as clients write them, in their canonical spelling.
 *
 * Invariants: purely syntactic; whether a name is known is the catalog's to say.
 */
import { channelName, parseChannelName } from "../channel/name.ts";

/** The market whose channels carry no prefix. */
export const DEFAULT_MARKET = "spot";

/** The canonical name of what a client wrote, null if it is malformed. */
export function canonicalName(asked: string): string | null {
  const parsed = parseChannelName(asked, DEFAULT_MARKET);
  return parsed === null ? null : nameOf(parsed.market, parsed.symbol, parsed.stream);
}

export function nameOf(market: string, symbol: string, stream: string): string {
  return channelName(market, symbol, stream, DEFAULT_MARKET);
}
