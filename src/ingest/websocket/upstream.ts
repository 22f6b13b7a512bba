/**
 * An upstream as a person types it, `kraken:BTC/USD,ETH/USD`, and the sources it becomes.
 *
 * At the limit: what cannot be meant is refused in one line that says what to type.
 */
import { channelName, symbolOf } from "../../channel/name.ts";
import { GatewayError } from "../../lib/errors.ts";
import { nearest } from "../../lib/nearest.ts";
import type { Source } from "../source.ts";
import type { TlsOptions } from "./inbox.ts";
import { createWebSocket, type WebSocketOptions } from "./source.ts";
import type { Link, Venue } from "./venue.ts";
import { venueNamed, venueNames } from "./venues.ts";

export interface Upstream {
  readonly venue: Venue;
  /** As the venue spells them, each once. */
  readonly symbols: readonly string[];
}

const SYMBOLS_MAX = 200;

/** Throws GatewayError UPSTREAM. */
export function parseUpstream(text: string): Upstream {
  const colon = text.indexOf(":");
  const name = (colon < 0 ? text : text.slice(0, colon)).trim().toLowerCase();
  const venue = venueNamed(name);
  if (venue === null) {
    const close = nearest(name, venueNames);
    const hint = close === null ? `use one of ${venueNames.join(", ")}` : `did you mean ${close}?`;
    throw refuse(`there is no venue "${name}", ${hint}`);
  }
  const typed =
    colon < 0
      ? []
      : text
          .slice(colon + 1)
          .split(",")
          .map((part) => part.trim());
  const symbols = typed.filter((part) => part !== "").map((part) => spelled(venue, part));
  const unique = [...new Set(symbols)];
  if (unique.length === 0) throw refuse(`${name} needs symbols, for example ${name}:${venue.example}`);
  if (unique.length > SYMBOLS_MAX) throw refuse(`${name}: ${unique.length} symbols, at most ${SYMBOLS_MAX} can be had`);
  return { venue, symbols: unique };
}

function spelled(venue: Venue, typed: string): string {
  const symbol = venue.spell(typed);
  if (symbol === null) throw refuse(`"${typed}" is no symbol of ${venue.name}: write it like ${venue.example}`);
  return symbol;
}

const refuse = (message: string): GatewayError => new GatewayError("UPSTREAM", `upstream: ${message}`);

export interface UpstreamInput {
  /** The shard's name: `kraken`, `binance-usdm-market`. */
  readonly id: string;
  readonly link: Link;
  readonly source: Source;
}

export interface UpstreamOptions extends Pick<WebSocketOptions, "clock" | "random" | "log"> {
  readonly defaultMarket: string;
  /** Other addresses than the venue's own: a proxy, a test server. */
  readonly url?: string;
  readonly rest?: string;
  readonly tls?: TlsOptions;
  /** Hears of the connections and frames of each link, by its place. */
  readonly watchOf?: (at: number) => NonNullable<WebSocketOptions["watch"]>;
}

/** One source per connection that the venue needs. */
export function upstreamInputs(upstream: Upstream, options: UpstreamOptions): UpstreamInput[] {
  const { venue, symbols } = upstream;
  const { defaultMarket, url, rest, tls, watchOf, ...parts } = options;
  const symbolOfChannel = new Map(
    symbols.map((symbol) => [channelName(venue.market, symbolOf(symbol), "depth", defaultMarket), symbol]),
  );
  return venue.links(symbols).map((link, at) => {
    const id = link.name === "" ? venue.name : `${venue.name}-${link.name}`;
    const source = createWebSocket({
      ...parts,
      name: id,
      link,
      base: url ?? venue.base,
      rest: rest ?? venue.rest,
      symbolOf: symbolOfChannel,
      ...(tls === undefined ? {} : { tls }),
      ...(watchOf === undefined ? {} : { watch: watchOf(at) }),
    });
    return { id, link, source };
  });
}
