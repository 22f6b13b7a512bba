/**
 * How much of each channel this node keeps for those who come back with `since`, and for workers that were lapped.
 *
 * Beyond either bound the oldest publication goes. Whoever asks for more than is kept gets: book: a snapshot instead of one
 * merged delta; items: a `gap` and then what is kept; candles: those that are kept and the current one. `recovered` is
 * false in all three. What a bound costs at most (measured; on the owner's own node it is shared with the owner): a trade
 * 0.8 KB, a book's delta of ten levels 3 KB, a closed candle 1.5 KB. docs/protocol.md, "Resume", has the table for clients.
 */
import type { Channel } from "../channel/channel.ts";
import type { TopicSetting } from "../channel/topic-settings.ts";
import type { Family } from "../channel/types.ts";

export interface HistoryLimits {
  /** Publications; of candles those in which one closed. */
  readonly countMax: number;
  /** ms of receipt behind the newest publication. */
  readonly ageMaxMs: number;
}

/** A value is its own history: whoever comes back gets the current one. */
export const HISTORY_LIMITS: Readonly<Record<Family, HistoryLimits>> = {
  // A merged delta of more than a minute is hardly smaller than a snapshot.
  book: { countMax: 2000, ageMaxMs: 60_000 },
  items: { countMax: 1000, ageMaxMs: 300_000 },
  candles: { countMax: 500, ageMaxMs: Number.POSITIVE_INFINITY },
  value: { countMax: 0, ageMaxMs: 0 },
};

/** Publications kept in all channels together: of 5,000 channels each keeps 50. At most 0.2 GB of trades, 0.75 GB of books. */
export const HISTORY_TOTAL_MAX = 250_000;

/** What a topic's settings say instead of the table; null or missing fields: the table. */
export type HistoryOf = (channel: Channel) => Partial<HistoryLimits> | null;

/** A topic's settings in the engine's units. */
export function historyLimitsOf({ history }: Pick<TopicSetting, "history">): Partial<HistoryLimits> {
  const { count, seconds } = history;
  return {
    ...(count === undefined ? {} : { countMax: count }),
    ...(seconds === undefined ? {} : { ageMaxMs: seconds * 1000 }),
  };
}

/** Shares a node's memory between the histories of its channels: with many channels each keeps fewer publications. */
export class HistoryShares {
  readonly #totalMax: number;
  #histories = 0;

  constructor(totalMax: number) {
    this.#totalMax = totalMax;
  }

  /** Publications that one history may hold just now. */
  get each(): number {
    return Math.floor(this.#totalMax / Math.max(1, this.#histories));
  }

  open(): void {
    this.#histories++;
  }

  close(): void {
    this.#histories--;
  }
}
