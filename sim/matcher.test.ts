import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Side } from "../src/channel/types.ts";
import { Matcher, type OrderListener } from "./matcher.ts";
import type { Account, Order, OrderType } from "./orders.ts";
import { remainingOf } from "./orders.ts";
import { SpotLedger } from "./spot-ledger.ts";
import { symbolsOf } from "./symbols.ts";

const quiet: OrderListener = { changed() {} };

/** A spot market of btcusdt (tick 0.01, lot 0.00001: a lot costs 10 quote units per tick) with some accounts. */
function market(accounts = 3, quote = 1e15, base = 1e9, listener: OrderListener | null = null) {
  const specs = symbolsOf("spot", ["btcusdt"]);
  const ledger = new SpotLedger(specs);
  const people = Array.from({ length: accounts }, (_, index): Account => {
    const watched = listener !== null;
    const account = { index, id: `u${index}`, house: true, watched, leverage: 1, open: new Map(), fills: [] };
    ledger.open(account);
    ledger.deposit(account, "USDT", quote);
    ledger.deposit(account, "BTC", base);
    return account;
  });
  const matcher = new Matcher(specs[0]!, ledger.settlementOf(0), listener ?? quiet, { next: 1 }, 1);
  const place = (who: number, side: Side, type: OrderType, price: number, lots: number) =>
    matcher.place(people[who]!, side, type, price, lots, 0);
  const trades = () => matcher.takeTrades().map((trade) => [trade.price, trade.quantity, trade.side]);
  return { ledger, matcher, people, place, trades };
}

const balanceOf = (ledger: SpotLedger, account: Account, asset: string) =>
  ledger.balances(account).find((balance) => balance.asset === asset);

test("matcher - best price first, then oldest first, at the resting order's price", () => {
  const { place, trades, matcher } = market(4);
  const worse = place(0, "sell", "limit", 102, 10);
  const first = place(0, "sell", "limit", 101, 10);
  const second = place(1, "sell", "limit", 101, 10);
  const taker = place(2, "buy", "limit", 105, 25);
  expect([first.status, second.status, worse.status, taker.status]).toEqual([
    "FILLED",
    "FILLED",
    "PARTIALLY_FILLED",
    "FILLED",
  ]);
  expect(worse.filledLots).toBe(5);
  expect(trades()).toEqual([
    ["1.01", "0.00010000", "buy"],
    ["1.01", "0.00010000", "buy"],
    ["1.02", "0.00005000", "buy"],
  ]);
  expect(taker.filledNotional).toBe(101 * 20 + 102 * 5);
  expect(matcher.book.asks.takeChanges()).toEqual([[102, 5]]);
});

test("matcher - a partly filled order keeps its place, a new one goes behind", () => {
  const { place } = market();
  const old = place(0, "buy", "limit", 100, 10);
  const young = place(1, "buy", "limit", 100, 10);
  place(2, "sell", "limit", 100, 4);
  place(2, "sell", "limit", 100, 8);
  expect([old.filledLots, young.filledLots]).toEqual([10, 2]);
  expect([old.status, young.status]).toEqual(["FILLED", "PARTIALLY_FILLED"]);
});

test("matcher - a limit order's rest goes into the book, an immediate one's does not", () => {
  const { place, matcher } = market();
  place(0, "sell", "limit", 101, 10);
  const immediate = place(1, "buy", "ioc", 101, 15);
  expect([immediate.status, immediate.filledLots, immediate.level]).toEqual(["CANCELED", 10, null]);
  expect(matcher.book.bids.best).toBeNull();
  place(0, "sell", "limit", 101, 10);
  const limit = place(1, "buy", "limit", 101, 15);
  expect([limit.status, limit.filledLots, matcher.book.bids.best?.lots]).toEqual(["PARTIALLY_FILLED", 10, 5]);
  const nothing = place(2, "sell", "ioc", 102, 5);
  expect([nothing.status, nothing.filledLots]).toEqual(["CANCELED", 0]);
});

test("matcher - a market order takes what there is and never rests", () => {
  const { place, matcher, trades } = market();
  place(0, "sell", "limit", 101, 5);
  place(0, "sell", "limit", 900, 5);
  const order = place(1, "buy", "market", 0, 12);
  expect([order.status, order.filledLots]).toEqual(["CANCELED", 10]);
  expect(trades().length).toBe(2);
  expect(matcher.book.asks.size).toBe(0);
});

