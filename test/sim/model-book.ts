/**
 * A book as plain as it can be, for the world's venues and clients: it shares no code with the gateway's.
 *
 * Invariant: a price is a level however it is spelled (prices here are short, so numbers tell them apart).
 */
import type { Depth, Level } from "../../src/channel/types.ts";

export class ModelBook {
  readonly #bids = new Map<number, Level>();
  readonly #asks = new Map<number, Level>();

  get bids(): Level[] {
    return [...this.#bids.values()].sort((a, b) => Number(b[0]) - Number(a[0]));
  }

  get asks(): Level[] {
    return [...this.#asks.values()].sort((a, b) => Number(a[0]) - Number(b[0]));
  }

  apply(delta: Depth): void {
    set(this.#bids, delta.bids);
    set(this.#asks, delta.asks);
  }

  replace(depth: Depth): void {
    this.#bids.clear();
    this.#asks.clear();
    this.apply(depth);
  }

  /** Keeps the best `n` levels of each side; 0 keeps all. */
  truncate(n: number): void {
    if (n === 0) return;
    for (const level of this.bids.slice(n)) this.#bids.delete(Number(level[0]));
    for (const level of this.asks.slice(n)) this.#asks.delete(Number(level[0]));
  }

  depth(): Depth {
    return { bids: this.bids, asks: this.asks };
  }

  text(levels = Number.POSITIVE_INFINITY): string {
    return depthText({ bids: this.bids.slice(0, levels), asks: this.asks.slice(0, levels) });
  }
}

function set(side: Map<number, Level>, levels: readonly Level[]): void {
  for (const level of levels) {
    if (Number(level[1]) === 0) side.delete(Number(level[0]));
    else side.set(Number(level[0]), level);
  }
}

export const depthText = ({ bids, asks }: Depth): string =>
  `${bids.map((level) => level.join("x")).join(" ")} | ${asks.map((level) => level.join("x")).join(" ")}`;

/** The checksum that the world's venues send with their books. */
export function checksum(depth: Depth): number {
  let hash = 0x811c9dc5;
  for (const char of depthText(depth)) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193) >>> 0;
  return hash;
}
