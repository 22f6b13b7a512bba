/**
 * OKX's book checksum: CRC32 as a signed number over `bid:quantity:ask:quantity:..`, the best 25 of each side in turns; the
 * longer side goes on alone. Since 2026 the wire says 0, which means that there is none.
 */
import type { Book } from "../../channel/book.ts";

const LEVELS = 25;

export function okxChecksum(book: Pick<Book, "askAt" | "bidAt">): number {
  const parts: string[] = [];
  for (let i = 0; i < LEVELS; i++) {
    const [bid, ask] = [book.bidAt(i), book.askAt(i)];
    if (bid !== null) parts.push(bid[0], bid[1]);
    if (ask !== null) parts.push(ask[0], ask[1]);
  }
  return Bun.hash.crc32(parts.join(":")) | 0;
}
