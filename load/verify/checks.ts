/**
 * What all sessions of one process share while they verify: the tally, the time of the read at hand, and what sessions
 * of one channel must agree on.
 *
 * Invariants: nothing here is per session; every table has a bound, and what fell out of it is not compared any more.
 */
import { Head } from "../../client/src/mod.ts";
import type { Histogram } from "../histogram.ts";
import type { Tally } from "../tally.ts";
import { Agreement } from "./agreement.ts";
import { TradeIds } from "./trade-ids.ts";

/** `chains`: every chain and trade id, and the books of a few sessions. `books`: every book too. */
export type VerifyLevel = "none" | "chains" | "books";

const epochsMax = 1000;

export class Checks {
  readonly tally: Tally;
  readonly level: VerifyLevel;
  /** Filled anew for each frame. */
  readonly head = new Head();
  readonly ids: TradeIds;
  readonly books: Agreement;
  readonly #epochs = new Map<string, string>();
  /** Wall clock of the read at hand. */
  nowUs = 0;
  /** The window is open: rates and latencies count. */
  measuring = false;

  constructor(tally: Tally, level: VerifyLevel) {
    this.tally = tally;
    this.level = level;
    this.ids = new TradeIds(tally);
    this.books = new Agreement(tally);
  }

  /** One copy of each epoch for all sessions: what a head reads is a part of its frame, and would keep the frame. */
  epoch(text: string): string {
    const known = this.#epochs.get(text);
    if (known !== undefined) return known;
    if (this.#epochs.size >= epochsMax) this.#epochs.clear();
    const copy = Buffer.from(text).toString();
    this.#epochs.set(copy, copy);
    return copy;
  }

  /** A push came. `sentUs`: 0 if the frame does not say; `latency`: where it belongs. */
  push(sentUs: number, bytes: number, latency: Histogram): void {
    const { counts } = this.tally;
    counts.messages += 1;
    if (!this.measuring) return;
    counts.measuredMessages += 1;
    counts.measuredBytes += bytes;
    if (sentUs > 0) latency.add(this.nowUs - sentUs);
  }
}

/** Of a channel or stream name; `null`: no kind whose content is verified. */
export type Content = "book" | "trades" | "aggTrades" | null;

export function contentOf(name: string): Content {
  const stream = /@(depth|trade|aggTrade)(?:@|$)/.exec(name)?.[1];
  if (stream === "depth") return "book";
  return stream === "trade" ? "trades" : stream === "aggTrade" ? "aggTrades" : null;
}
