/**
 * Spot ledger: free and locked balances. Buys lock quote, sells lock base; a fill swaps the two.
 *
 * Invariants: no balance is negative; locked equals the sum of what open orders have reserved.
 * Fees are zero.
 */
import { assert } from "../src/lib/errors.ts";
import type { Balance, Ledger, PositionView, Settlement } from "./ledger.ts";
import type { Account } from "./orders.ts";
import type { Scale } from "./scale.ts";
import { QUOTE_SCALE, type SymbolSpec } from "./symbols.ts";

interface Asset {
  readonly name: string;
  readonly scale: Scale;
}

export class SpotLedger implements Ledger {
  /** Asset 0 is the quote; asset n + 1 is the base of symbol n. */
  readonly #assets: readonly Asset[];
  readonly #units: readonly number[];
  /** Flat: account index x number of assets + asset. */
  readonly #free: number[] = [];
  readonly #locked: number[] = [];

  constructor(specs: readonly SymbolSpec[]) {
    const quote = specs[0]?.quote ?? "USDT";
    this.#assets = [{ name: quote, scale: QUOTE_SCALE }].concat(
      specs.map((spec) => ({ name: spec.base, scale: spec.quantities })),
    );
    this.#units = specs.map((spec) => spec.quoteUnits);
  }

  open(account: Account): void {
    assert(
      this.#free.length === account.index * this.#assets.length,
      "accounts are opened in the order of their index",
    );
    for (let i = 0; i < this.#assets.length; i++) {
      this.#free.push(0);
      this.#locked.push(0);
    }
  }

  deposit(account: Account, asset: string, amount: number): void {
    const index = this.#assets.findIndex((each) => each.name === asset);
    assert(index >= 0 && Number.isSafeInteger(amount) && amount >= 0, "a deposit is a whole number of a known asset");
    this.#free[this.#cell(account, index)]! += amount;
  }

  depositText(account: Account, asset: string, amount: string): boolean {
    const units = this.#assets.find((each) => each.name === asset)?.scale.parse(amount) ?? null;
    if (units === null) return false;
    this.deposit(account, asset, units);
    return true;
  }

  settlementOf(symbol: number): Settlement {
    const free = this.#free;
    const locked = this.#locked;
    const width = this.#assets.length;
    const unit = this.#units[symbol]!;
    const base = symbol + 1;
    return {
      reserve(order, worstCost) {
        const buy = order.side === "buy";
        const cell = order.account.index * width + (buy ? 0 : base);
        const need = buy ? worstCost : order.lots;
        if (free[cell]! < need) return false;
        free[cell]! -= need;
        locked[cell]! += need;
        order.reserved = need;
        return true;
      },
      release(order) {
        if (order.reserved === 0) return;
        const cell = order.account.index * width + (order.side === "buy" ? 0 : base);
        free[cell]! += order.reserved;
        locked[cell]! -= order.reserved;
        order.reserved = 0;
      },
      settle(taker, maker, price, lots) {
        const buy = taker.side === "buy" ? taker : maker;
        const sell = taker.side === "buy" ? maker : taker;
        const paid = price * lots * unit;
        // A limit order held back its own price; a market order the cost found when it came.
        const held = buy.price > 0 ? buy.price * lots * unit : paid;
        const buyer = buy.account.index * width;
        const seller = sell.account.index * width;
        locked[buyer]! -= held;
        free[buyer]! += held - paid;
        free[buyer + base]! += lots;
        buy.reserved -= held;
        locked[seller + base]! -= lots;
        free[seller]! += paid;
        sell.reserved -= lots;
      },
    };
  }

  balances(account: Account): Balance[] {
    return this.#assets.flatMap((asset, i) => {
      const free = this.#free[this.#cell(account, i)]!;
      const locked = this.#locked[this.#cell(account, i)]!;
      if (free === 0 && locked === 0) return [];
      return [{ asset: asset.name, free: asset.scale.write(free), locked: asset.scale.write(locked) }];
    });
  }

  positions(): PositionView[] {
    return [];
  }

  totals(): Map<string, bigint> {
    const totals = new Map<string, bigint>(this.#assets.map((asset) => [asset.name, 0n]));
    for (let cell = 0; cell < this.#free.length; cell++) {
      const { name } = this.#assets[cell % this.#assets.length]!;
      totals.set(name, totals.get(name)! + BigInt(this.#free[cell]!) + BigInt(this.#locked[cell]!));
    }
    return totals;
  }

  netOut(symbol: number, accounts: readonly Account[]): void {
    for (const asset of [0, symbol + 1]) {
      let pool = 0;
      for (const account of accounts) pool += this.#free[this.#cell(account, asset)]!;
      const share = Math.floor(pool / accounts.length);
      for (const account of accounts) this.#free[this.#cell(account, asset)] = share;
      this.#free[this.#cell(accounts[0]!, asset)]! += pool - share * accounts.length;
    }
  }

  #cell(account: Account, asset: number): number {
    return account.index * this.#assets.length + asset;
  }
}
