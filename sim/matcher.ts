/**
 * Matching engine of one symbol: price-time priority over the order book, settled in a ledger.
 *
 * Rules: a taker trades at the resting order's price, best price first, within a price oldest first. Self-trade: the
 * resting order of the same account is cancelled and the taker goes on. An order is checked and its worst cost held back
 * before it touches the book; a rejected one changes nothing.
 * Invariants: the book is never crossed between two calls; every order ends FILLED, CANCELED or REJECTED.
 */
import type { Side, Trade } from "../src/channel/types.ts";
import { OrderBook } from "./book.ts";
import type { Settlement } from "./ledger.ts";
import type { Account, CancelReason, Fill, Order, OrderType, RejectReason } from "./orders.ts";
import { FILLS_MAX, OPEN_ORDERS_MAX, remainingOf } from "./orders.ts";
import type { SymbolSpec } from "./symbols.ts";

/** Told about every change of an order of an outside account. */
export interface OrderListener {
  changed(order: Order, fill: Fill | null, reason: CancelReason | null, time: number): void;
}

/** Numbers orders; one for the whole exchange. */
export interface OrderIds {
  next: number;
}

export interface PlaceOptions {
  readonly clientId?: string;
  readonly reduceOnly?: boolean;
}

export class Matcher {
  readonly spec: SymbolSpec;
  readonly book = new OrderBook();
  readonly #settlement: Settlement;
  readonly #listener: OrderListener;
  readonly #ids: OrderIds;
  #nextTrade: number;
  #trades: Trade[] = [];

  /** Trades are numbered from `firstTrade`, per symbol. */
  constructor(spec: SymbolSpec, settlement: Settlement, listener: OrderListener, ids: OrderIds, firstTrade: number) {
    this.spec = spec;
    this.#settlement = settlement;
    this.#listener = listener;
    this.#ids = ids;
    this.#nextTrade = firstTrade;
  }

  /** `price` in ticks (0 for a market order), `lots`; `time` in ms. Never throws: a bad order comes back REJECTED. */
  place(
    account: Account,
    side: Side,
    type: OrderType,
    price: number,
    lots: number,
    time: number,
    options?: PlaceOptions,
  ): Order {
    const order: Order = {
      id: this.#ids.next++,
      spec: this.spec,
      clientId: options?.clientId ?? "",
      account,
      side,
      type,
      reduceOnly: options?.reduceOnly ?? false,
      price,
      lots,
      time: Math.floor(time),
      status: "NEW",
      reject: null,
      filledLots: 0,
      filledNotional: 0,
      reserved: 0,
      level: null,
      before: null,
      after: null,
    };
    order.reject = this.#refusal(order);
    if (order.reject !== null) {
      order.status = "REJECTED";
      if (account.watched) this.#listener.changed(order, null, null, time);
      return order;
    }
    if (account.watched) this.#listener.changed(order, null, null, time);
    this.#match(order, time);
    if (order.filledLots === order.lots) this.#settlement.release(order);
    else if (type === "limit" || type === "limitMaker") this.#rest(order);
    else this.#finish(order, "IMMEDIATE", time);
    return order;
  }

  /** False if it no longer rests. */
  cancel(order: Order, time: number, reason: CancelReason = "USER"): boolean {
    if (order.level === null) return false;
    this.book.sideOf(order.side).remove(order);
    this.#finish(order, reason, time);
    return true;
  }

  /** Numbers and writes a trade; also for history, which is not matched. */
  writeTrade(price: number, lots: number, side: Side, time: number): Trade {
    const t = this.#nextTrade++;
    return {
      id: String(t),
      t,
      price: this.spec.prices.format(price),
      quantity: this.spec.quantities.format(lots),
      side,
      time: Math.floor(time),
    };
  }

  /** The trades since the last call, in order. */
  takeTrades(): readonly Trade[] {
    const trades = this.#trades;
    if (trades.length > 0) this.#trades = [];
    return trades;
  }

