/**
 * What one consumer of a subscription has not taken yet.
 *
 * On the path: stream -> QUEUES -> updates (the iterator).
 * Invariants: items and candles come in order and once, each candle in its newest state; what was left out stands as a
 * gap where it was. A book or a value is one update, the newest.
 * At the limit: beyond `most` items, candles and gaps the oldest are left out and become one gap with reason `buffer`.
 */
import type { Candle } from "./data.ts";
import type { Gap } from "./events.ts";
import type { DataPush } from "./frames.ts";
import type { AnyUpdate, BookUpdate, CandlesUpdate, GapUpdate, ItemsUpdate, ValueUpdate } from "./subscription.ts";

export interface Queue {
  /** The next update; null: there is none now. */
  take(): AnyUpdate | null;
  data(push: DataPush): void;
  gap(gap: Gap): void;
  /** A book or value was called stale or fresh. */
  changed(): void;
}

/** For books and values: whether there is something new. The same state is not given twice. */
export class LatestQueue implements Queue {
  readonly #current: () => BookUpdate | ValueUpdate<unknown> | null;
  #changed: boolean;
  #given: BookUpdate | ValueUpdate<unknown> | null = null;

  constructor(current: () => BookUpdate | ValueUpdate<unknown> | null) {
    this.#current = current;
    this.#changed = current() !== null;
  }

  take(): AnyUpdate | null {
    if (!this.#changed) return null;
    this.#changed = false;
    const [given, current] = [this.#given, this.#current()];
    if (given?.seq === current?.seq && given?.sentUs === current?.sentUs && given?.stale === current?.stale)
      return null;
    this.#given = current;
    return current;
  }

  data(): void {
    this.#changed = true;
  }

  gap(): void {
    this.#changed = true;
  }

  changed(): void {
    this.#changed = true;
  }
}

type Batch = ItemsUpdate<unknown> | CandlesUpdate;

/** For items and candles. */
export class BatchQueue implements Queue {
  readonly #most: number;
  readonly #isCandles: boolean;
  #queue: (Batch | GapUpdate)[] = [];
  /** Items, candles and gaps in the queue. */
  #held = 0;
  /** What was left out before the first in the queue. */
  #shed: GapUpdate | null = null;

  constructor(most: number, isCandles: boolean) {
    this.#most = most;
    this.#isCandles = isCandles;
  }

  take(): AnyUpdate | null {
    const gap = this.#shed;
    this.#shed = null;
    if (gap !== null) return gap;
    const first = this.#queue.shift();
    if (first === undefined) return null;
    this.#held -= weightOf(first);
    return first;
  }

  data({ channel, seq, time, sentUs, data }: DataPush): void {
    // Whatever a topic's data is: of items it is a list.
    const list = (Array.isArray(data) ? data : [data]) as readonly unknown[];
    if (this.#isCandles)
      this.#candles({ type: "candles", channel, seq, time, sentUs, data: list as readonly Candle[] });
    else this.#add({ type: "items", channel, seq, time, sentUs, data: list });
    this.#shedOldest();
  }

  gap(gap: Gap): void {
    this.#add({ type: "gap", ...gap });
    this.#shedOldest();
  }

  changed(): void {
    // That it is stale is told by events; what was missed will be a gap.
  }

  #add(update: Batch | GapUpdate): void {
    this.#queue.push(update);
    this.#held += weightOf(update);
  }

  /** Joins the update that waits at the end, so that a candle is there once. */
  #candles(update: CandlesUpdate): void {
    const last = this.#queue.at(-1);
    if (last?.type !== "candles") {
      this.#add(update);
      return;
    }
    const newer = new Set(update.data.map(({ openTime }) => openTime));
    const kept = last.data.filter(({ openTime }) => !newer.has(openTime));
    this.#queue.pop();
    this.#held -= weightOf(last);
    this.#add({ ...update, data: [...kept, ...update.data] });
  }

  #shedOldest(): void {
    while (this.#held > this.#most) {
      const first = this.#queue.shift();
      if (first === undefined) return;
      const weight = weightOf(first);
      const excess = Math.min(weight, this.#held - this.#most);
      this.#held -= excess;
      if (first.type === "gap") this.#leaveOut(first.channel, first.missed, first.from, first.to);
      else {
        if (excess < weight) this.#queue.unshift({ ...first, data: first.data.slice(excess) } as Batch);
        this.#leaveOut(first.channel, excess, first.seq, first.seq);
      }
    }
  }

  #leaveOut(channel: string, missed: number | null, from: number, to: number): void {
    const before = this.#shed;
    if (before === null) this.#shed = { type: "gap", channel, missed, from, to, reason: "buffer" };
    else {
      const sum = before.missed === null || missed === null ? null : before.missed + missed;
      this.#shed = { ...before, missed: sum, to };
    }
  }
}

const weightOf = (update: Batch | GapUpdate): number => (update.type === "gap" ? 1 : update.data.length);
