/**
 * Usdm ledger: wallets in quote, positions in lots, margin held back for orders; the clearing of perpetual futures.
 *
 * A position is `lots` (negative = short) and `cost`, the signed quote it was opened for. Realising moves a part of the
 * cost into the wallet, so `wallet - cost` summed over all accounts never changes, and the lots of a symbol sum to zero.
 * Margin is cross: everything an account has stands behind all it holds. Fees are zero; funding moves between accounts.
 */
import { assert } from "../src/lib/errors.ts";
import type { Balance, Ledger, PositionView, Settlement } from "./ledger.ts";
import type { Account, Order } from "./orders.ts";
import { remainingOf } from "./orders.ts";
import { QUOTE_SCALE, type SymbolSpec } from "./symbols.ts";

/** Part of a position's value below which its account is liquidated. */
const MAINTENANCE = 0.004;

export class UsdmLedger implements Ledger {
  readonly #specs: readonly SymbolSpec[];
  readonly #accounts: Account[] = [];
  readonly #wallet: number[] = [];
  readonly #orderMargin: number[] = [];
  /** Flat: account index x number of symbols + symbol. */
  readonly #lots: number[] = [];
  readonly #cost: number[] = [];
  /** Mark price of each symbol in ticks, fractional. */
  readonly #marks: number[];

  constructor(specs: readonly SymbolSpec[]) {
    this.#specs = specs;
    this.#marks = specs.map((spec) => spec.anchor / spec.tickSize);
  }

