/** Kraken's v1 as the test server speaks it. */
import { type BookFrame, type Command, NOTHING, pairs, type Speech } from "./speech.ts";

interface Said {
  readonly event?: string;
  readonly pair?: readonly string[];
  readonly subscription?: { readonly name?: string; readonly depth?: number };
}

export const krakenV1Speech: Speech = {
  name: "kraken-v1",
  window: 1000,
  greeting: '{"connectionID":1,"event":"systemStatus","status":"online","version":"1.8.3"}',
  read: readKrakenV1,
  snapshot: (symbol, { bids, asks }) => {
    const timed = (levels: readonly (readonly [string, string])[]) => levels.map((level) => [...level, STAMP]);
    return JSON.stringify([1, { as: timed(asks), bs: timed(bids) }, "book-1000", symbol]);
  },
  command(text): Command {
    const { event, pair = [], subscription = {} } = JSON.parse(text) as Said;
    if (event === "ping") return { ...NOTHING, replies: ['{"event":"pong"}'] };
    if (event !== "subscribe" && event !== "unsubscribe") return NOTHING;
    const replies = pair.map((one) =>
      JSON.stringify({
        channelName: subscription.name === "book" ? `book-${subscription.depth}` : subscription.name,
        event: "subscriptionStatus",
        pair: one,
        status: `${event}d`,
        subscription,
      }),
    );
    const books = subscription.name === "book" ? pair : [];
    return {
      replies,
      subscribe: event === "subscribe" ? books : [],
      unsubscribe: event === "unsubscribe" ? books : [],
    };
  },
};

/** A snapshot's levels are older than any change behind it. */
const STAMP = "1618678000.000000";

export function readKrakenV1(frame: string): BookFrame | null {
  const parts: unknown = JSON.parse(frame);
  if (!Array.isArray(parts) || typeof parts.at(-2) !== "string" || !parts.at(-2).startsWith("book-")) return null;
  const dicts = parts.slice(1, -2) as Record<string, unknown>[];
  const isSnapshot = dicts.some((dict) => "as" in dict || "bs" in dict);
  return {
    symbol: parts.at(-1) as string,
    type: isSnapshot ? "snapshot" : "delta",
    asks: dicts.flatMap((dict) => pairs(dict.as ?? dict.a)),
    bids: dicts.flatMap((dict) => pairs(dict.bs ?? dict.b)),
  };
}
