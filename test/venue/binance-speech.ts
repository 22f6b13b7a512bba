/** Binance, spot and USD-M, as the test server speaks it: streams by path, deltas on the socket, books by REST. */
import type { PlainDepth } from "../lib/plain-book.ts";
import { type BookFrame, type Command, NOTHING, pairs, type Speech } from "./speech.ts";

interface Told {
  readonly stream?: string;
  readonly data?: { e?: string; s: string; U: number; u: number; pu?: number; b: unknown; a: unknown };
}

export const binanceSpeech: Speech = {
  name: "binance",
  window: Number.POSITIVE_INFINITY,
  read(frame): BookFrame | null {
    const { data } = JSON.parse(frame) as Told;
    if (data?.e !== "depthUpdate") return null;
    return { symbol: data.s, type: "delta", bids: pairs(data.b), asks: pairs(data.a), last: data.u };
  },
  snapshot: () => null,
  command(text): Command {
    const { method, id } = JSON.parse(text) as { readonly method?: string; readonly id?: number };
    if (method === "LIST_SUBSCRIPTIONS") return { ...NOTHING, replies: [JSON.stringify({ result: [], id })] };
    return NOTHING;
  },
  pathBooks: (path) =>
    streamsOf(path).flatMap((stream) => /^(\w+)@depth@100ms$/.exec(stream)?.[1]?.toUpperCase() ?? []),
  carries: (path, frame) => streamsOf(path).includes((JSON.parse(frame) as Told).stream ?? ""),
  rest(path, depthOf) {
    const match = /^\/(?:api\/v3|fapi\/v1)\/depth\?symbol=(\w+)&limit=(\d+)$/.exec(path);
    const book = match === null ? null : depthOf(match[1]!);
    if (match === null || book === null) return null;
    const limit = Number(match[2]);
    const { bids, asks } = book.depth;
    return JSON.stringify({ lastUpdateId: book.last, bids: bids.slice(0, limit), asks: asks.slice(0, limit) });
  },
};

const streamsOf = (path: string): string[] => (/[?&]streams=([^&]*)/.exec(path)?.[1] ?? "").split("/");

/**
 * Books as they may have been before a recording without snapshots began: every price the script mentions first, at a
 * quantity of its own, and some levels that it never touches.
 */
export function booksBefore(script: readonly string[]): Map<string, { depth: PlainDepth; last: number }> {
  const books = new Map<string, { depth: PlainDepth; last: number }>();
  for (const frame of script) {
    const { data } = JSON.parse(frame) as Told;
    if (data?.e !== "depthUpdate" || books.has(data.s)) continue;
    const bids = pairs(data.b).map(([price]): [string, string] => [price, "7.5"]);
    const asks = pairs(data.a).map(([price]): [string, string] => [price, "7.25"]);
    books.set(data.s, {
      depth: { bids: [...bids, ["0.00000001", "1000000"]], asks: [...asks, ["99999999", "0.5"]] },
      last: data.pu ?? data.U - 1,
    });
  }
  return books;
}
