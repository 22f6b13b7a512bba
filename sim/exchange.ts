/**
 * The simulated exchange: one market's floors, ledger and clearing behind one face.
 *
 * On the path: EXCHANGE -> src/ingest/sim.ts -> pipeline. It does no I/O and knows no clock: every call says what time it
 * is (ms, fractional, never falling), and equal seeds and calls give equal results.
 * Invariants: `step` returns at most one update per channel; the deltas folded over `open`'s snapshots are the book.
 */
import type { Update } from "../src/channel/types.ts";
import { assert, GatewayError } from "../src/lib/errors.ts";
import { Clearing } from "./clearing.ts";
import { Crowd, DESK_SIZE } from "./crowd.ts";
import { AccountEvents } from "./events.ts";
import { FairPrice } from "./fair.ts";
import { Floor } from "./floor.ts";
import { history } from "./history.ts";
import type { Ledger } from "./ledger.ts";
import { Matcher } from "./matcher.ts";
import type { Account } from "./orders.ts";
import { hashOf, Random } from "./random.ts";
import { LEVERAGES, SPECULATORS, Speculators } from "./speculators.ts";
import { SpotLedger } from "./spot-ledger.ts";
import { type ChannelName, Stage } from "./stage.ts";
import { type SimMarket, type SymbolSpec, symbolsOf } from "./symbols.ts";
import type { AccountSnapshot, OrderRequest, OrderView } from "./trading.ts";
import { refusedView, viewOf } from "./trading.ts";
import { UsdmLedger } from "./usdm-ledger.ts";

export interface ExchangeOptions {
  readonly market: SimMarket;
  readonly seed: number;
  /** Default: all it lists. */
  readonly symbols?: readonly string[];
  readonly startMs: number;
  /** Trades (per symbol) and orders (all together) are numbered from these. */
  readonly firstTradeId: number;
  readonly firstOrderId: number;
  readonly channelName: ChannelName;
  /** usdm: time between two marks of one symbol. */
  readonly markEveryMs: number;
}

/** What each agent of a desk starts with, in quote units, and as much worth of base: a desk's whole supply stays exact. */
const ENDOWMENT = 10_000_000e8;
const DESK_LEVERAGE = 5;
const OUTSIDE_LEVERAGE = 20;
/** Share of usdm events in which a speculator is asked. */
const SPECULATION = 0.05;

export class Exchange {
  readonly specs: readonly SymbolSpec[];
  readonly #ledger: Ledger;
  readonly #events: AccountEvents;
  readonly #clearing: Clearing | null;
  readonly #stages: readonly Stage[];
  #accountCount = 0;
  readonly #byId = new Map<string, Account>();
  readonly #random: Random;
  readonly #seed: number;
  /** Upper ends of the symbols' shares of all events. */
  readonly #shares: readonly number[];
  readonly #markStepMs: number;
  #nextMarkMs: number;
  #nextMark = 0;
  /** Accounts that a mark put under water, to be liquidated one per step. */
  #condemned: { readonly stage: Stage; readonly account: Account }[] = [];

