/**
 * Leveraged traders of one usdm symbol: they open a position with almost all they have, hold it, close it, or are
 * liquidated; who has nothing left gets a fresh stake from the fund, who has won much gives it back.
 *
 * They are not `house`: the clearing liquidates them by the same rule as anybody.
 */
import type { Floor } from "./floor.ts";
import type { Account } from "./orders.ts";
import type { Random } from "./random.ts";
import type { UsdmLedger } from "./usdm-ledger.ts";

export const SPECULATORS = 20;
export const LEVERAGES: readonly number[] = [50, 75, 100, 125, 125];
/** Part of its money that it opens a position with. */
const BOLDNESS = 0.95;
/** Chance, per decision, to close. */
const CLOSING = 0.06;
/** Quote units (10^-8): a stake, and when it is gone or has multiplied. */
const STAKE_MIN = 100e8;
const STAKE_MAX = 1500e8;
const BROKE = 50e8;
const RICH = 5000e8;
/** Mean time between two decisions of one of them. */
const PAUSE_MS = 60_000;

export class Speculators {
  readonly #floor: Floor;
  readonly #ledger: UsdmLedger;
  readonly #accounts: readonly Account[];
  readonly #fund: Account;
  readonly #random: Random;
  /** Per account: when it decides next. */
  readonly #wakeAt: number[];

  constructor(floor: Floor, ledger: UsdmLedger, accounts: readonly Account[], fund: Account, random: Random) {
    this.#floor = floor;
    this.#ledger = ledger;
    this.#accounts = accounts;
    this.#fund = fund;
    this.#random = random;
    this.#wakeAt = accounts.map(() => 0);
  }

  /** One of them, if it is time, or the fund closes a part of what it took over; false if nobody did anything. */
  act(time: number): boolean {
    const i = this.#random.below(this.#accounts.length + 1);
    const account = this.#accounts[i];
    if (account === undefined) {
      return this.#unwind(this.#fund, time, this.#floor.lotsFor(20_000, this.#floor.fairTicks(time)));
    }
    if (time < this.#wakeAt[i]!) return false;
    this.#wakeAt[i] = time + PAUSE_MS * this.#random.exponential();
    if (this.#ledger.lotsOf(account, this.#floor.index) === 0) return this.#enter(account, time);
    return this.#random.chance(CLOSING) && this.#unwind(account, time, Number.POSITIVE_INFINITY);
  }

  #enter(account: Account, time: number): boolean {
    const wallet = this.#ledger.walletOf(account);
    if (wallet < BROKE || wallet > RICH) {
      const stake = Math.floor(STAKE_MIN + (STAKE_MAX - STAKE_MIN) * this.#random.next() ** 2);
      this.#ledger.transfer(this.#fund, account, stake - wallet);
    }
    const value = (this.#ledger.walletOf(account) / 1e8) * account.leverage * BOLDNESS;
    const lots = this.#floor.lotsFor(value, this.#floor.fairTicks(time));
    const up = this.#random.chance(0.5 + 0.3 * this.#floor.fair.moodAt(time));
    return this.#floor.place(account, up ? "buy" : "sell", "market", 0, lots, time).filledLots > 0;
  }

  #unwind(account: Account, time: number, lotsMax: number): boolean {
    const held = this.#ledger.lotsOf(account, this.#floor.index);
    if (held === 0) return false;
    const lots = Math.min(Math.abs(held), lotsMax);
    const side = held > 0 ? "sell" : "buy";
    return this.#floor.matcher.place(account, side, "market", 0, lots, time, { reduceOnly: true }).filledLots > 0;
  }
}
