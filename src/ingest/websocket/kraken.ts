/** Venue `kraken`: Kraken's WebSocket API v2, wss://ws.kraken.com/v2. Rules: docs.kraken.com/api/docs/websocket-v2. */
import { KRAKEN_DEPTH, KRAKEN_SILENCE_MS, spellKraken } from "./kraken-v1.ts";
import type { Link, Venue } from "./venue.ts";

const say = (method: string, symbol: readonly string[], params: object): string =>
  JSON.stringify({ method, params: { ...params, symbol } });

const BOOK = { channel: "book", depth: KRAKEN_DEPTH };

export const kraken: Venue = {
  name: "kraken",
  market: "spot",
  mapper: "kraken_v2",
  provides: ["trade", "depth"],
  window: KRAKEN_DEPTH,
  base: "wss://ws.kraken.com",
  rest: null,
  example: "BTC/USD",
  spell: spellKraken,
  links: (symbols): Link[] => [
    {
      name: "",
      path: "/v2",
      hello: [
        say("subscribe", symbols, { ...BOOK, snapshot: true }),
        say("subscribe", symbols, { channel: "trade", snapshot: false }),
      ],
      silenceMs: KRAKEN_SILENCE_MS,
      ping: '{"method":"ping"}',
      books: {
        by: "frames",
        ask: (symbol) => [say("unsubscribe", [symbol], BOOK), say("subscribe", [symbol], { ...BOOK, snapshot: true })],
      },
      refusal: /"success":\s*false/,
    },
  ],
};
