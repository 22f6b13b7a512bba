/** Tick and lot of learned instruments, inferred from the decimals of what passes: cheap, because they only ever grow. */
import { significantDecimals } from "../channel/decimal.ts";
import type { Instrument } from "../channel/instruments.ts";
import type { Body, Depth, Trade } from "../channel/types.ts";

/** Levels looked at on each side: the best of a snapshot, the first of a delta. */
const LEVELS = 5;

export type DecimalsSink = (market: string, symbol: string, price: number, quantity: number) => void;

export class DecimalsSeen {
  readonly #tell: DecimalsSink;
  readonly #seen = new Map<Instrument, { price: number; quantity: number }>();

  constructor(tell: DecimalsSink) {
    this.#tell = tell;
  }

  look(instrument: Instrument, body: Body): void {
    let price = 0;
    let quantity = 0;
    const see = (priceText: string, quantityText: string): void => {
      price = Math.max(price, significantDecimals(priceText));
      quantity = Math.max(quantity, significantDecimals(quantityText));
    };
    if (body.type === "snapshot" || body.type === "delta") firstLevels(body.data, see);
    else if (body.type === "items") for (const trade of body.data as readonly Trade[]) see(trade.price, trade.quantity);
    this.#grow(instrument, price, quantity);
  }

  #grow(instrument: Instrument, price: number, quantity: number): void {
    let seen = this.#seen.get(instrument);
    if (seen === undefined) {
      seen = { price: 0, quantity: 0 };
      this.#seen.set(instrument, seen);
    }
    if (price <= seen.price && quantity <= seen.quantity) return;
    seen.price = Math.max(price, seen.price);
    seen.quantity = Math.max(quantity, seen.quantity);
    this.#tell(instrument.market, instrument.symbol, seen.price, seen.quantity);
  }
}

function firstLevels(depth: Depth, see: (price: string, quantity: string) => void): void {
  for (const side of [depth.bids, depth.asks]) {
    for (let i = 0; i < side.length && i < LEVELS; i++) see(side[i]![0], side[i]![1]);
  }
}
