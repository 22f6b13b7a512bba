/**
 * A floor with the agents that move it and the public channels it publishes on.
 *
 * Invariant: one `takeUpdates` gives at most one update per channel, and of the book only the levels that changed.
 */
import type { Level, MarkPrice, Update } from "../src/channel/types.ts";
import type { BookSide, LevelChange } from "./book.ts";
import type { Crowd } from "./crowd.ts";
import type { Floor } from "./floor.ts";
import type { Speculators } from "./speculators.ts";
import type { SymbolSpec } from "./symbols.ts";

export type ChannelName = (market: string, symbol: string, stream: string) => string;

export class Stage {
  readonly floor: Floor;
  readonly crowd: Crowd;
  readonly speculators: Speculators | null;
  readonly trade: string;
  readonly depth: string;
  readonly #markPrice: string;
  readonly #liquidation: string;

  constructor(floor: Floor, crowd: Crowd, speculators: Speculators | null, channelName: ChannelName) {
    const { market, symbol } = floor.spec;
    this.floor = floor;
    this.crowd = crowd;
    this.speculators = speculators;
    this.trade = channelName(market, symbol, "trade");
    this.depth = channelName(market, symbol, "depth");
    this.#markPrice = channelName(market, symbol, "markPrice");
    this.#liquidation = channelName(market, symbol, "forceOrder");
  }

  /** What changed since it was last asked. */
  takeUpdates(timeMs: number): Update[] {
    const { floor } = this;
    const time = Math.floor(timeMs);
    const updates: Update[] = [];
    const trades = floor.matcher.takeTrades();
    if (trades.length > 0) {
      updates.push({ channel: this.trade, kind: "trade", user: "", time, type: "items", data: trades });
    }
    const { bids, asks } = floor.matcher.book;
    if (bids.changed || asks.changed) {
      const data = { bids: levelsOf(floor.spec, bids.takeChanges()), asks: levelsOf(floor.spec, asks.takeChanges()) };
      if (data.bids.length + data.asks.length > 0) {
        updates.push({ channel: this.depth, kind: "depth", user: "", time, type: "delta", data });
      }
    }
    if (floor.liquidations.length > 0) {
      const data = floor.liquidations;
      floor.liquidations = [];
      updates.push({ channel: this.#liquidation, kind: "liquidation", user: "", time, type: "items", data });
    }
    return updates;
  }

  snapshot(timeMs: number): Update {
    const { spec, matcher } = this.floor;
    const data = { bids: wholeOf(spec, matcher.book.bids), asks: wholeOf(spec, matcher.book.asks) };
    return { channel: this.depth, kind: "depth", user: "", time: Math.floor(timeMs), type: "snapshot", data };
  }

  marked(data: MarkPrice, timeMs: number): Update {
    return { channel: this.#markPrice, kind: "markPrice", user: "", time: Math.floor(timeMs), type: "value", data };
  }
}

const NO_LEVELS: readonly Level[] = [];

function levelsOf(spec: SymbolSpec, changes: readonly LevelChange[]): readonly Level[] {
  if (changes.length === 0) return NO_LEVELS;
  return changes.map(([price, lots]) => [spec.prices.format(price), spec.quantities.format(lots)]);
}

function wholeOf(spec: SymbolSpec, side: BookSide): Level[] {
  const levels: Level[] = [];
  for (let n = 0; n < side.size; n++) {
    const level = side.at(n)!;
    levels.push([spec.prices.format(level.price), spec.quantities.format(level.lots)]);
  }
  return levels;
}
