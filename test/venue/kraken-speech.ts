/** Kraken's v2 as the test server speaks it. There is no recording of it: a v1 script is translated, checksums and all. */
import type { PlainDepth } from "../lib/plain-book.ts";
import { readKrakenV1 } from "./kraken-v1-speech.ts";
import { type BookFrame, type Command, NOTHING, type Speech } from "./speech.ts";

type Level = readonly [price: string, quantity: string];

interface Said {
  readonly method?: string;
  readonly params?: { readonly channel?: string; readonly symbol?: readonly string[] };
  readonly req_id?: number;
}

export const krakenSpeech: Speech = {
  name: "kraken",
  window: 1000,
  greeting: '{"channel":"status","type":"update","data":[{"version":"2.0.0","system":"online","api_version":"v2"}]}',
  read(frame): BookFrame | null {
    // Numbers as they stand there.
    const message = JSON.parse(frame.replace(/"(price|qty)":([\d.]+)/g, '"$1":"$2"')) as {
      readonly channel?: string;
      readonly type?: string;
      readonly data?: readonly { symbol: string; bids?: Told[]; asks?: Told[] }[];
    };
    const [data] = message.data ?? [];
    if (message.channel !== "book" || data === undefined) return null;
    const levels = (told: readonly Told[] = []): Level[] => told.map(({ price, qty }) => [price, qty]);
    return {
      symbol: data.symbol,
      type: message.type === "snapshot" ? "snapshot" : "delta",
      bids: levels(data.bids),
      asks: levels(data.asks),
    };
  },
  snapshot: (symbol, depth) => bookFrame("snapshot", symbol, depth.bids, depth.asks, checksumOf(depth), null),
  command(text): Command {
    const { method, params = {}, req_id } = JSON.parse(text) as Said;
    if (method === "ping") return { ...NOTHING, replies: ['{"method":"pong"}'] };
    if (method !== "subscribe" && method !== "unsubscribe") return NOTHING;
    const { channel, symbol = [] } = params;
    const replies = symbol.map((one) =>
      JSON.stringify({ method, req_id, result: { channel, symbol: one }, success: true, time_in: "", time_out: "" }),
    );
    const books = channel === "book" ? symbol : [];
    return {
      replies,
      subscribe: method === "subscribe" ? books : [],
      unsubscribe: method === "subscribe" ? [] : books,
    };
  },
};

interface Told {
  readonly price: string;
  readonly qty: string;
}

function bookFrame(
  type: "snapshot" | "update",
  symbol: string,
  bids: readonly Level[],
  asks: readonly Level[],
  checksum: number,
  timestamp: string | null,
): string {
  const side = (levels: readonly Level[]) =>
    `[${levels.map(([price, qty]) => `{"price":${price},"qty":${qty}}`).join(",")}]`;
  const time = timestamp === null ? "" : `,"timestamp":"${timestamp}"`;
  const data = `"symbol":"${symbol}","bids":${side(bids)},"asks":${side(asks)},"checksum":${checksum}${time}`;
  return `{"channel":"book","type":"${type}","data":[{${data}}]}`;
}

export function checksumOf({ bids, asks }: PlainDepth): number {
  const digits = (text: string): string => text.replace(".", "").replace(/^0+/, "");
  const side = (levels: readonly Level[]): string =>
    levels
      .slice(0, 10)
      .map(([price, quantity]) => digits(price) + digits(quantity))
      .join("");
  return Bun.hash.crc32(side(asks) + side(bids));
}

/** v1 frames as v2 would have sent them: the checksum of an update is the same. */
export function translated(script: readonly string[]): string[] {
  return script.flatMap((frame) => {
    const change = readKrakenV1(frame);
    if (change === null) return [];
    const { symbol, type } = change;
    const [bids, asks] = [lastOfEach(change.bids), lastOfEach(change.asks)];
    if (type === "snapshot") return [bookFrame("snapshot", symbol, bids, asks, checksumOf({ bids, asks }), null)];
    const checksum = Number(/"c":"(\d+)"/.exec(frame)?.[1]);
    const newest = Math.max(...[...frame.matchAll(/"(\d{10}\.\d{6})"/g)].map((match) => Number(match[1])));
    const micros = String(Math.round(newest * 1e6) % 1e6).padStart(6, "0");
    const timestamp = `${new Date(Math.floor(newest) * 1000).toISOString().slice(0, 19)}.${micros}Z`;
    return [bookFrame("update", symbol, bids, asks, checksum, timestamp)];
  });
}

function lastOfEach(levels: readonly Level[]): [string, string][] {
  return [...new Map(levels)];
}
