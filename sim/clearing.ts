/**
 * Clearing of the usdm market: mark prices, funding every 8 hours, liquidations and the insurance fund.
 *
 * The index is the fair price of the underlying; the mark follows it plus the smoothed premium of the book's middle, so a
 * single sweep liquidates nobody. A liquidation closes the position by an immediate order at the bankruptcy price; what
 * that cannot close the fund takes over there, and it pays what the account is short. The fund may go below zero: the
 * exchange stands behind it, and nothing is lost in the totals.
 */
import type { Liquidation, MarkPrice } from "../src/channel/types.ts";
import type { Floor } from "./floor.ts";
import type { Account } from "./orders.ts";
import type { UsdmLedger } from "./usdm-ledger.ts";

export const FUNDING_MS = 8 * 3_600_000;
const PREMIUM_MS = 30_000;
const AVERAGE_MS = 60_000;
const SETTLE_MS = 1_800_000;
const FUNDING_AVERAGE_MS = 3_600_000;
const INTEREST = 0.0001;
const FUNDING_MAX = 0.0075;

/** Slow-moving values of one symbol, as prices and fractions. */
interface Marks {
  time: number;
  index: number;
  mark: number;
  markAverage: number;
  settle: number;
  premium: number;
  premiumAverage: number;
}

export class Clearing {
  readonly #ledger: UsdmLedger;
  readonly #floors: readonly Floor[];
  readonly #fund: Account;
  readonly #marks: Marks[];
  #nextFunding: number;

  constructor(ledger: UsdmLedger, floors: readonly Floor[], fund: Account, startMs: number) {
    this.#ledger = ledger;
    this.#floors = floors;
    this.#fund = fund;
    this.#nextFunding = fundingAfter(startMs);
    this.#marks = floors.map((floor) => {
      const index = floor.fair.at(startMs);
      const premium = floor.fair.premiumAt(startMs);
      const mark = index * (1 + premium);
      ledger.setMark(floor.index, mark / floor.spec.tickSize);
      return { time: startMs, index, mark, markAverage: mark, settle: index, premium, premiumAverage: premium };
    });
  }

  /** Moves the mark of a symbol to `time`. */
  update(floor: Floor, time: number): MarkPrice {
    const marks = this.#marks[floor.index]!;
    const passed = Math.max(0, time - marks.time);
    const index = floor.fair.at(time);
    const mid = floor.matcher.book.mid;
    const premium = mid === null ? marks.premium : (mid * floor.spec.tickSize) / index - 1;
    marks.time = time;
    marks.index = index;
    marks.premium += (premium - marks.premium) * share(passed, PREMIUM_MS);
    marks.premiumAverage += (premium - marks.premiumAverage) * share(passed, FUNDING_AVERAGE_MS);
    marks.mark = index * (1 + marks.premium);
    marks.markAverage += (marks.mark - marks.markAverage) * share(passed, AVERAGE_MS);
    marks.settle += (index - marks.settle) * share(passed, SETTLE_MS);
    this.#ledger.setMark(floor.index, marks.mark / floor.spec.tickSize);
    return {
      mark: marks.mark.toFixed(8),
      markAverage: marks.markAverage.toFixed(8),
      index: marks.index.toFixed(8),
      settle: marks.settle.toFixed(8),
      fundingRate: this.#fundingRate(floor.index).toFixed(8),
      nextFundingTime: this.#nextFunding,
    };
  }

  /** Pays funding if a funding time has come; true if it did. */
  fundingDue(time: number): boolean {
    if (time < this.#nextFunding) return false;
    for (const floor of this.#floors) {
      this.#ledger.payFunding(floor.index, this.#fundingRate(floor.index), this.#fund);
    }
    this.#nextFunding = fundingAfter(time);
    return true;
  }

  underwater(floor: Floor): Account[] {
    return this.#ledger.underwater(floor.index);
  }

  /** Closes an account's position on this floor if it is still under water. */
  liquidate(floor: Floor, account: Account, time: number): Liquidation | null {
    const ledger = this.#ledger;
    const held = ledger.lotsOf(account, floor.index);
    if (held === 0 || !ledger.isUnderwater(account)) return null;
    for (const order of [...account.open.values()]) {
      if (order.spec === floor.spec) floor.matcher.cancel(order, time, "LIQUIDATION");
    }
    const long = held > 0;
    const bankruptcy = ledger.bankruptcyPrice(account, floor.index);
    const price = Math.max(1, long ? Math.ceil(bankruptcy) : Math.floor(bankruptcy));
    const side = long ? "sell" : "buy";
    const lots = Math.abs(held);
    const order = floor.matcher.place(account, side, "ioc", price, lots, time, { reduceOnly: true });
    if (order.filledLots < lots) ledger.takeOver(account, this.#fund, floor.index, price);
    const equity = Math.floor(ledger.equity(account));
    if (equity < 0) ledger.transfer(this.#fund, account, -equity);
    const { prices, quantities } = floor.spec;
    const average = order.filledLots === 0 ? price : Math.round(order.filledNotional / order.filledLots);
    return {
      side,
      price: prices.format(price),
      averagePrice: prices.format(average),
      quantity: quantities.format(lots),
      filled: quantities.format(order.filledLots),
      time: Math.floor(time),
    };
  }

  /** Premium and interest, both bounded, as the large exchanges compute it. */
  #fundingRate(symbol: number): number {
    const premium = this.#marks[symbol]!.premiumAverage;
    const rate = premium + Math.max(-0.0005, Math.min(0.0005, INTEREST - premium));
    return Math.max(-FUNDING_MAX, Math.min(FUNDING_MAX, rate));
  }
}

const fundingAfter = (time: number): number => (Math.floor(time / FUNDING_MS) + 1) * FUNDING_MS;

/** How much of the way an exponential average goes in `passed`. */
const share = (passed: number, window: number): number => 1 - Math.exp(-passed / window);
