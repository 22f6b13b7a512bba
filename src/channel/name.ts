/**
 * Channel names: `[<market>:]<symbol>@<stream>`, or a bare topic.
 *
 * Invariants: market and symbol are lower case, a stream is case-sensitive (`kline_1m` is a minute, `kline_1M` a month);
 * the canonical form has no prefix for the default market. At the limit: a name over NAME_LENGTH_MAX is no name.
 */

export const NAME_LENGTH_MAX = 128;

export interface ChannelName {
  /** '' for a bare topic. */
  readonly market: string;
  /** '' for a bare topic. */
  readonly symbol: string;
  /** The part after `@`, or the bare topic. */
  readonly stream: string;
}

const MARKET = /^[a-z0-9]+$/;
/** Lower-case or caseless letters (some exchanges list tokens with Chinese names) and digits. */
const SYMBOL = /^[\p{Ll}\p{Lo}\p{Nd}]+$/u;
const STREAM = /^[A-Za-z0-9_.-]+$/;

export const isMarket = (text: string): boolean => text.length <= NAME_LENGTH_MAX && MARKET.test(text);

export const isSymbol = (text: string): boolean => text.length <= NAME_LENGTH_MAX && SYMBOL.test(text);

/** A name taken apart; null if it is malformed. */
export function parseChannelName(name: string, defaultMarket: string): ChannelName | null {
  if (name.length > NAME_LENGTH_MAX) return null;
  const at = name.indexOf("@");
  if (at < 0) return STREAM.test(name) ? { market: "", symbol: "", stream: name } : null;
  const colon = name.lastIndexOf(":", at);
  const market = colon < 0 ? defaultMarket : name.slice(0, colon);
  const symbol = name.slice(colon + 1, at);
  const stream = name.slice(at + 1);
  return MARKET.test(market) && SYMBOL.test(symbol) && STREAM.test(stream) ? { market, symbol, stream } : null;
}

const ALL_MARKET = /^(?:([a-z0-9]+):)?(![A-Za-z0-9_@]+)$/;

/** The name of an all-market channel taken apart, `[<market>:]!ticker@arr`; null if it is none. */
export function parseAllMarketName(name: string, defaultMarket: string): { market: string; stream: string } | null {
  const parts = name.length > NAME_LENGTH_MAX ? null : ALL_MARKET.exec(name);
  return parts === null ? null : { market: parts[1] ?? defaultMarket, stream: parts[2] as string };
}

export function allMarketName(market: string, stream: string, defaultMarket: string): string {
  return market === defaultMarket ? stream : `${market}:${stream}`;
}

/** The canonical name; a bare topic has an empty symbol. */
export function channelName(market: string, symbol: string, stream: string, defaultMarket: string): string {
  if (symbol === "") return stream;
  return market === defaultMarket ? `${symbol}@${stream}` : `${market}:${symbol}@${stream}`;
}

/** The symbol of a source's spelling: lower case, letters and digits only (`BTC-USD-220527` -> `btcusd220527`). */
export const symbolOf = (spelling: string): string => spelling.toLowerCase().replace(/[^\p{L}\p{Nd}]/gu, "");
