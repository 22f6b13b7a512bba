/**
 * What the screen shows of one channel: a book, the last items, or the current value.
 *
 * Invariants: `lines` has at most the height it is given and no line is wider than the width.
 */

import type { ChannelPush } from "../../../client/src/frames.ts";
import { type Book, createBook } from "../../channel/book.ts";
import type { Level } from "../../channel/types.ts";
import { describe, duration, gapText, isDepth, timeOfDay } from "./text.ts";

const ITEMS_KEPT = 200;
const RATE_WINDOW_MS = 2000;

export const paint = {
  green: (text: string): string => `\x1b[32m${text}\x1b[0m`,
  red: (text: string): string => `\x1b[31m${text}\x1b[0m`,
  bold: (text: string): string => `\x1b[1m${text}\x1b[0m`,
  dim: (text: string): string => `\x1b[2m${text}\x1b[0m`,
  alarm: (text: string): string => `\x1b[1;37;41m ${text} \x1b[0m`,
};

export class Panel {
  readonly channel: string;
  readonly #book: Book = createBook();
  #is: "empty" | "book" | "values" | "items" = "empty";
  #items: string[] = [];
  #values: string[] = [];
  #seq: number | null = null;
  #latencyMs: number | null = null;
  #stale = false;
  #gaps = 0;
  #windowStart = 0;
  #rated = false;
  #windowPushes = 0;
  #perSecond = 0;

  constructor(channel: string) {
    this.channel = channel;
  }

  /** The book behind a depth channel; null for others. */
  get book(): Book | null {
    return this.#is === "book" ? this.#book : null;
  }

  add(push: ChannelPush, restart: boolean, nowUs: number): void {
    this.#rate(nowUs / 1000);
    if (restart) {
      this.#items.push("--- new epoch ---");
      this.#values = [];
    }
    if (push.type === "cadence") return;
    if (push.type === "stale") {
      this.#stale = true;
      return;
    }
    if (push.type === "gap") {
      this.#gaps += 1;
      this.#seq = push.to;
      this.#items.push(`--- gap: ${gapText(push)} ---`);
      return;
    }
    this.#seq = push.seq;
    this.#latencyMs = Math.max(0, (nowUs - push.sentUs) / 1000);
    this.#stale = false;
    if (push.type === "snapshot") {
      this.#is = "book";
      this.#book.replace(push.data);
    } else if (push.type === "delta") {
      this.#is = "book";
      this.#book.apply(push.data);
    } else if (push.type === "items") {
      this.#is = "items";
      for (const item of push.data) this.#items.push(`${timeOfDay(push.time)} ${describe(item)}`);
      if (this.#items.length > ITEMS_KEPT) this.#items = this.#items.slice(-ITEMS_KEPT);
    } else if (isDepth(push.data)) {
      this.#is = "book";
      this.#book.replace(push.data);
    } else {
      this.#is = "values";
      const values = Array.isArray(push.data) ? push.data : [push.data];
      this.#values = values.map((value) => `${timeOfDay(push.time)} ${describe(value)}`);
    }
  }

  /** Something is missing or the connection is gone: what is shown is not to be trusted. */
  distrust(): void {
    this.#stale = true;
  }

  /** Over the last whole window; over what there is of the first one. */
  #rate(nowMs: number): void {
    if (this.#windowPushes === 0 && this.#windowStart === 0) this.#windowStart = nowMs;
    this.#windowPushes += 1;
    const past = nowMs - this.#windowStart;
    const first = !this.#rated && past > 100;
    if (!first && past < RATE_WINDOW_MS) return;
    this.#perSecond = (this.#windowPushes * 1000) / past;
    if (past < RATE_WINDOW_MS) return;
    this.#rated = true;
    this.#windowStart = nowMs;
    this.#windowPushes = 0;
  }

  /** Rows it would like to have. */
  get wants(): number {
    return this.#is === "book" ? 17 : this.#is === "items" ? 12 : 1 + Math.max(1, this.#values.length);
  }

  lines(width: number, height: number): string[] {
    const head = this.#head(width);
    if (this.#is === "book") return [head, ...this.#bookLines(width, height - 1)].slice(0, height);
    const body = this.#is === "items" ? this.#items.slice(-Math.max(0, height - 1)) : this.#values.slice(-(height - 1));
    if (this.#is === "empty") body.push("waiting for the first push");
    return [head, ...body.map((line) => line.slice(0, width))].slice(0, height);
  }

  #head(width: number): string {
    const { bestBid, bestAsk } = this.#book;
    const parts = [`seq ${this.#seq ?? "-"}`, `${this.#perSecond.toFixed(0)}/s`];
    if (this.#is === "book" && bestBid !== null && bestAsk !== null)
      parts.unshift(`spread ${spread(bestBid, bestAsk)}`);
    if (this.#latencyMs !== null) parts.push(`latency ${duration(this.#latencyMs)}`);
    if (this.#gaps > 0) parts.push(`gaps ${this.#gaps}`);
    const alarm = this.#stale ? 8 : 0;
    const text = `  ${parts.join("  ")}`.slice(0, Math.max(0, width - this.channel.length - alarm));
    return paint.bold(this.channel.slice(0, width)) + text + (this.#stale ? ` ${paint.alarm("STALE")}` : "");
  }

  #bookLines(width: number, height: number): string[] {
    const rows = Math.max(0, Math.min(15, height));
    const bids = this.#book.bids(rows);
    const asks = this.#book.asks(rows);
    const most = Math.max(...[...bids, ...asks].map(([, quantity]) => Number(quantity)), Number.MIN_VALUE);
    const widest = (at: 0 | 1): number => Math.max(1, ...[...bids, ...asks].map((level) => level[at].length));
    const priceWidth = widest(0);
    const quantityWidth = widest(1);
    const barWidth = Math.min(30, Math.max(0, Math.floor(width / 2) - priceWidth - quantityWidth - 4));
    const bar = (level: Level): string => "█".repeat(Math.round((Number(level[1]) / most) * barWidth));
    return Array.from({ length: Math.min(rows, Math.max(bids.length, asks.length)) }, (_, at) => {
      const bid = bids[at];
      const ask = asks[at];
      const left =
        bid === undefined
          ? " ".repeat(barWidth + quantityWidth + priceWidth + 2)
          : `${paint.green(bar(bid).padStart(barWidth))} ${bid[1].padStart(quantityWidth)} ${paint.green(bid[0].padStart(priceWidth))}`;
      const right =
        ask === undefined
          ? ""
          : `${paint.red(ask[0].padEnd(priceWidth))} ${ask[1].padEnd(quantityWidth)} ${paint.red(bar(ask))}`;
      return `${left}  ${right}`;
    });
  }
}

/** Ask minus bid with as many digits as the longer of the two prices has. */
function spread(bid: Level, ask: Level): string {
  const digits = Math.max(...[bid[0], ask[0]].map((price) => (price.split(".")[1] ?? "").length));
  return (Number(ask[0]) - Number(bid[0])).toFixed(Math.min(20, digits));
}
