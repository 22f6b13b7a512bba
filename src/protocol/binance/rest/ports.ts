/** What REST needs of the node: the instruments, the engine's books, and what the owners keep of the other channels. */
import type { Instrument } from "../../../channel/instruments.ts";
import type { Body, Level, Publication } from "../../../channel/types.ts";
import type { Clock } from "../../../lib/clock.ts";

/** A book for a REST client, or that there is none to be trusted now. */
export type DepthReply =
  | {
      readonly lastUpdateId: number;
      readonly bids: readonly Level[];
      readonly asks: readonly Level[];
      /** Source time in ms. */
      readonly time: number;
    }
  | { readonly unavailable: true };

/** What the owner of a channel keeps of it (a StateReply of the bus fits). */
export interface Kept {
  /** The whole state: a value, the current candles. Null if there is none. */
  readonly state: Body | null;
  /** Recent publications, oldest first. */
  readonly history: readonly Publication[];
  /** Source time of the last change, ms. */
  readonly time: number;
}

/** What is needed of the instruments registry. */
export interface Instruments {
  list(market: string): readonly Instrument[];
  find(market: string, symbol: string): Instrument | null;
  onChange(listener: () => void): () => void;
}

export interface BinanceRestPorts {
  readonly instruments: Instruments;
  /** The best `limit` levels of a book (canonical channel name); the same object where nothing changed saves its encoding. */
  depth(channel: string, limit: number): Promise<DepthReply>;
  /** Null: no owner knows the channel. Rejects where it cannot be had now. */
  kept(channel: string): Promise<Kept | null>;
  readonly clock: Clock;
  /** A request failed for a reason that is neither the client's nor an operating one. */
  failed?(error: unknown): void;
  /** Requests waiting at once. Default 1000. */
  readonly pendingMax?: number;
}
