/**
 * What is kept of one channel: the book or the newest value, and what its iterators have not taken yet.
 *
 * On the path: stream (a push that the chain took) -> CONTENT -> iterators.
 * Invariants: of a channel whose name does not say what it is, the first push does; the book stays one object.
 */
import { Book } from "./book.ts";
import { type Family, familyOf } from "./data.ts";
import type { Gap } from "./events.ts";
import type { ChannelPush, DataPush } from "./frames.ts";
import { BatchQueue, LatestQueue, type Queue } from "./queues.ts";
import type { BookUpdate, ValueUpdate } from "./subscription.ts";
import { Updates } from "./updates.ts";

export class Content {
  family: Family;
  book: Book | null;
  /** Of a value channel; null before the first. */
  value: unknown = null;
  readonly #most: number;
  readonly #isStale: () => boolean;
  readonly #updates = new Set<Updates>();
  /** The newest push with data in it. */
  #last: DataPush | null = null;

  /** `most`: items or candles that an iterator may hold. */
  constructor(channel: string, most: number, isStale: () => boolean) {
    this.family = familyOf(channel);
    this.book = this.family === "book" ? new Book() : null;
    this.#most = most;
    this.#isStale = isStale;
  }

  get last(): DataPush | null {
    return this.#last;
  }

  /** Somebody iterates. */
  get isIterated(): boolean {
    return this.#updates.size > 0;
  }

  iterate(): Updates {
    const queue = this.family === "unknown" ? null : this.#queue();
    const updates = new Updates(queue, (left) => this.#updates.delete(left));
    this.#updates.add(updates);
    return updates;
  }

  /** What kind of channel it is, if that was not known. */
  learn(push: ChannelPush): void {
    if (this.family !== "unknown" || push.type === "stale" || push.type === "cadence") return;
    this.family = push.type === "value" ? "value" : push.type === "items" || push.type === "gap" ? "items" : "book";
    if (this.family === "book") this.book = new Book();
    for (const updates of this.#updates) updates.adopt(() => this.#queue());
  }

  take(push: DataPush): void {
    this.#last = push;
    if (push.type === "value") this.value = push.data;
    else if (push.type !== "items") this.book?.push(push);
    for (const updates of this.#updates) updates.data(push);
  }

  gap(gap: Gap): void {
    for (const updates of this.#updates) updates.gap(gap);
  }

  /** It has become stale or fresh. */
  changed(): void {
    for (const updates of this.#updates) updates.changed();
  }

  /** A new numbering: what is known is void. Iterators go on with what comes. */
  clear(): void {
    this.book?.clear();
    this.value = null;
    this.#last = null;
  }

  finish(error: Error | null): void {
    for (const updates of this.#updates) updates.finish(error);
    this.#updates.clear();
  }

  #queue(): Queue {
    if (this.family === "items" || this.family === "candles")
      return new BatchQueue(this.#most, this.family === "candles");
    return new LatestQueue(() => this.#current());
  }

  #current(): BookUpdate | ValueUpdate<unknown> | null {
    const push = this.#last;
    if (push === null) return null;
    const { channel, seq, time, sentUs, data } = push;
    const stale = this.#isStale();
    if (this.book !== null) return { type: "book", channel, seq, time, sentUs, book: this.book, stale };
    return { type: "value", channel, seq, time, sentUs, data, stale };
  }
}
