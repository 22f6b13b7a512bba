/** Coinbase Exchange as the test server speaks it. */
import { type BookFrame, type Command, NOTHING, pairs, type Speech } from "./speech.ts";

interface Said {
  readonly type?: string;
  readonly product_ids?: readonly string[];
  readonly channels?: readonly string[];
}

export const coinbaseSpeech: Speech = {
  name: "coinbase",
  window: Number.POSITIVE_INFINITY,
  read(frame): BookFrame | null {
    const message = JSON.parse(frame) as Record<string, unknown>;
    const symbol = String(message.product_id);
    if (message.type === "snapshot") {
      return { symbol, type: "snapshot", bids: pairs(message.bids), asks: pairs(message.asks) };
    }
    if (message.type !== "l2update") return null;
    const changes = message.changes as readonly [string, string, string][];
    const side = (name: string): [string, string][] =>
      changes.filter(([one]) => one === name).map(([, price, quantity]) => [price, quantity]);
    return { symbol, type: "delta", bids: side("buy"), asks: side("sell") };
  },
  snapshot: (symbol, { bids, asks }) => JSON.stringify({ type: "snapshot", product_id: symbol, asks, bids }),
  command(text): Command {
    const { type, product_ids = [], channels = [] } = JSON.parse(text) as Said;
    if (type !== "subscribe") return NOTHING;
    const reply = { type: "subscriptions", channels: channels.map((name) => ({ name, product_ids })) };
    const books = channels.includes("level2_batch") ? product_ids : [];
    return { replies: [JSON.stringify(reply)], subscribe: books, unsubscribe: [] };
  },
};
