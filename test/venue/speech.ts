/**
 * How a venue speaks, from its own side: what the test server must know to play it. Shares no code with the mappers.
 */
import type { PlainDepth } from "../lib/plain-book.ts";

export interface Speech {
  readonly name: string;
  /** Levels a subscriber sees; Infinity if all. */
  readonly window: number;
  /** What a frame does to a book; null if it concerns none. */
  read(frame: string): BookFrame | null;
  /** A frame as it goes out; `last` numbers the book's changes. Default: as it was recorded. */
  dress?(frame: string, book: BookFrame, last: number): string;
  /** A whole book as a frame; null if this venue sends none. */
  snapshot(symbol: string, depth: PlainDepth, last: number): string | null;
  /** What a client's frame asks for. */
  command(text: string): Command;
  /** A path that subscribes by itself (Binance): symbols of the books in it. */
  pathBooks?(path: string): readonly string[];
  /** Whether a connection with this path gets a frame at all. Default: whatever is subscribed. */
  carries?(path: string, frame: string): boolean;
  /** The REST reply of a book. */
  rest?(path: string, depthOf: (symbol: string) => { depth: PlainDepth; last: number } | null): string | null;
  /** Sent at once to a new connection. */
  readonly greeting?: string;
}

export interface BookFrame {
  readonly symbol: string;
  readonly type: "snapshot" | "delta";
  readonly bids: readonly (readonly [string, string])[];
  readonly asks: readonly (readonly [string, string])[];
  /** The venue's own number of this change, if frames carry one. */
  readonly last?: number;
}

export interface Command {
  readonly replies: readonly string[];
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
}

export const NOTHING: Command = { replies: [], subscribe: [], unsubscribe: [] };

/** `[[price, quantity, ...], ..]` without what stands behind. */
export function pairs(levels: unknown): [string, string][] {
  if (!Array.isArray(levels)) return [];
  return levels.map((level: unknown[]) => [String(level[0]), String(level[1])]);
}
