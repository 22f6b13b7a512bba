/**
 * What outsiders see of trading: requests in, order views, account snapshots and private events out. Decimals are strings.
 */
import type { Side } from "../src/channel/types.ts";
import type { Balance, PositionView } from "./ledger.ts";
import type { CancelReason, Fill, Order, OrderStatus, OrderType, RejectReason } from "./orders.ts";
import { QUOTE_SCALE } from "./symbols.ts";

export interface OrderRequest {
  readonly symbol: string;
  readonly side: Side;
  readonly type: OrderType;
  /** Left out for a market order. */
  readonly price?: string;
  readonly quantity: string;
  readonly clientId?: string;
  readonly reduceOnly?: boolean;
}

export interface OrderView {
  readonly orderId: number;
  readonly clientId: string;
  readonly symbol: string;
  readonly side: Side;
  readonly type: OrderType;
  /** "0" for a market order. */
  readonly price: string;
  readonly quantity: string;
  readonly filled: string;
  /** Quote paid or received. */
  readonly filledQuote: string;
  readonly status: OrderStatus;
  readonly reject: RejectReason | null;
  /** When it was placed, ms. */
  readonly time: number;
}

export interface AccountSnapshot {
  readonly account: string;
  readonly balances: readonly Balance[];
  /** usdm only. */
  readonly positions: readonly PositionView[];
  readonly orders: readonly OrderView[];
  readonly fills: readonly Fill[];
}

export type AccountEvent =
  | {
      readonly type: "order";
      readonly account: string;
      readonly order: OrderView;
      /** The execution that caused it, if one did. */
      readonly fill: Fill | null;
      readonly reason: CancelReason | null;
      readonly time: number;
    }
  /** Follows the order events of one step that moved money. */
  | {
      readonly type: "account";
      readonly account: string;
      readonly balances: readonly Balance[];
      readonly positions: readonly PositionView[];
      readonly time: number;
    };

export function viewOf(order: Order): OrderView {
  const { spec } = order;
  return {
    orderId: order.id,
    clientId: order.clientId,
    symbol: spec.symbol,
    side: order.side,
    type: order.type,
    price: order.price === 0 ? "0" : spec.prices.format(order.price),
    quantity: spec.quantities.format(order.lots),
    filled: spec.quantities.format(order.filledLots),
    filledQuote: QUOTE_SCALE.write(order.filledNotional * spec.quoteUnits),
    status: order.status,
    reject: order.reject,
    time: order.time,
  };
}

/** A request that never became an order. */
export function refusedView(request: OrderRequest, reject: RejectReason, time: number): OrderView {
  return {
    orderId: 0,
    clientId: request.clientId ?? "",
    symbol: request.symbol,
    side: request.side,
    type: request.type,
    price: request.price ?? "0",
    quantity: request.quantity,
    filled: "0",
    filledQuote: "0",
    status: "REJECTED",
    reject,
    time: Math.floor(time),
  };
}
