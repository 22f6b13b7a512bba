/**
 * Trades exactly once, by their ids: all sessions of a channel must see the same trade behind each trade, and ids rise.
 *
 * A channel whose ids rose by exactly 1 for `denseAfter` trades is taken to be numbered without holes: a hole is then a
 * fault too, so that a single session finds a lost trade.
 *
 * Invariants: what a session says is compared with what the first one said; nothing is kept per session here.
 * At the limit: the oldest trades are forgotten; a trade behind a forgotten one is not compared.
 */
import type { Tally } from "../tally.ts";

/** A number where it is one below 2^53, else as it was written. */
export type TradeId = number | string;

const tradesMax = 100_000;
const denseAfter = 500;

interface Channel {
  readonly next: Map<TradeId, TradeId>;
  /** Steps of exactly 1 since the beginning; -1: there was another one. */
  dense: number;
}

export class TradeIds {
  readonly #tally: Tally;
  readonly #channels = new Map<string, Channel>();

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** A session got `id` right after `last` with nothing told between. */
  follows(channel: string, last: TradeId, id: TradeId): void {
    this.#tally.counts.ids += 1;
    const fault = this.#judge(this.#channel(channel), last, id);
    if (fault !== null) this.#tally.fault("ids", () => `${channel}: ${fault}`);
  }

  #channel(name: string): Channel {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = { next: new Map(), dense: 0 };
      this.#channels.set(name, channel);
    }
    return channel;
  }

  #judge(channel: Channel, last: TradeId, id: TradeId): string | null {
    if (id === last) return `trade ${id} came twice`;
    if (typeof id === "number" && typeof last === "number" && id < last) return `trade ${id} came after ${last}`;
    const known = channel.next.get(last);
    if (known !== undefined && known !== id) return `after trade ${last} one session got ${known}, another ${id}`;
    if (known !== undefined) return null;
    channel.next.set(last, id);
    if (channel.next.size > tradesMax) channel.next.delete(channel.next.keys().next().value!);
    if (channel.dense < 0) return null;
    if (typeof id === "number" && typeof last === "number" && id === last + 1) {
      channel.dense += 1;
      return null;
    }
    const wasDense = channel.dense >= denseAfter;
    if (!wasDense) channel.dense = -1;
    return wasDense ? `trades ${last} and ${id}: something between them is missing` : null;
  }
}

/** What `"551201"` or `551201` is. */
export function tradeId(text: string): TradeId {
  const number = Number(text);
  return Number.isSafeInteger(number) && String(number) === text ? number : text;
}
