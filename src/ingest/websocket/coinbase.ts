/**
 * Venue `coinbase`: Coinbase Exchange's feed, wss://ws-feed.exchange.coinbase.com.
 *
 * `level2_batch` is `level2` without an account: the same messages, at most one per product every 50 ms. The book has no
 * numbers, so only a new connection gives a snapshot whose place is certain. The heartbeat channel speaks once a second.
 * Rules: docs.cdp.coinbase.com/exchange/websocket-feed.
 */
import type { Link, Venue } from "./venue.ts";

export const coinbase: Venue = {
  name: "coinbase",
  market: "spot",
  mapper: "coinbase",
  provides: ["trade", "depth", "ticker", "miniTicker"],
  base: "wss://ws-feed.exchange.coinbase.com",
  rest: null,
  example: "BTC-USD",
  spell(typed) {
    const symbol = typed.toUpperCase().replaceAll(/[/_]/g, "-");
    return /^[A-Z0-9]{1,20}-[A-Z0-9]{1,20}$/.test(symbol) ? symbol : null;
  },
  links: (symbols): Link[] => [
    {
      name: "",
      path: "",
      hello: [
        JSON.stringify({
          type: "subscribe",
          product_ids: symbols,
          channels: ["level2_batch", "matches", "ticker", "heartbeat"],
        }),
      ],
      silenceMs: 10_000,
      ping: null,
      books: { by: "reconnect" },
      refusal: /"type":\s*"error"/,
    },
  ],
};
