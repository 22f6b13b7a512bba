import { expect, test } from "bun:test";
import type { Depth } from "../src/channel/types.ts";
import { Exchange } from "./exchange.ts";
import type { SimMarket } from "./symbols.ts";

const START = 1_795_321_303_824;

function begin(market: SimMarket) {
  const exchange = new Exchange({
    market,
    seed: 1,
    symbols: ["ethusdt"],
    startMs: START,
    firstTradeId: 1000,
    firstOrderId: 5000,
    channelName: (_, symbol, stream) => `${symbol}@${stream}`,
    markEveryMs: 1000,
  });
  exchange.open(START);
  const book = () => exchange.snapshot("ethusdt@depth", START)!.data as Depth;
  return { exchange, book };
}

test("trading - a limit order inside the spread is on the public book, then filled by others, with events", () => {
  const { exchange, book } = begin("spot");
  exchange.openAccount("ada", { USDT: "100000", ETH: "10" });
  const bid = book().bids[0]![0];
  const order = exchange.place(
    "ada",
    { symbol: "ethusdt", side: "buy", type: "limit", price: bid, quantity: "0.5" },
    START,
  );
  expect(order).toMatchObject({ status: "NEW", price: bid, quantity: "0.50000000", filled: "0.00000000" });
  const [update, ...others] = exchange.takeUpdates(START);
  expect(others).toEqual([]);
  expect(update).toMatchObject({ channel: "ethusdt@depth", type: "delta", data: { asks: [] } });
  expect(exchange.takeUpdates(START)).toEqual([]);
  const held = (Number(bid) * 0.5).toFixed(8);
  expect(exchange.account("ada").balances[0]).toMatchObject({ asset: "USDT", locked: held });

  let filled = "";
  for (let time = START; time < START + 600_000 && filled !== "0.50000000"; time += 20) {
    exchange.step(time);
    for (const event of exchange.takeEvents().events) if (event.type === "order") filled = event.order.filled;
  }
  expect(filled).toBe("0.50000000");
  const after = exchange.account("ada");
  expect(after.orders).toEqual([]);
  expect(after.balances.find(({ asset }) => asset === "ETH")?.free).toBe("10.50000000");
  expect(after.fills.every((fill) => fill.maker && fill.side === "buy" && fill.price === bid)).toBe(true);
});

test("trading - a market order gives trades, fills and an account event at once", () => {
  const { exchange, book } = begin("spot");
  exchange.openAccount("bob", { USDT: "100000" });
  exchange.takeUpdates(START);
  exchange.takeEvents();
  const ask = book().asks[0]![0];
  const order = exchange.place(
    "bob",
    { symbol: "ethusdt", side: "buy", type: "market", quantity: "2", clientId: "my-1" },
    START,
  );
  expect(order).toMatchObject({ status: "FILLED", price: "0", filled: "2.00000000", clientId: "my-1" });
  const updates = exchange.takeUpdates(START);
  expect(updates.map(({ kind }) => kind)).toEqual(["trade", "depth"]);
  expect(updates[0]).toMatchObject({ type: "items", data: [{ price: ask, side: "buy" }] });
  const { events, lost } = exchange.takeEvents();
  expect(lost).toBe(0);
  expect(events.map(({ type }) => type)).toEqual([
    "order",
    ...exchange.account("bob").fills.map(() => "order" as const),
    "account",
  ]);
  expect(events.at(-1)).toMatchObject({ type: "account", account: "bob" });
  const spent = 100_000 - Number(exchange.account("bob").balances[0]!.free);
  expect(spent).toBeCloseTo(Number(order.filledQuote), 6);
});

test("trading - cancel, and what cannot be cancelled or placed", () => {
  const { exchange } = begin("spot");
  exchange.openAccount("eve", { USDT: "5000" });
  const request = { symbol: "ethusdt", side: "buy", type: "limit", price: "2000.00", quantity: "1" } as const;
  const order = exchange.place("eve", request, START);
  expect(exchange.cancel("eve", order.orderId, START)).toMatchObject({ status: "CANCELED" });
  expect(exchange.cancel("eve", order.orderId, START)).toBeNull();
  expect(exchange.account("eve").balances).toEqual([{ asset: "USDT", free: "5000.00000000", locked: "0.00000000" }]);
  const rejects = [
    [{ ...request, price: "2000.001" }, "BAD_PRICE"],
    [{ ...request, price: "0" }, "BAD_PRICE"],
    [{ ...request, quantity: "1e3" }, "BAD_QUANTITY"],
    [{ ...request, quantity: "3" }, "INSUFFICIENT_BALANCE"],
    [{ ...request, price: "9000", type: "limitMaker", quantity: "0.1" }, "WOULD_MATCH"],
  ] as const;
  for (const [wrong, reason] of rejects) {
    expect(exchange.place("eve", wrong, START)).toMatchObject({ status: "REJECTED", reject: reason });
  }
  expect(() => exchange.place("nobody", request, START)).toThrow('no account "nobody"');
  expect(() => exchange.place("eve", { ...request, symbol: "xx" }, START)).toThrow('no symbol "xx"');
  expect(() => exchange.openAccount("eve", {})).toThrow("open already");
  expect(() => exchange.openAccount("mal", { USDT: "-5" })).toThrow("no deposit");
  expect(() => exchange.openAccount("eva", { GOLD: "5" })).toThrow("no deposit");
});

test("trading - an outside account is liquidated when the price runs away, and told", () => {
  const { exchange } = begin("usdm");
  exchange.openAccount("leo", { USDT: "1000" }, 125);
  const order = exchange.place("leo", { symbol: "ethusdt", side: "buy", type: "market", quantity: "40" }, START);
  expect(order.status).toBe("FILLED");
  expect(exchange.account("leo").positions[0]).toMatchObject({ symbol: "ethusdt", quantity: "40.000" });
  // 110 times its money: half a percent down is enough, some time within two days.
  for (let time = START; time < START + 48 * 3_600_000; time += 500) {
    exchange.step(time);
    if (exchange.account("leo").positions.length === 0) break;
  }
  const snapshot = exchange.account("leo");
  expect(snapshot.positions).toEqual([]);
  expect(Number(snapshot.balances[0]!.free)).toBeGreaterThanOrEqual(0);
  expect(Number(snapshot.balances[0]!.free)).toBeLessThan(1000);
  const { events } = exchange.takeEvents();
  expect(events.some((event) => event.type === "order" && event.order.type === "ioc")).toBe(true);
  expect(events.at(-1)).toMatchObject({ type: "account", positions: [] });
});

test("trading - events that nobody takes are bounded and counted", () => {
  const { exchange } = begin("spot");
  exchange.openAccount("max", { USDT: "5000" });
  const request = { symbol: "ethusdt", side: "buy", type: "limit", price: "2000.00", quantity: "1" } as const;
  for (let i = 0; i < 6000; i++) exchange.cancel("max", exchange.place("max", request, START).orderId, START);
  const { events, lost } = exchange.takeEvents();
  expect(events.length).toBe(10_000);
  expect(lost).toBe(2000);
  expect(exchange.takeEvents()).toEqual({ events: [], lost: 0 });
});
