/**
 * Seeded history: thinned trades along the fair price, so that candles and windows are full when the simulation begins.
 *
 * Invariant: times never fall and lie in [fromMs, toMs); one yield is one record (the trades of one taker order).
 */
import type { Side, Trade } from "../src/channel/types.ts";
import type { Floor } from "./floor.ts";
import type { Random } from "./random.ts";

/** Between two taker orders of one symbol: 20 to 60 s. */
const PAUSE_MIN_MS = 20_000;
const PAUSE_MAX_MS = 60_000;
/** Quote value of an order: each stands for many of the live market. */
const VALUE = 25_000;
const TRADES_MAX = 3;

export interface PastTrades {
  readonly floor: Floor;
  readonly trades: readonly Trade[];
  readonly time: number;
}

export function* history(
  floors: readonly Floor[],
  random: Random,
  fromMs: number,
  toMs: number,
): Generator<PastTrades> {
  const due = floors.map(() => fromMs + PAUSE_MAX_MS * random.next());
  for (;;) {
    let next = 0;
    for (let i = 1; i < due.length; i++) if (due[i]! < due[next]!) next = i;
    const time = due[next];
    if (time === undefined || time >= toMs) return;
    due[next] = time + PAUSE_MIN_MS + (PAUSE_MAX_MS - PAUSE_MIN_MS) * random.next();
    const floor = floors[next]!;
    yield { floor, trades: takerOrder(floor, random, time), time: Math.floor(time) };
  }
}

/** One taker order through one to three prices. */
function takerOrder(floor: Floor, random: Random, time: number): Trade[] {
  const side: Side = random.chance(0.5 + 0.25 * floor.fair.moodAt(time)) ? "buy" : "sell";
  const step = side === "buy" ? 1 : -1;
  const fair = floor.fairTicks(time);
  let price = Math.max(TRADES_MAX, side === "buy" ? Math.ceil(fair) : Math.floor(fair));
  const trades: Trade[] = [];
  const count = 1 + random.below(TRADES_MAX);
  for (let i = 0; i < count; i++) {
    const lots = floor.lotsFor((VALUE / count) * Math.exp(0.9 * random.normal()), price);
    trades.push(floor.matcher.writeTrade(price, lots, side, time));
    price += step;
  }
  return trades;
}
