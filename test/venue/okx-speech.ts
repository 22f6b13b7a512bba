/** OKX as the test server speaks it: as it was recorded, with checksums, or as it is since 2026, with sequence ids. */
import type { PlainDepth } from "../lib/plain-book.ts";
import { type BookFrame, type Command, NOTHING, pairs, type Speech } from "./speech.ts";

interface Topic {
  readonly channel: string;
  readonly instId: string;
}
interface Told {
  readonly arg: Topic;
  readonly action?: string;
  readonly data?: readonly { readonly bids: unknown; readonly asks: unknown; readonly ts: string }[];
}

export const okxSpeech = (numbered: boolean): Speech => ({
  name: "okx",
  window: 400,
  read(frame): BookFrame | null {
    const { arg, action, data } = JSON.parse(frame) as Told;
    const [book] = data ?? [];
    if (arg.channel !== "books" || book === undefined) return null;
    const type = action === "snapshot" ? "snapshot" : "delta";
    return { symbol: arg.instId, type, bids: pairs(book.bids), asks: pairs(book.asks) };
  },
  ...(numbered ? { dress } : {}),
  snapshot(instId, depth, last) {
    const side = (levels: PlainDepth["bids"]) => levels.map((level) => [...level, "0", "1"]);
    const numbers = numbered ? { checksum: 0, seqId: last, prevSeqId: -1 } : { checksum: okxChecksumOf(depth) };
    const data = [{ asks: side(depth.asks), bids: side(depth.bids), ts: "1652459220000", ...numbers }];
    return JSON.stringify({ arg: { channel: "books", instId }, action: "snapshot", data });
  },
  command(text): Command {
    if (text === "ping") return { ...NOTHING, replies: ["pong"] };
    const { op, args = [] } = JSON.parse(text) as { readonly op?: string; readonly args?: readonly Topic[] };
    const books = args.filter(({ channel }) => channel === "books").map(({ instId }) => instId);
    return {
      replies: args.map((arg) => JSON.stringify({ event: op, arg })),
      subscribe: op === "subscribe" ? books : [],
      unsubscribe: op === "unsubscribe" ? books : [],
    };
  },
});

function dress(frame: string, { type }: BookFrame, last: number): string {
  const prev = type === "snapshot" ? -1 : last;
  return frame.replace(/"checksum":-?\d+/, `"checksum":0,"seqId":${last + 1},"prevSeqId":${prev}`);
}

export function okxChecksumOf({ bids, asks }: PlainDepth): number {
  const parts: string[] = [];
  for (let i = 0; i < 25; i++) parts.push(...(bids[i] ?? []), ...(asks[i] ?? []));
  return Bun.hash.crc32(parts.join(":")) | 0;
}
