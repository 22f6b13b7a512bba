/**
 * Kraken's book checksum: CRC32 (IEEE) over the best 10 asks, then the best 10 bids, best first; of each level the price
 * and then the quantity as Kraken sent them, without the point and without leading zeros. Unsigned.
 *
 * Runs once per book update, so it feeds the characters straight into the CRC: on 20 levels that takes 0.85 us, filling
 * a buffer for Bun.hash.crc32 1.0-1.2 us, joining trimmed strings for it 4-6 us.
 */
import type { Book } from "../../channel/book.ts";

const LEVELS = 10;
const POINT = 46;
const ZERO = 48;

const TABLE = Int32Array.from({ length: 256 }, (_, index) => {
  let crc = index;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

export function bookChecksum(book: Pick<Book, "askAt" | "bidAt">): number {
  let crc = -1;
  for (let i = 0; i < LEVELS; i++) {
    const level = book.askAt(i);
    if (level === null) break;
    crc = digitsOf(level[1], digitsOf(level[0], crc));
  }
  for (let i = 0; i < LEVELS; i++) {
    const level = book.bidAt(i);
    if (level === null) break;
    crc = digitsOf(level[1], digitsOf(level[0], crc));
  }
  return ~crc >>> 0;
}

function digitsOf(decimal: string, start: number): number {
  let crc = start;
  let i = 0;
  while (i < decimal.length && isLeading(decimal.charCodeAt(i))) i++;
  for (; i < decimal.length; i++) {
    const char = decimal.charCodeAt(i);
    if (char !== POINT) crc = TABLE[(crc ^ char) & 255]! ^ (crc >>> 8);
  }
  return crc;
}

const isLeading = (char: number): boolean => char === ZERO || char === POINT;
