/** Venue `okx`: OKX's public WebSocket v5. It closes a connection that was quiet for 30 s, unless it is pinged. */
import type { Link, Venue } from "./venue.ts";

const CHANNELS = ["books", "trades", "tickers"] as const;
/** OKX takes 64 KiB a frame; a hundred topics are about 5. */
const TOPICS_MAX = 100;

type Topic = { readonly channel: string; readonly instId: string };
const say = (op: string, args: readonly Topic[]): string => JSON.stringify({ op, args });

function hello(symbols: readonly string[]): string[] {
  const topics = CHANNELS.flatMap((channel) => symbols.map((instId): Topic => ({ channel, instId })));
  const frames: string[] = [];
  for (let i = 0; i < topics.length; i += TOPICS_MAX) frames.push(say("subscribe", topics.slice(i, i + TOPICS_MAX)));
  return frames;
}

export const okx: Venue = {
  name: "okx",
  market: "spot",
  mapper: "okx",
  provides: ["trade", "depth", "ticker", "miniTicker"],
  base: "wss://ws.okx.com:8443",
  rest: null,
  example: "BTC-USDT",
  spell(typed) {
    const symbol = typed.toUpperCase().replaceAll(/[/_]/g, "-");
    return /^[A-Z0-9]+-[A-Z0-9]+(-[A-Z0-9]+)*$/.test(symbol) ? symbol : null;
  },
  links: (symbols): Link[] => [
    {
      name: "",
      path: "/ws/v5/public",
      hello: hello(symbols),
      silenceMs: 30_000,
      ping: "ping",
      pong: "pong",
      books: {
        by: "frames",
        ask: (instId) => ["unsubscribe", "subscribe"].map((op) => say(op, [{ channel: "books", instId }])),
      },
      refusal: /"event":\s*"error"/,
    },
  ],
};
