/**
 * A book as the simplest client keeps it: a map of price to quantity per side, sorted when somebody looks.
 *
 * Shares no code with the gateway's own book on purpose: tests compare the two.
 */
export type PlainLevel = [price: string, quantity: string];

export interface PlainDepth {
  readonly bids: PlainLevel[];
  readonly asks: PlainLevel[];
}

export class PlainBook {
  readonly #bids = new Map<string, string>();
  readonly #asks = new Map<string, string>();

  clear(): void {
    this.#bids.clear();
    this.#asks.clear();
  }

  /** Sets levels; a quantity of zero removes one. */
  apply(bids: readonly (readonly string[])[], asks: readonly (readonly string[])[]): void {
    set(this.#bids, bids);
    set(this.#asks, asks);
  }

  /** Drops what lies beyond the best `levels` of each side. */
  truncate(levels: number): void {
    if (this.#bids.size > levels) for (const [price] of this.bids().slice(levels)) this.#bids.delete(price);
    if (this.#asks.size > levels) for (const [price] of this.asks().slice(levels)) this.#asks.delete(price);
  }

  bids(): PlainLevel[] {
    return [...this.#bids].sort(([a], [b]) => Number(b) - Number(a));
  }

  asks(): PlainLevel[] {
    return [...this.#asks].sort(([a], [b]) => Number(a) - Number(b));
  }

  /** Best first, at most `levels` of each side. */
  depth(levels = Number.POSITIVE_INFINITY): PlainDepth {
    return { bids: this.bids().slice(0, levels), asks: this.asks().slice(0, levels) };
  }
}

function set(side: Map<string, string>, levels: readonly (readonly string[])[]): void {
  for (const [price, quantity] of levels) {
    if (price === undefined || quantity === undefined) throw new Error("a level has a price and a quantity");
    if (Number(quantity) === 0) side.delete(price);
    else side.set(price, quantity);
  }
}
