/**
 * The trading floor of one symbol: its matcher, its fair price and the agents that trade there.
 *
 * The agents of a floor are one desk: when one of them cannot pay, the desk nets out and the order is tried once more.
 */
import type { Liquidation, Side } from "../src/channel/types.ts";
import type { FairPrice } from "./fair.ts";
import type { Ledger } from "./ledger.ts";
import type { Matcher } from "./matcher.ts";
import type { Account, Order, OrderType } from "./orders.ts";
import type { SymbolSpec } from "./symbols.ts";

export class Floor {
  /** Its place among the symbols of the exchange. */
  readonly index: number;
  readonly spec: SymbolSpec;
  readonly matcher: Matcher;
  readonly fair: FairPrice;
  /** The agents' accounts. */
  readonly desk: readonly Account[];
  /** Liquidations not published yet. */
  liquidations: Liquidation[] = [];
  /** Times the desk netted out. */
  nettings = 0;
  readonly #ledger: Ledger;

  constructor(index: number, matcher: Matcher, fair: FairPrice, desk: readonly Account[], ledger: Ledger) {
    this.index = index;
    this.spec = matcher.spec;
    this.matcher = matcher;
    this.fair = fair;
    this.desk = desk;
    this.#ledger = ledger;
  }

  /** What agents think the symbol is worth, in ticks, fractional: on usdm the index and a premium. */
  fairTicks(time: number): number {
    const premium = this.spec.market === "usdm" ? this.fair.premiumAt(time) : 0;
    return (this.fair.at(time) * (1 + premium)) / this.spec.tickSize;
  }

  /** Lots worth about `value` quote at a price in ticks; at least one. */
  lotsFor(value: number, price: number): number {
    return Math.max(1, Math.round(value / (price * this.spec.tickSize * this.spec.lotSize)));
  }

  /** An agent's order. */
  place(account: Account, side: Side, type: OrderType, price: number, lots: number, time: number): Order {
    const order = this.matcher.place(account, side, type, price, lots, time);
    if (order.reject !== "INSUFFICIENT_BALANCE" || !this.desk.includes(account)) return order;
    this.nettings++;
    this.#ledger.netOut(this.index, this.desk);
    return this.matcher.place(account, side, type, price, lots, time);
  }
}
