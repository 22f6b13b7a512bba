import { expect, test } from "bun:test";
import type { Level } from "../../channel/types.ts";
import { bookChecksum } from "./kraken-checksum.ts";

const ASKS: Level[] = [
  ["45285.2", "0.00100000"],
  ["45286.4", "1.54571953"],
  ["45286.6", "1.54571109"],
  ["45289.6", "1.54560911"],
  ["45290.2", "0.15890660"],
  ["45291.8", "1.54553491"],
  ["45294.7", "0.04454749"],
  ["45296.1", "0.35380000"],
  ["45297.5", "0.09945542"],
  ["45299.5", "0.18772827"],
  ["45300.0", "1.00000000"],
];
const BIDS: Level[] = [
  ["45283.5", "0.10000000"],
  ["45283.4", "1.54582015"],
  ["45282.1", "0.10000000"],
  ["45281.0", "0.10000000"],
  ["45280.3", "1.54592586"],
  ["45279.0", "0.07990000"],
  ["45277.6", "0.03310103"],
  ["45277.5", "0.30000000"],
  ["45277.3", "1.54602737"],
  ["45276.6", "0.15445238"],
  ["45276.0", "2.00000000"],
];
const bookOf = (bids: Level[], asks: Level[]) => ({
  bidAt: (i: number) => bids[i] ?? null,
  askAt: (i: number) => asks[i] ?? null,
});

test("kraken checksum - Kraken's published vector, over the best ten of each side", () => {
  expect(bookChecksum(bookOf(BIDS, ASKS))).toBe(3310070434);
});

test("kraken checksum - is CRC32 of the digits without points and leading zeros", () => {
  const plain = (levels: Level[]): string =>
    levels.map((level) => level.map((text) => text.replace(".", "").replace(/^0+/, "")).join("")).join("");
  for (const [bids, asks] of [
    [[], []],
    [[["0.000022900", "13355.87450757"]], []],
    [[], [["0.05", "0.00000001"]]],
    [BIDS.slice(0, 3), ASKS.slice(0, 1)],
    [[["100", "10"]], [["0", "0.0"]]],
  ] as [Level[], Level[]][]) {
    expect(bookChecksum(bookOf(bids, asks))).toBe(Bun.hash.crc32(plain(asks) + plain(bids)));
  }
});