  constructor(options: ExchangeOptions) {
    const { market, seed, startMs } = options;
    this.#seed = seed;
    this.specs = symbolsOf(market, options.symbols);
    assert(this.specs.length > 0, "an exchange lists at least one symbol");
    const usdm = market === "usdm" ? new UsdmLedger(this.specs) : null;
    this.#ledger = usdm ?? new SpotLedger(this.specs);
    this.#events = new AccountEvents(this.#ledger);
    this.#random = new Random(hashOf(seed, market));
    const ids = { next: options.firstOrderId };
    const fund = usdm ? this.#newAccount("fund", "house", 1) : null;
    if (fund) this.#ledger.deposit(fund, "USDT", ENDOWMENT);
    this.#stages = this.specs.map((spec, index) => {
      const matcher = new Matcher(spec, this.#ledger.settlementOf(index), this.#events, ids, options.firstTradeId);
      const fair = new FairPrice(seed, spec.symbol, spec.anchor, spec.volatility);
      const floor = new Floor(index, matcher, fair, this.#newDesk(spec), this.#ledger);
      const random = new Random(hashOf(seed, market, spec.symbol));
      const speculators = usdm && fund ? new Speculators(floor, usdm, this.#newSpeculators(spec), fund, random) : null;
      return new Stage(floor, new Crowd(floor, random), speculators, options.channelName);
    });
    const floors = this.#stages.map((stage) => stage.floor);
    this.#clearing = usdm && fund ? new Clearing(usdm, floors, fund, startMs) : null;
    const weights = this.specs.map((spec) => spec.weight);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    this.#shares = weights.map((_, i) => weights.slice(0, i + 1).reduce((sum, weight) => sum + weight, 0) / total);
    this.#markStepMs = options.markEveryMs / this.specs.length;
    this.#nextMarkMs = startMs;
  }

  /** Trades of the past, one record per yield, in time order. Before `open`. */
  *history(fromMs: number, toMs: number): Generator<readonly Update[]> {
    const floors = this.#stages.map((stage) => stage.floor);
    const random = new Random(hashOf(this.#seed, "history", this.specs[0]!.market));
    for (const { floor, trades, time } of history(floors, random, fromMs, toMs)) {
      const channel = this.#stages[floor.index]!.trade;
      yield [{ channel, kind: "trade", user: "", time, type: "items", data: trades }];
    }
  }

  /** The agents fill the books; a snapshot of each. */
  open(time: number): Update[] {
    this.#nextMarkMs = time;
    return this.#stages.map((stage) => {
      stage.crowd.prime(time);
      stage.takeUpdates(time);
      return stage.snapshot(time);
    });
  }

  /** One simulated event: its updates, at most one per channel; empty if it changed nothing public. */
  step(time: number): Update[] {
    const condemned = this.#condemned.pop();
    if (condemned !== undefined) return this.#liquidate(condemned.stage, condemned.account, time);
    if (this.#clearing !== null && time >= this.#nextMarkMs) return this.#mark(this.#clearing, time);
    const roll = this.#random.next();
    let i = 0;
    while (i < this.#shares.length - 1 && roll >= this.#shares[i]!) i++;
    const stage = this.#stages[i]!;
    const asked = stage.speculators !== null && this.#random.chance(SPECULATION) ? stage.speculators : null;
    if (!asked?.act(time)) stage.crowd.act(time);
    return this.#updatesOf(stage, time);
  }

  /** A fresh snapshot of one book by its channel name; null if there is no such book. */
  snapshot(channel: string, time: number): Update | null {
    const stage = this.#stages.find((each) => each.depth === channel);
    return stage?.snapshot(time) ?? null;
  }

  // Trading. What a call changes on public channels is in the next `takeUpdates`, private events in `takeEvents`.

  /** Opens an outside account with deposits of decimals by asset. */
  openAccount(id: string, deposits: Readonly<Record<string, string>>, leverage = OUTSIDE_LEVERAGE): void {
    if (this.#byId.has(id)) throw new GatewayError("BAD_ACCOUNT", `account "${id}" is open already`);
    const account = this.#newAccount(id, "outside", leverage);
    for (const [asset, amount] of Object.entries(deposits)) {
      if (this.#ledger.depositText(account, asset, amount)) continue;
      throw new GatewayError(
        "BAD_DEPOSIT",
        `no deposit of "${amount}" ${asset}: unknown asset or not exact in its unit`,
      );
    }
    this.#events.touch(account);
  }

  place(accountId: string, request: OrderRequest, time: number): OrderView {
    const account = this.#accountOf(accountId);
    const { floor } = this.#stageOf(request.symbol);
    const { spec, matcher } = floor;
    const price = request.price === undefined ? 0 : spec.prices.parse(request.price);
    const lots = spec.quantities.parse(request.quantity);
    if (price === null) return refusedView(request, "BAD_PRICE", time);
    if (lots === null) return refusedView(request, "BAD_QUANTITY", time);
    return viewOf(matcher.place(account, request.side, request.type, price, lots, time, request));
  }

  /** Null if the account has no such open order. */
  cancel(accountId: string, orderId: number, time: number): OrderView | null {
    const order = this.#accountOf(accountId).open.get(orderId);
    if (order === undefined) return null;
    this.#stageOf(order.spec.symbol).floor.matcher.cancel(order, time);
    return viewOf(order);
  }

  account(accountId: string): AccountSnapshot {
    const account = this.#accountOf(accountId);
    return {
      account: account.id,
      balances: this.#ledger.balances(account),
      positions: this.#ledger.positions(account),
      orders: [...account.open.values()].map(viewOf),
      fills: [...account.fills],
    };
  }

  /** Public updates that trading caused since the last step, at most one per channel. */
  takeUpdates(time: number): Update[] {
    this.#events.settle(time);
    return this.#stages.flatMap((stage) => stage.takeUpdates(time));
  }

  takeEvents(): ReturnType<AccountEvents["take"]> {
    return this.#events.take();
  }

  /** Sum over all accounts per asset: constant but for deposits. */
  totals(): Map<string, bigint> {
    return this.#ledger.totals();
  }

  #mark(clearing: Clearing, time: number): Update[] {
    if (clearing.fundingDue(time)) for (const account of this.#byId.values()) this.#events.touch(account);
    const stage = this.#stages[this.#nextMark % this.#stages.length]!;
    this.#nextMark++;
    // After a pause the missed marks are not made up for.
    this.#nextMarkMs = Math.max(this.#nextMarkMs + this.#markStepMs, time - this.#markStepMs);
    const data = clearing.update(stage.floor, time);
    for (const account of clearing.underwater(stage.floor)) this.#condemned.push({ stage, account });
    this.#events.settle(time);
    return [stage.marked(data, time)];
  }

  #liquidate(stage: Stage, account: Account, time: number): Update[] {
    const liquidation = this.#clearing?.liquidate(stage.floor, account, time) ?? null;
    if (liquidation !== null) stage.floor.liquidations.push(liquidation);
    if (account.watched) this.#events.touch(account);
    return this.#updatesOf(stage, time);
  }

  #updatesOf(stage: Stage, time: number): Update[] {
    this.#events.settle(time);
    return stage.takeUpdates(time);
  }

  #newAccount(id: string, role: "house" | "agent" | "outside", leverage: number): Account {
    const account: Account = {
      index: this.#accountCount++,
      id,
      house: role === "house",
      watched: role === "outside",
      leverage,
      open: new Map(),
      fills: [],
    };
    this.#ledger.open(account);
    if (account.watched) this.#byId.set(id, account);
    return account;
  }

  #newDesk(spec: SymbolSpec): Account[] {
    return Array.from({ length: DESK_SIZE }, (_, i) => {
      const account = this.#newAccount(`${spec.symbol}-${i}`, "house", DESK_LEVERAGE);
      this.#ledger.deposit(account, spec.quote, ENDOWMENT);
      if (spec.market === "spot") {
        this.#ledger.deposit(account, spec.base, Math.floor(ENDOWMENT / 1e8 / (spec.anchor * spec.lotSize)));
      }
      return account;
    });
  }

  #newSpeculators(spec: SymbolSpec): Account[] {
    return Array.from({ length: SPECULATORS }, (_, i) =>
      this.#newAccount(`${spec.symbol}-x${i}`, "agent", LEVERAGES[i % LEVERAGES.length]!),
    );
  }

  #accountOf(id: string): Account {
    const account = this.#byId.get(id);
    if (account === undefined) throw new GatewayError("UNKNOWN_ACCOUNT", `no account "${id}"`);
    return account;
  }

  #stageOf(symbol: string): Stage {
    const stage = this.#stages.find((each) => each.floor.spec.symbol === symbol);
    if (stage === undefined) throw new GatewayError("UNKNOWN_SYMBOL", `no symbol "${symbol}"`);
    return stage;
  }
}
