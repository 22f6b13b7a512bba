import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Side } from "../src/channel/types.ts";
import { Matcher } from "./matcher.ts";
import type { Account, OrderType } from "./orders.ts";
import { symbolsOf } from "./symbols.ts";
import { UsdmLedger } from "./usdm-ledger.ts";

/** btcusdt (a lot of 0.001 costs 10^4 quote units per tick of 0.10) and ethusdt; marks at 1000 ticks. */
function market(wallets: readonly number[], leverage = 10) {
  const specs = symbolsOf("usdm", ["btcusdt", "ethusdt"]);
  const ledger = new UsdmLedger(specs);
  const people = wallets.map((wallet, index): Account => {
    const account = { index, id: `u${index}`, house: false, watched: false, leverage, open: new Map(), fills: [] };
    ledger.open(account);
    ledger.deposit(account, "USDT", wallet);
    return account;
  });
  const ids = { next: 1 };
  const matchers = specs.map((spec, i) => new Matcher(spec, ledger.settlementOf(i), { changed() {} }, ids, 1));
  for (const i of specs.keys()) ledger.setMark(i, 1000);
  const place = (who: number, side: Side, price: number, lots: number, type: OrderType = "limit", reduceOnly = false) =>
    matchers[0]!.place(people[who]!, side, type, price, lots, 0, { reduceOnly });
  return { ledger, people, matchers, place };
}

const LOT = 10_000;

test("usdm ledger - opens, averages, realises and turns a position", () => {
  const { ledger, people, place } = market([1e12, 1e12]);
  const [one, other] = people as [Account, Account];
  const deal = (side: Side, price: number, lots: number) => {
    place(1, side === "buy" ? "sell" : "buy", price, lots);
    expect(place(0, side, price, lots).status).toBe("FILLED");
  };
  deal("buy", 1000, 10);
  deal("buy", 1100, 10);
  expect(ledger.positions(one)[0]).toMatchObject({ symbol: "btcusdt", quantity: "0.020", entryPrice: "105.000" });
  expect(ledger.equity(one)).toBe(1e12 - 10 * 100 * LOT);
  deal("sell", 1150, 5);
  expect(ledger.walletOf(one)).toBe(1e12 + 5 * 100 * LOT);
  deal("sell", 900, 20);
  expect(ledger.lotsOf(one, 0)).toBe(-5);
  expect(ledger.walletOf(one)).toBe(1e12 + 5 * 100 * LOT - 15 * 150 * LOT);
  expect(ledger.positions(one)[0]).toMatchObject({ quantity: "-0.005", entryPrice: "90.000" });
  expect(ledger.equity(one) + ledger.equity(other)).toBe(2e12);
});

test("usdm ledger - margin bounds what can be opened, and comes back with a cancel", () => {
  const { people, place, matchers, ledger } = market([10 * 1000 * LOT, 1e12]);
  expect(place(0, "buy", 1000, 101).reject).toBe("INSUFFICIENT_BALANCE");
  const order = place(0, "buy", 1000, 100);
  expect(order.status).toBe("NEW");
  expect(place(0, "buy", 1000, 1).reject).toBe("INSUFFICIENT_BALANCE");
  matchers[0]!.cancel(order, 0);
  expect(ledger.balances(people[0]!)).toEqual([{ asset: "USDT", free: "1.00000000", locked: "0.00000000" }]);
  expect(place(0, "sell", 1000, 100).status).toBe("NEW");
});

test("usdm ledger - reduce-only never opens", () => {
  const { place } = market([1e12, 1e12]);
  expect(place(0, "sell", 900, 1, "ioc", true).reject).toBe("REDUCE_ONLY");
  place(1, "sell", 1000, 10);
  place(0, "buy", 1000, 10);
  place(1, "buy", 990, 50);
  expect(place(0, "sell", 990, 11, "ioc", true).reject).toBe("REDUCE_ONLY");
  expect(place(0, "buy", 1000, 5, "ioc", true).reject).toBe("REDUCE_ONLY");
  expect(place(0, "sell", 990, 5, "limit", true).reject).toBe("REDUCE_ONLY");
  expect(place(0, "sell", 990, 10, "ioc", true).status).toBe("FILLED");
});

test("usdm ledger - under water when equity falls below maintenance, bankrupt at zero equity", () => {
  const { ledger, people, place } = market([100 * 1000 * LOT, 1e12]);
  place(1, "sell", 1000, 900);
  place(0, "buy", 1000, 900);
  expect(ledger.underwater(0)).toEqual([]);
  const bankruptcy = ledger.bankruptcyPrice(people[0]!, 0);
  expect(bankruptcy).toBeCloseTo(1000 - 1000 / 9, 6);
  ledger.setMark(0, bankruptcy + 1);
  expect(ledger.underwater(0)).toEqual([people[0]!]);
  ledger.setMark(0, bankruptcy);
  expect(Math.abs(ledger.equity(people[0]!))).toBeLessThan(1);
});

test("usdm ledger - funding moves from longs to shorts and adds up to nothing", () => {
  const { ledger, people, place } = market([1e12, 1e12, 0]);
  place(1, "sell", 1000, 333);
  place(0, "buy", 1000, 333);
  ledger.setMark(0, 1000.37);
  const before = ledger.totals();
  ledger.payFunding(0, 0.000123, people[2]!);
  expect(ledger.walletOf(people[0]!)).toBe(1e12 - Math.round(333 * 1000.37 * LOT * 0.000123));
  expect(ledger.walletOf(people[1]!)).toBeGreaterThan(1e12);
  expect(ledger.totals()).toEqual(before);
});

test("usdm ledger - whatever is traded, quote and the sum of positions stay, and margin is what orders hold", () => {
  const step = fc.record({
    who: fc.nat({ max: 3 }),
    side: fc.constantFrom<Side>("buy", "sell"),
    type: fc.constantFrom<OrderType>("limit", "limit", "ioc", "market"),
    price: fc.integer({ min: 950, max: 1050 }),
    lots: fc.integer({ min: 1, max: 300 }),
    reduceOnly: fc.boolean(),
    mark: fc.integer({ min: 950, max: 1050 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (script) => {
      const { ledger, people, place } = market([3e10, 5e10, 1e11, 1e11]);
      const before = ledger.totals();
      for (const { who, side, type, price, lots, reduceOnly, mark } of script) {
        ledger.setMark(0, mark);
        place(who, side, type === "market" ? 0 : price, lots, type, reduceOnly && type !== "limit");
      }
      expect(ledger.totals()).toEqual(before);
      for (const account of people) {
        let held = 0;
        for (const order of account.open.values()) held += order.reserved;
        expect(ledger.balances(account)[0]?.locked).toBe((held / 1e8).toFixed(8));
      }
    }),
    { numRuns: 300 },
  );
});
