/**
 * The private events of outside accounts, collected until somebody takes them.
 *
 * At the limit (nobody takes them): the newest are left out and counted; the taker is told how many.
 */
import type { Ledger } from "./ledger.ts";
import type { OrderListener } from "./matcher.ts";
import type { Account, CancelReason, Fill, Order } from "./orders.ts";
import { type AccountEvent, viewOf } from "./trading.ts";

const EVENTS_MAX = 10_000;

export class AccountEvents implements OrderListener {
  #events: AccountEvent[] = [];
  #lost = 0;
  readonly #ledger: Ledger;
  /** Accounts whose balances moved since they were last told. */
  readonly #moved = new Set<Account>();

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  changed(order: Order, fill: Fill | null, reason: CancelReason | null, time: number): void {
    const { id } = order.account;
    this.#push({ type: "order", account: id, order: viewOf(order), fill, reason, time: Math.floor(time) });
    if (order.reject === null) this.#moved.add(order.account);
  }

  /** Balances of an account moved without an order (funding, a deposit). */
  touch(account: Account): void {
    this.#moved.add(account);
  }

  /** Ends a step: one account event for each account that moved. */
  settle(time: number): void {
    if (this.#moved.size === 0) return;
    for (const account of this.#moved) {
      const ledger = this.#ledger;
      const balances = ledger.balances(account);
      const positions = ledger.positions(account);
      this.#push({ type: "account", account: account.id, balances, positions, time: Math.floor(time) });
    }
    this.#moved.clear();
  }

  take(): { readonly events: readonly AccountEvent[]; readonly lost: number } {
    const taken = { events: this.#events, lost: this.#lost };
    this.#events = [];
    this.#lost = 0;
    return taken;
  }

  #push(event: AccountEvent): void {
    if (this.#events.length < EVENTS_MAX) this.#events.push(event);
    else this.#lost++;
  }
}
