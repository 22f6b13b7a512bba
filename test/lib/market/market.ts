/**
 * The market of one symbol as records of our canonical JSON: trades numbered 1, 2, 3, ..., and a book whose every state has
 * a version.
 *
 * Invariant: what record comes next depends on the seed alone, so that whoever verifies can make the same market again. The
 * version stands in the book itself, as the quantity of its lowest bid: a client's book says which state it should be.
 */
import { Random } from "../../../sim/random.ts";
import type { PlainDepth } from "../plain-book.ts";

export const VERSION_PRICE = "0.01";
/** A source whose records can be lost sends its whole book now and then; then it is exact again. */
const SNAPSHOT_EVERY = 25;
const LEVELS = 15;
const MIDDLE = 10_000;

type Side = Map<string, string>;

export class SymbolMarket {
  readonly symbol: string;
  /** Id of the last trade, version of the book: both from 1 on. */
  trades = 0;
  version = 0;
  readonly #random: Random;
  readonly #bids: Side = new Map();
  readonly #asks: Side = new Map();

  constructor(symbol: string, seed: number) {
    this.symbol = symbol;
    this.#random = new Random(seed);
  }

  /** The next record; `time` in ms. */
  next(time: number): string {
    return this.version === 0 || this.#random.chance(0.5) ? this.#depth(time) : this.#trade(time);
  }

  get depth(): PlainDepth {
    return { bids: [...this.#bids], asks: [...this.#asks] };
  }

  #trade(time: number): string {
    this.trades++;
    const side = this.#random.chance(0.5) ? "buy" : "sell";
    const price = String(MIDDLE + this.#random.below(9));
    const quantity = String(1 + this.#random.below(99));
    return JSON.stringify({ symbol: this.symbol, id: this.trades, price, quantity, side, time });
  }

  #depth(time: number): string {
    this.version++;
    const bids: [string, string][] = [[VERSION_PRICE, String(this.version)]];
    const asks: [string, string][] = [];
    for (let count = 1 + this.#random.below(4); count > 0; count--) {
      const distance = 1 + this.#random.below(LEVELS);
      const quantity = String(this.#random.below(5) * this.#random.below(1000));
      if (this.#random.chance(0.5)) bids.push([String(MIDDLE - distance), quantity]);
      else asks.push([String(MIDDLE + distance), quantity]);
    }
    set(this.#bids, bids);
    set(this.#asks, asks);
    const whole = this.version % SNAPSHOT_EVERY === 1;
    const levels = whole ? this.depth : { bids, asks };
    const chain = whole ? { seq: this.version } : { prev: this.version - 1, seq: this.version };
    return JSON.stringify({ symbol: this.symbol, type: whole ? "snapshot" : "delta", time, ...chain, ...levels });
  }
}

function set(side: Side, levels: readonly (readonly [string, string])[]): void {
  for (const [price, quantity] of levels) {
    if (quantity === "0") side.delete(price);
    else side.set(price, quantity);
  }
}

/** A number for a book, whatever the order of its levels. */
export function fingerprint({ bids, asks }: PlainDepth): number {
  let sum = 0;
  for (const [price, quantity] of bids) sum += Bun.hash.xxHash32(`b${price}=${quantity}`);
  for (const [price, quantity] of asks) sum += Bun.hash.xxHash32(`a${price}=${quantity}`);
  return sum;
}