  #refusal(order: Order): RejectReason | null {
    const market = order.type === "market";
    if (market ? order.price !== 0 : !Number.isSafeInteger(order.price) || order.price <= 0) return "BAD_PRICE";
    if (!Number.isSafeInteger(order.lots) || order.lots <= 0) return "BAD_QUANTITY";
    const unit = this.spec.quoteUnits;
    if (!Number.isSafeInteger(order.price * order.lots * unit)) return "BAD_QUANTITY";
    if (order.reduceOnly && order.type !== "market" && order.type !== "ioc") return "REDUCE_ONLY";
    if (order.account.open.size >= OPEN_ORDERS_MAX) return "TOO_MANY_ORDERS";
    if (order.type === "limitMaker" && this.#crosses(order)) return "WOULD_MATCH";
    const cost = (market ? this.#costOf(order) : order.price * order.lots) * unit;
    if (!Number.isSafeInteger(cost)) return "BAD_QUANTITY";
    if (this.#settlement.reserve(order, cost)) return null;
    return order.reduceOnly ? "REDUCE_ONLY" : "INSUFFICIENT_BALANCE";
  }

  #crosses(order: Order): boolean {
    const best = this.book.against(order.side).best;
    return best !== null && reaches(order, best.price);
  }

  /** What a market order will cost in ticks x lots, its own resting orders left out. */
  #costOf(order: Order): number {
    const side = this.book.against(order.side);
    let cost = 0;
    let left = order.lots;
    for (let n = 0; left > 0; n++) {
      const level = side.at(n);
      if (level === null) break;
      for (let maker = level.first; maker !== null && left > 0; maker = maker.after) {
        if (maker.account === order.account) continue;
        const lots = Math.min(left, remainingOf(maker));
        cost += lots * level.price;
        left -= lots;
      }
    }
    return cost;
  }

  #match(taker: Order, time: number): void {
    const side = this.book.against(taker.side);
    while (taker.filledLots < taker.lots) {
      const level = side.best;
      if (level === null || !reaches(taker, level.price)) return;
      const maker = level.first!;
      if (maker.account === taker.account) this.cancel(maker, time, "SELF_TRADE");
      else this.#fill(taker, maker, level.price, time);
    }
  }

  #fill(taker: Order, maker: Order, price: number, time: number): void {
    const lots = Math.min(remainingOf(taker), remainingOf(maker));
    const side = this.book.sideOf(maker.side);
    this.#settlement.settle(taker, maker, price, lots);
    side.reduce(maker.level!, lots);
    execute(taker, price, lots);
    execute(maker, price, lots);
    if (maker.status === "FILLED") {
      side.remove(maker);
      maker.account.open.delete(maker.id);
      this.#settlement.release(maker);
    }
    const trade = this.writeTrade(price, lots, taker.side, time);
    this.#trades.push(trade);
    if (maker.account.watched) this.#tell(maker, trade, true, time);
    if (taker.account.watched) this.#tell(taker, trade, false, time);
  }

  #tell(order: Order, trade: Trade, maker: boolean, time: number): void {
    const fill: Fill = {
      tradeId: trade.t,
      orderId: order.id,
      symbol: this.spec.symbol,
      side: order.side,
      price: trade.price,
      quantity: trade.quantity,
      maker,
      time: trade.time,
    };
    const { fills } = order.account;
    if (fills.length === FILLS_MAX) fills.shift();
    fills.push(fill);
    this.#listener.changed(order, fill, null, time);
  }

  #rest(order: Order): void {
    this.book.sideOf(order.side).add(order);
    order.account.open.set(order.id, order);
  }

  #finish(order: Order, reason: CancelReason, time: number): void {
    order.status = "CANCELED";
    order.account.open.delete(order.id);
    this.#settlement.release(order);
    if (order.account.watched) this.#listener.changed(order, null, reason, time);
  }
}

const reaches = (order: Order, price: number): boolean =>
  order.type === "market" || (order.side === "buy" ? order.price >= price : order.price <= price);

function execute(order: Order, price: number, lots: number): void {
  order.filledLots += lots;
  order.filledNotional += price * lots;
  order.status = order.filledLots === order.lots ? "FILLED" : "PARTIALLY_FILLED";
}
