/**
 * Venue `kraken-v1`: Kraken's WebSocket API v1, wss://ws.kraken.com. Its names are Kraken's own: `XBT/USD`.
 * Rules: docs.kraken.com/api/docs/websocket-v1.
 */
import type { Link, Venue } from "./venue.ts";

export const KRAKEN_DEPTH = 1000;
/** Kraken sends a heartbeat every second when nothing else is to be said. */
export const KRAKEN_SILENCE_MS = 10_000;

const BOOK = { name: "book", depth: KRAKEN_DEPTH };
const say = (event: string, pair: readonly string[], subscription: object): string =>
  JSON.stringify({ event, pair, subscription });

export const krakenV1: Venue = {
  name: "kraken-v1",
  market: "spot",
  mapper: "kraken_v1",
  provides: ["trade", "depth"],
  base: "wss://ws.kraken.com",
  rest: null,
  example: "XBT/USD",
  spell: spellKraken,
  links: (symbols): Link[] => [
    {
      name: "",
      path: "",
      hello: [say("subscribe", symbols, BOOK), say("subscribe", symbols, { name: "trade" })],
      silenceMs: KRAKEN_SILENCE_MS,
      ping: '{"event":"ping"}',
      books: {
        by: "frames",
        ask: (symbol) => [say("unsubscribe", [symbol], BOOK), say("subscribe", [symbol], BOOK)],
      },
      refusal: /^\{.*"(errorMessage|event":"error)"/,
    },
  ],
};

/** `btc-usd` -> `BTC/USD`. */
export function spellKraken(typed: string): string | null {
  const symbol = typed.toUpperCase().replace(/[-_]/, "/");
  return /^[A-Z0-9.]{1,20}\/[A-Z0-9.]{1,20}$/.test(symbol) ? symbol : null;
}
