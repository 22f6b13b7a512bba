/**
 * Channel names as clients write them: whether one could be a name at all, and its canonical spelling.
 *
 * Invariants: purely syntactic; whether a well-formed name is known is the catalog's to say.
 * At the limit: a name of more than NAME_LENGTH_MAX characters is malformed.
 */

export const NAME_LENGTH_MAX = 128;

/** Its channels carry no prefix. */
const DEFAULT_MARKET = "spot";
const DEFAULT_PREFIX = `${DEFAULT_MARKET}:`;

/** `[<market>:]<symbol>@<stream>` or a bare topic: no white space, control character, quote, backslash or empty part. */
const NAME = /^(?:[a-z0-9]+:)?[^\s\p{C}"\\@:]+(?:@[^\s\p{C}"\\@:]+)?$/u;

export function isWellFormed(name: string): boolean {
  return name.length <= NAME_LENGTH_MAX && NAME.test(name);
}

/** The canonical name: without the prefix of the default market. */
export function channelOf(name: string): string {
  return name.startsWith(DEFAULT_PREFIX) ? name.slice(DEFAULT_PREFIX.length) : name;
}

/** The canonical name of a symbol's stream in a market. */
export function channelName(market: string, symbol: string, stream: string): string {
  return market === DEFAULT_MARKET ? `${symbol}@${stream}` : `${market}:${symbol}@${stream}`;
}