  open(account: Account): void {
    assert(this.#wallet.length === account.index, "accounts are opened in the order of their index");
    this.#accounts.push(account);
    this.#wallet.push(0);
    this.#orderMargin.push(0);
    for (let i = 0; i < this.#specs.length; i++) {
      this.#lots.push(0);
      this.#cost.push(0);
    }
  }

  deposit(account: Account, asset: string, amount: number): void {
    assert(asset === this.#quote && Number.isSafeInteger(amount) && amount >= 0, "usdm accounts hold the quote asset");
    this.#wallet[account.index]! += amount;
  }

  depositText(account: Account, asset: string, amount: string): boolean {
    const units = asset === this.#quote ? QUOTE_SCALE.parse(amount) : null;
    if (units === null) return false;
    this.deposit(account, asset, units);
    return true;
  }

  settlementOf(symbol: number): Settlement {
    return {
      reserve: (order, worstCost) => {
        if (order.reduceOnly) {
          const held = this.lotsOf(order.account, symbol);
          return order.lots <= Math.abs(held) && held > 0 === (order.side === "sell");
        }
        const need = Math.ceil(worstCost / order.account.leverage);
        if (this.#available(order.account) < need) return false;
        this.#orderMargin[order.account.index]! += need;
        order.reserved = need;
        return true;
      },
      release: (order) => {
        this.#orderMargin[order.account.index]! -= order.reserved;
        order.reserved = 0;
      },
      settle: (taker, maker, price, lots) => {
        this.#unreserve(taker, lots);
        this.#unreserve(maker, lots);
        this.#trade(taker.account, symbol, taker.side === "buy" ? lots : -lots, price);
        this.#trade(maker.account, symbol, maker.side === "buy" ? lots : -lots, price);
      },
    };
  }

  lotsOf(account: Account, symbol: number): number {
    return this.#lots[this.#cell(account, symbol)]!;
  }

  walletOf(account: Account): number {
    return this.#wallet[account.index]!;
  }

  setMark(symbol: number, ticks: number): void {
    this.#marks[symbol] = ticks;
  }

  /** Wallet plus unrealised profit at mark, quote units. */
  equity(account: Account): number {
    let equity = this.#wallet[account.index]!;
    for (let s = 0; s < this.#specs.length; s++) {
      const cell = this.#cell(account, s);
      if (this.#lots[cell] !== 0) equity += this.#value(cell, s) - this.#cost[cell]!;
    }
    return equity;
  }

  /** Accounts whose equity no longer carries their position in `symbol`. */
  underwater(symbol: number): Account[] {
    return this.#accounts.filter(
      (account) =>
        !account.house && this.lotsOf(account, symbol) !== 0 && this.equity(account) < this.#maintenance(account),
    );
  }

  isUnderwater(account: Account): boolean {
    return this.equity(account) < this.#maintenance(account);
  }

  /** The price in ticks, fractional, at which closing `symbol` would leave the account with nothing. */
  bankruptcyPrice(account: Account, symbol: number): number {
    const lots = this.lotsOf(account, symbol);
    return this.#marks[symbol]! - this.equity(account) / (lots * this.#specs[symbol]!.quoteUnits);
  }

  /** Hands the whole position over at a price, outside the book. */
  takeOver(from: Account, to: Account, symbol: number, price: number): void {
    const lots = this.lotsOf(from, symbol);
    this.#trade(from, symbol, -lots, price);
    this.#trade(to, symbol, lots, price);
  }

  /** Moves quote units between wallets. */
  transfer(from: Account, to: Account, amount: number): void {
    this.#wallet[from.index]! -= amount;
    this.#wallet[to.index]! += amount;
  }

  /** Longs pay shorts `rate` of their position's value (negative: the other way); rounding goes to `fund`. */
  payFunding(symbol: number, rate: number, fund: Account): void {
    let paid = 0;
    for (const account of this.#accounts) {
      const cell = this.#cell(account, symbol);
      if (this.#lots[cell] === 0) continue;
      const payment = Math.round(this.#value(cell, symbol) * rate);
      this.#wallet[account.index]! -= payment;
      paid += payment;
    }
    this.#wallet[fund.index]! += paid;
  }

  balances(account: Account): Balance[] {
    const margin = this.#orderMargin[account.index]!;
    const free = this.#wallet[account.index]! - margin;
    return [{ asset: this.#quote, free: QUOTE_SCALE.write(free), locked: QUOTE_SCALE.write(margin) }];
  }

  positions(account: Account): PositionView[] {
    return this.#specs.flatMap((spec, s) => {
      const cell = this.#cell(account, s);
      const lots = this.#lots[cell]!;
      if (lots === 0) return [];
      return [
        {
          symbol: spec.symbol,
          quantity: spec.quantities.write(lots),
          entryPrice: ((this.#cost[cell]! / (lots * spec.quoteUnits)) * spec.tickSize).toFixed(
            spec.prices.decimals + 2,
          ),
          unrealised: QUOTE_SCALE.write(Math.round(this.#value(cell, s) - this.#cost[cell]!)),
        },
      ];
    });
  }

  totals(): Map<string, bigint> {
    let quote = 0n;
    const totals = new Map<string, bigint>(this.#specs.map((spec) => [spec.base, 0n]));
    for (const wallet of this.#wallet) quote += BigInt(wallet);
    for (let cell = 0; cell < this.#lots.length; cell++) {
      const { base } = this.#specs[cell % this.#specs.length]!;
      quote -= BigInt(this.#cost[cell]!);
      totals.set(base, totals.get(base)! + BigInt(this.#lots[cell]!));
    }
    return totals.set(this.#quote, quote);
  }

  netOut(_symbol: number, accounts: readonly Account[]): void {
    let pool = 0;
    for (const account of accounts) pool += this.#wallet[account.index]!;
    const share = Math.floor(pool / accounts.length);
    for (const account of accounts) this.#wallet[account.index] = share;
    this.#wallet[accounts[0]!.index]! += pool - share * accounts.length;
  }

  get #quote(): string {
    return this.#specs[0]?.quote ?? "USDT";
  }

  /** What may still be held back for orders: equity less the margin of positions and of open orders. */
  #available(account: Account): number {
    let used = this.#orderMargin[account.index]!;
    for (let s = 0; s < this.#specs.length; s++) {
      const cell = this.#cell(account, s);
      if (this.#lots[cell] !== 0) used += Math.abs(this.#value(cell, s)) / account.leverage;
    }
    return this.equity(account) - used;
  }

  #maintenance(account: Account): number {
    let need = 0;
    for (let s = 0; s < this.#specs.length; s++) {
      const cell = this.#cell(account, s);
      if (this.#lots[cell] !== 0) need += Math.abs(this.#value(cell, s)) * MAINTENANCE;
    }
    return need;
  }

  /** A fill frees the margin of the part that is filled. Called before the order's own count rises. */
  #unreserve(order: Order, lots: number): void {
    if (order.reserved === 0) return;
    const part = Math.floor(order.reserved * (lots / remainingOf(order)));
    this.#orderMargin[order.account.index]! -= part;
    order.reserved -= part;
  }

  /** Buys (`lots` > 0) or sells at a price in ticks: first closes what is opposite, then opens. */
  #trade(account: Account, symbol: number, lots: number, price: number): void {
    const cell = this.#cell(account, symbol);
    const unit = this.#specs[symbol]!.quoteUnits;
    const held = this.#lots[cell]!;
    let opening = lots;
    if (held !== 0 && held > 0 !== lots > 0) {
      const closing = Math.abs(lots) < Math.abs(held) ? lots : -held;
      const cost = closing === -held ? this.#cost[cell]! : Math.round(this.#cost[cell]! * (-closing / held));
      this.#wallet[account.index]! += -closing * price * unit - cost;
      this.#cost[cell]! -= cost;
      opening = lots - closing;
    }
    this.#cost[cell]! += opening * price * unit;
    this.#lots[cell]! += lots;
  }

  #value(cell: number, symbol: number): number {
    return this.#lots[cell]! * this.#marks[symbol]! * this.#specs[symbol]!.quoteUnits;
  }

  #cell(account: Account, symbol: number): number {
    return account.index * this.#specs.length + symbol;
  }
}
