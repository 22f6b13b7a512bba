import { expect, test } from "bun:test";
import { Clearing, FUNDING_MS } from "./clearing.ts";
import { FairPrice } from "./fair.ts";
import { Floor } from "./floor.ts";
import { Matcher } from "./matcher.ts";
import type { Account } from "./orders.ts";
import { symbolsOf } from "./symbols.ts";
import { UsdmLedger } from "./usdm-ledger.ts";

const START = 1_795_321_303_824;

/** One floor with nobody on it: a fund, a long with little behind it, a short with plenty, and a quoter. */
function begin() {
  const specs = symbolsOf("usdm", ["btcusdt"]);
  const spec = specs[0]!;
  const ledger = new UsdmLedger(specs);
  const account = (index: number, house: boolean, wallet: number): Account => {
    const one = { index, id: `u${index}`, house, watched: false, leverage: 100, open: new Map(), fills: [] };
    ledger.open(one);
    ledger.deposit(one, "USDT", wallet);
    return one;
  };
  const fund = account(0, true, 1e14);
  const long = account(1, false, 1100e8);
  const short = account(2, true, 1e14);
  const quoter = account(3, true, 1e14);
  const matcher = new Matcher(spec, ledger.settlementOf(0), { changed() {} }, { next: 1 }, 1);
  const floor = new Floor(0, matcher, new FairPrice(1, "btcusdt", spec.anchor, spec.volatility), [], ledger);
  const clearing = new Clearing(ledger, [floor], fund, START);
  // One whole bitcoin, for about a hundredth of its price.
  const entry = Math.round(floor.fairTicks(START));
  matcher.place(short, "sell", "limit", entry, 1000, START);
  expect(matcher.place(long, "buy", "limit", entry, 1000, START).status).toBe("FILLED");
  return { ledger, fund, long, quoter, matcher, floor, clearing, entry };
}

test("clearing - who is not under water is not liquidated", () => {
  const { clearing, floor, long } = begin();
  expect(clearing.underwater(floor)).toEqual([]);
  expect(clearing.liquidate(floor, long, START)).toBeNull();
});

test("clearing - a liquidation sells into the book, cancels the account's orders, and keeps what is left", () => {
  const { clearing, floor, long, ledger, matcher, quoter, entry } = begin();
  const resting = matcher.place(long, "buy", "limit", Math.round(entry * 0.9), 1, START);
  matcher.place(quoter, "buy", "limit", Math.round(entry * 0.995), 5000, START);
  ledger.setMark(0, entry * 0.992);
  expect(clearing.underwater(floor)).toEqual([long]);
  const before = ledger.totals();
  const liquidation = clearing.liquidate(floor, long, START)!;
  expect(liquidation).toMatchObject({ side: "sell", quantity: "1.000", filled: "1.000" });
  expect(Number(liquidation.averagePrice)).toBeGreaterThan(Number(liquidation.price));
  expect(resting.status).toBe("CANCELED");
  expect(ledger.lotsOf(long, 0)).toBe(0);
  expect(ledger.walletOf(long)).toBeGreaterThan(0);
  expect(ledger.totals()).toEqual(before);
});

test("clearing - what the book does not take the fund takes over, and pays what is short", () => {
  const { clearing, floor, long, ledger, fund, matcher, quoter, entry } = begin();
  ledger.setMark(0, entry * 0.98);
  const price = Math.ceil(ledger.bankruptcyPrice(long, 0));
  matcher.place(quoter, "buy", "limit", price, 300, START);
  const before = ledger.totals();
  expect(clearing.liquidate(floor, long, START)).toMatchObject({ quantity: "1.000", filled: "0.300" });
  expect([ledger.lotsOf(long, 0), ledger.lotsOf(fund, 0)]).toEqual([0, 700]);
  expect(ledger.walletOf(long)).toBeGreaterThanOrEqual(0);
  // Within a tick of nothing.
  expect(ledger.walletOf(long)).toBeLessThanOrEqual(1000 * floor.spec.quoteUnits);
  expect(ledger.totals()).toEqual(before);
});

test("clearing - funding is paid once per 8 h, by the long here, and the next time is told", () => {
  const { clearing, floor, long, ledger } = begin();
  const due = clearing.update(floor, START).nextFundingTime;
  expect(due).toBe((Math.floor(START / FUNDING_MS) + 1) * FUNDING_MS);
  const wallet = ledger.walletOf(long);
  expect(clearing.fundingDue(due - 1)).toBe(false);
  const { fundingRate, mark } = clearing.update(floor, due - 1);
  expect(clearing.fundingDue(due)).toBe(true);
  expect((wallet - ledger.walletOf(long)) / 1e8).toBeCloseTo(Number(fundingRate) * Number(mark), 2);
  expect(clearing.fundingDue(due + 1)).toBe(false);
  expect(clearing.update(floor, due + 1).nextFundingTime).toBe(due + FUNDING_MS);
});
