/**
 * An L2 order book with decimal strings.
 *
 * Invariants: one level per price; levels are ordered by price compared as numbers, and as decimals where two strings
 * make the same double; a quantity that is zero removes the level.
 */
import type { Depth, Level } from "./types.ts";

export interface Book {
  /** Replaces everything. */
  replace(depth: Depth): void;
  /** Applies absolute quantities; zero removes. */
  apply(delta: Depth): void;
  /** Best first, at most `n` (default: all). */
  bids(n?: number): Level[];
  asks(n?: number): Level[];
  readonly bestBid: Level | null;
  readonly bestAsk: Level | null;
  readonly bidCount: number;
  readonly askCount: number;
  /** Keeps the best `n` of each side; returns the removed levels with quantity "0", or null if none was. */
  truncate(n: number): Depth | null;
  /** The delta that turns this book into `target` (vanished levels as "0"). */
  diff(target: Depth): Depth;
  /** Best bid at or above best ask. */
  readonly crossed: boolean;
}
