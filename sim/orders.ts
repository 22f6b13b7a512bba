/**
 * Orders, fills and accounts as the exchange holds them: integers (ticks, lots) inside, statuses as an exchange reports.
 */
import type { Side } from "../src/channel/types.ts";
import type { PriceLevel } from "./book.ts";
import type { SymbolSpec } from "./symbols.ts";

/** `ioc`: limit, what does not fill at once is cancelled. `limitMaker`: rejected if it would trade at once. */
export type OrderType = "limit" | "ioc" | "market" | "limitMaker";

/** An immediate order's unfilled rest ends as CANCELED, also when nothing was filled. */
export type OrderStatus = "NEW" | "PARTIALLY_FILLED" | "FILLED" | "CANCELED" | "REJECTED";

export type RejectReason =
  | "BAD_PRICE"
  | "BAD_QUANTITY"
  | "INSUFFICIENT_BALANCE"
  | "WOULD_MATCH"
  | "REDUCE_ONLY"
  | "TOO_MANY_ORDERS";

/** Why an order ended as CANCELED. */
export type CancelReason = "USER" | "IMMEDIATE" | "SELF_TRADE" | "LIQUIDATION";

/** One who trades. What it owns is in the ledger, under `index`. */
export interface Account {
  readonly index: number;
  readonly id: string;
  /** The exchange's own: never liquidated. */
  readonly house: boolean;
  /** Opened from outside: gets private events, and its fills are kept. */
  readonly watched: boolean;
  readonly leverage: number;
  readonly open: Map<number, Order>;
  /** The newest `FILLS_MAX`, oldest first. */
  readonly fills: Fill[];
}

export const FILLS_MAX = 500;
export const OPEN_ORDERS_MAX = 1000;

export interface Order {
  /** Unique in the exchange. */
  readonly id: number;
  readonly spec: SymbolSpec;
  readonly clientId: string;
  readonly account: Account;
  readonly side: Side;
  readonly type: OrderType;
  readonly reduceOnly: boolean;
  /** Ticks; 0 for a market order. */
  readonly price: number;
  readonly lots: number;
  readonly time: number;
  status: OrderStatus;
  reject: RejectReason | null;
  filledLots: number;
  /** Sum of price x lots of its fills, in ticks x lots. */
  filledNotional: number;
  /** What the ledger still holds back for it (its own unit). */
  reserved: number;
  /** Its place in the book; null when it does not rest. */
  level: PriceLevel | null;
  before: Order | null;
  after: Order | null;
}

/** One execution as one side sees it. */
export interface Fill {
  readonly tradeId: number;
  readonly orderId: number;
  readonly symbol: string;
  readonly side: Side;
  readonly price: string;
  readonly quantity: string;
  readonly maker: boolean;
  readonly time: number;
}

export const remainingOf = (order: Order): number => order.lots - order.filledLots;