test("matcher - cancel gives back exactly what was held, once", () => {
  const { place, matcher, ledger, people } = market();
  const order = place(0, "buy", "limit", 100, 10);
  place(1, "sell", "limit", 100, 4);
  expect(balanceOf(ledger, people[0]!, "USDT")?.locked).toBe("0.00006000");
  expect(matcher.cancel(order, 0)).toBe(true);
  expect(matcher.cancel(order, 0)).toBe(false);
  expect([order.status, order.filledLots]).toEqual(["CANCELED", 4]);
  expect(balanceOf(ledger, people[0]!, "USDT")).toEqual({
    asset: "USDT",
    free: "9999999.99996000",
    locked: "0.00000000",
  });
  expect(balanceOf(ledger, people[0]!, "BTC")?.free).toBe("10000.00004000");
});

test("matcher - self-trade cancels the resting order and the taker goes on", () => {
  const { place, trades } = market();
  const own = place(0, "sell", "limit", 101, 10);
  const other = place(1, "sell", "limit", 102, 10);
  const taker = place(0, "buy", "limit", 102, 6);
  expect([own.status, own.filledLots]).toEqual(["CANCELED", 0]);
  expect([other.filledLots, taker.status]).toEqual([6, "FILLED"]);
  expect(trades()).toEqual([["1.02", "0.00006000", "buy"]]);
});

test("matcher - a maker order that would trade is rejected and changes nothing", () => {
  const { place, matcher } = market();
  place(0, "sell", "limit", 101, 10);
  const crossing = place(1, "buy", "limitMaker", 101, 10);
  expect([crossing.status, crossing.reject]).toEqual(["REJECTED", "WOULD_MATCH"]);
  expect(place(1, "buy", "limitMaker", 100, 10).status).toBe("NEW");
  expect(matcher.takeTrades()).toEqual([]);
});

test("matcher - who cannot pay is rejected before anything moves", () => {
  const { place, ledger, people } = market(2, 10_000, 5);
  expect(place(0, "buy", "limit", 100, 11).reject).toBe("INSUFFICIENT_BALANCE");
  expect(place(0, "sell", "limit", 100, 6).reject).toBe("INSUFFICIENT_BALANCE");
  place(1, "sell", "limit", 400, 5);
  expect(place(0, "buy", "market", 0, 3).reject).toBe("INSUFFICIENT_BALANCE");
  expect(place(0, "buy", "market", 0, 2).status).toBe("FILLED");
  expect(balanceOf(ledger, people[0]!, "USDT")?.free).toBe("0.00002000");
});

test("matcher - a market order's cost leaves out its own resting orders, which it cancels", () => {
  const { place, ledger, people } = market(2, 10_000, 10);
  place(0, "sell", "limit", 100, 5);
  place(1, "sell", "limit", 300, 5);
  expect(place(0, "buy", "market", 0, 4).reject).toBe("INSUFFICIENT_BALANCE");
  expect(place(0, "buy", "market", 0, 3)).toMatchObject({ status: "FILLED", filledNotional: 900, reserved: 0 });
  expect(balanceOf(ledger, people[0]!, "USDT")).toMatchObject({ free: "0.00001000", locked: "0.00000000" });
  expect(balanceOf(ledger, people[0]!, "BTC")).toMatchObject({ free: "0.00013000", locked: "0.00000000" });
});

test("matcher - nonsense is rejected", () => {
  const { place } = market();
  for (const price of [0, -1, 1.5, Number.NaN]) expect(place(0, "buy", "limit", price, 1).reject).toBe("BAD_PRICE");
  for (const lots of [0, -1, 0.5, Number.POSITIVE_INFINITY]) {
    expect(place(0, "buy", "limit", 100, lots).reject).toBe("BAD_QUANTITY");
  }
  expect(place(0, "buy", "limit", 2 ** 40, 2 ** 20).reject).toBe("BAD_QUANTITY");
  expect(place(0, "buy", "market", 5, 1).reject).toBe("BAD_PRICE");
});

test("matcher - open orders per account are bounded", () => {
  const { place } = market();
  for (let i = 0; i < 1000; i++) place(0, "buy", "limit", 100, 1);
  expect(place(0, "buy", "limit", 100, 1).reject).toBe("TOO_MANY_ORDERS");
});

interface Action {
  readonly who: number;
  readonly side: Side;
  readonly type: OrderType;
  readonly price: number;
  readonly lots: number;
  /** Cancels this earlier order instead. */
  readonly cancel: number | null;
}

