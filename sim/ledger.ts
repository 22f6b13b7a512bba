/**
 * The contract of a ledger: what accounts own and what their orders hold back. Spot and usdm each have one.
 *
 * Invariant: no call creates or destroys anything; the total of each asset over all accounts changes by `deposit` alone.
 */
import type { Account, Order } from "./orders.ts";

export interface Balance {
  readonly asset: string;
  readonly free: string;
  /** Held back for open orders. */
  readonly locked: string;
}

/** An open position of a usdm account; quantity is negative when short. */
export interface PositionView {
  readonly symbol: string;
  readonly quantity: string;
  readonly entryPrice: string;
  readonly unrealised: string;
}

/** The matcher's view of it. */
export interface Settlement {
  /** Holds back what the order may need, given its worst cost in quote units; false, and nothing changed, if it has not. */
  reserve(order: Order, worstCost: number): boolean;
  /** Gives back what is still held for an order that ended. */
  release(order: Order): void;
  /** Moves what a fill of `lots` at `price` moves. */
  settle(taker: Order, maker: Order, price: number, lots: number): void;
}

export interface Ledger {
  /** A new account's place. */
  open(account: Account): void;
  /** For the matcher of the n-th symbol. */
  settlementOf(symbol: number): Settlement;
  /** `amount` in units of the asset (quote: 10^-8; base: lots). */
  deposit(account: Account, asset: string, amount: number): void;
  /** A deposit written as a decimal; false if the asset is unknown or the amount is not exact in its unit. */
  depositText(account: Account, asset: string, amount: string): boolean;
  balances(account: Account): Balance[];
  positions(account: Account): PositionView[];
  /** Sum over all accounts per asset, exact. */
  totals(): Map<string, bigint>;
  /**
   * Shares out among `accounts` evenly what they have free: one desk nets out between its agents, so that none of them
   * goes broke by trading with the others.
   */
  netOut(symbol: number, accounts: readonly Account[]): void;
}