const actions = fc.array(
  fc.record<Action>({
    who: fc.nat({ max: 3 }),
    side: fc.constantFrom("buy", "sell"),
    type: fc.constantFrom("limit", "limit", "ioc", "market", "limitMaker"),
    price: fc.integer({ min: 95, max: 105 }),
    lots: fc.integer({ min: 1, max: 30 }),
    cancel: fc.option(fc.nat({ max: 60 }), { freq: 3 }),
  }),
  { maxLength: 80 },
);

test("matcher - totals stay, nothing goes negative, the book is uncrossed and holds what it says", () => {
  fc.assert(
    fc.property(actions, (script) => {
      // Poor enough that some orders are refused.
      const { ledger, matcher, people, place } = market(4, 60_000, 120);
      const before = ledger.totals();
      const orders: Order[] = [];
      for (const { who, side, type, price, lots, cancel } of script) {
        const old = cancel === null ? undefined : orders[cancel];
        if (old === undefined) orders.push(place(who, side, type, type === "market" ? 0 : price, lots));
        else {
          const resting = old.account.open.has(old.id);
          expect(matcher.cancel(old, 0)).toBe(resting);
        }
      }
      expect(ledger.totals()).toEqual(before);
      const { bids, asks } = matcher.book;
      if (bids.best && asks.best) expect(bids.best.price).toBeLessThan(asks.best.price);
      for (const side of [bids, asks]) {
        for (let n = 0; n < side.size; n++) {
          let sum = 0;
          for (let order = side.at(n)!.first; order !== null; order = order.after) sum += remainingOf(order);
          expect(sum).toBe(side.at(n)!.lots);
          expect(sum).toBeGreaterThan(0);
        }
      }
      for (const account of people) {
        let quote = 0;
        let base = 0;
        for (const order of account.open.values()) {
          if (order.side === "buy") quote += remainingOf(order) * order.price * 10;
          else base += remainingOf(order);
        }
        const usdt = balanceOf(ledger, account, "USDT");
        const btc = balanceOf(ledger, account, "BTC");
        expect(Math.round(Number(usdt?.locked ?? 0) * 1e8)).toBe(quote);
        expect(Math.round(Number(btc?.locked ?? 0) * 1e5)).toBe(base);
        for (const text of [usdt?.free, btc?.free]) expect(text?.startsWith("-") ?? false).toBe(false);
      }
    }),
    { numRuns: 300 },
  );
});

/** The rules again, as plainly as they can be written: one list of resting orders, searched for every fill. */
function plainMatch(script: readonly Action[]): string[] {
  const resting: { who: number; side: Side; price: number; lots: number }[] = [];
  const fills: string[] = [];
  for (const { who, side, type, price, lots } of script) {
    const sign = side === "buy" ? 1 : -1;
    const reachable = () =>
      resting
        .filter((order) => order.side !== side && (type === "market" || sign * order.price <= sign * price))
        .sort((a, b) => sign * (a.price - b.price))[0];
    if (type === "limitMaker" && reachable()) continue;
    let left = lots;
    for (let maker = reachable(); left > 0 && maker; maker = reachable()) {
      const filled = maker.who === who ? 0 : Math.min(left, maker.lots);
      if (filled > 0) fills.push(`${who}<-${maker.who} ${filled}@${maker.price}`);
      left -= filled;
      maker.lots -= filled;
      if (maker.lots === 0 || filled === 0) resting.splice(resting.indexOf(maker), 1);
    }
    if (left > 0 && (type === "limit" || type === "limitMaker")) resting.push({ who, side, price, lots: left });
  }
  return fills;
}

test("matcher - trades what the plain reading of the rules trades", () => {
  fc.assert(
    fc.property(actions, (script) => {
      const fills: string[] = [];
      let taker = 0;
      const { place, matcher } = market(4, 1e15, 1e9, {
        changed(order, fill) {
          if (!fill?.maker) return;
          fills.push(`${taker}<-${order.account.index} ${matcher.spec.quantities.parse(fill.quantity)}@${order.price}`);
        },
      });
      for (const { who, side, type, price, lots } of script) {
        taker = who;
        place(who, side, type, type === "market" ? 0 : price, lots);
      }
      expect(fills).toEqual(plainMatch(script));
    }),
    { numRuns: 300 },
  );
});
