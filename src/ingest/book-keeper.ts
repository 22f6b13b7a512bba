/**
 * The owner's book of one depth channel: applies, verifies, and says what is to be published.
 *
 * On the path: mapper -> BOOK KEEPER -> seq -> bus.
 * Invariants: what is published turns a follower's book into this one, level by level; the first publication of an epoch
 * is a snapshot; while stale nothing is published until one snapshot ends it; a crossed book is wrong unless the source's
 * own checksum vouches for it or the instrument is in an auction. Where the source numbers its updates, each delta applied
 * continues the one before it, and what is older than the book is left out.
 * A source that never sends snapshots (recorded Binance deltas): the book starts from nothing and is marked partial; after
 * a fault it starts over the same way, for nothing better can come.
 * At the limit: levels beyond the source's window are dropped and published as "0".
 */
import { type Book, createBook } from "../channel/book.ts";
import { isDecimal } from "../channel/decimal.ts";
import type { Body, Depth, Level, Publication, StaleReason } from "../channel/types.ts";
import type { Chain, Keeper } from "./chain.ts";
import type { SavedBook } from "./checkpoint.ts";
import { History, type HistoryLimits } from "./history.ts";
import type { MappedUpdate, Sequence } from "./mapper/mapper.ts";

export const BOOK_HISTORY = { countMax: 2000, ageMaxMs: Number.POSITIVE_INFINITY } as const;

/** What the shard wants to hear of a book, and what it knows for it. */
export interface BookEvents {
  /** The book is wrong: counted by cause; the source is asked for a snapshot unless it comes by itself (reconnect). */
  wrong(cause: StaleReason): void;
  /** A delta before any snapshot. */
  partial(): void;
  /** A delta that came while stale, or an update that is older than the book. */
  ignored(): void;
  refused(reason: string): void;
  /** The venue's checksum of this book. */
  checksumOf(book: Book): number | null;
  /** The instrument is in an auction: a crossed book is normal. */
  isAuction(): boolean;
  /** The source gives a snapshot when asked. Where it cannot (a replay), the best of what it has must do. */
  readonly repairable: boolean;
}

export class BookKeeper implements Keeper {
  readonly remembers = true;
  readonly book: Book = createBook();
  readonly #events: BookEvents;
  readonly #history: History;
  #begun = false;
  #partial = false;
  #stale: StaleReason | null = null;
  /** The source's number of the last update applied; null if it gives none. */
  #last: number | null = null;
  /** The source's snapshots cannot be trusted once the order was broken. */
  #strict = false;
  /** Taken over from an epoch before: the first publication of this one is still to come, and holds all of it. */
  #unpublished = false;
  /** The order of a strict source was broken: only a new connection's snapshot can be trusted. */
  #broken = false;

  /** `limits`: what differs from BOOK_HISTORY. */
  constructor(events: BookEvents, limits: Partial<HistoryLimits> = {}) {
    this.#events = events;
    this.#history = new History({ ...BOOK_HISTORY, ...limits });
  }

  get stale(): boolean {
    return this.#stale !== null;
  }

  /** It began with a delta and has met no snapshot since. */
  get partial(): boolean {
    return this.#partial;
  }

  take(update: MappedUpdate): Body | null {
    if (update.type === "stale") return update.data === "sequence" ? this.#fault() : this.#turnStale(update.data);
    if (update.type !== "snapshot" && update.type !== "delta") return null;
    this.#strict = update.strict === true && this.#events.repairable;
    if (!isSound(update.data)) {
      this.#events.refused("level");
      // A change of this book is lost with it.
      return this.#turnStale("sequence");
    }
    return update.type === "snapshot" ? this.#takeSnapshot(update, update.data) : this.#takeDelta(update, update.data);
  }

  lost(): Body | null {
    this.#broken = false;
    return this.#turnStale("reconnect");
  }

  remember(publication: Publication): void {
    this.#history.push(publication);
  }

  state(): Body | null {
    return this.#begun ? this.#whole() : null;
  }

  after(since: number, _chain: Chain): readonly Publication[] | null {
    return this.#history.after(since);
  }

  history(): readonly Publication[] {
    return this.#history.all();
  }

  save(): SavedBook {
    return {
      form: "book",
      bids: this.book.bids(),
      asks: this.book.asks(),
      begun: this.#begun,
      partial: this.#partial,
      stale: this.#stale,
      last: this.#last,
      broken: this.#broken,
      history: this.#history.all(),
    };
  }

  restore(saved: SavedBook): void {
    this.book.replace(saved);
    this.#begun = saved.begun;
    this.#partial = saved.partial;
    this.#stale = saved.stale;
    this.#last = saved.last;
    this.#broken = saved.broken;
    this.#history.restore(saved.history);
  }

  /** A new epoch goes on where another ended: its first change brings the whole book. */
  seed(saved: SavedBook): void {
    if (!saved.begun || saved.partial || saved.stale !== null) return;
    this.book.replace(saved);
    this.#last = saved.last;
    this.#begun = true;
    this.#unpublished = true;
  }

  #takeSnapshot(update: MappedUpdate, data: Depth): Body | null {
    if (this.#broken) return this.#ignore();
    if (this.#begun && this.#stale === null && !this.#partial) {
      if (this.#strict) return this.#fault();
      if (isOld(update.sequence, this.#last)) return this.#ignore();
    }
    this.#last = update.sequence?.last ?? null;
    this.book.replace(data);
    if (update.window) this.book.truncate(update.window);
    const fault = this.#faultAfter(update);
    if (fault !== null) return this.#turnStale(fault);
    this.#begun = true;
    this.#partial = false;
    this.#stale = null;
    this.#unpublished = false;
    return this.#whole();
  }

  #takeDelta(update: MappedUpdate, data: Depth): Body | null {
    const startsOver = this.#stale === null ? !this.#begun : this.#partial;
    if (this.#stale !== null && !startsOver) return this.#ignore();
    if (startsOver && this.#events.repairable) return this.#fault();
    if (update.sequence !== undefined && !startsOver) {
      const { prev, last } = update.sequence;
      const have = this.#last;
      if (have !== null && prev === null && last < have) return this.#fault();
      if (have !== null && prev !== null && prev !== have) {
        if (last <= have) return this.#ignore();
        if (prev > have) return this.#fault();
      }
    }
    this.#last = update.sequence?.last ?? null;
    if (startsOver) {
      this.book.replace(EMPTY);
      this.#partial = true;
      this.#events.partial();
    }
    this.book.apply(data);
    const left = update.window ? this.book.truncate(update.window) : null;
    const fault = this.#faultAfter(update);
    if (fault !== null) return this.#turnStale(fault);
    if (startsOver || this.#unpublished) {
      this.#begun = true;
      this.#stale = null;
      this.#unpublished = false;
      return this.#whole();
    }
    const delta = left === null ? data : withLeft(data, left);
    return delta.bids.length === 0 && delta.asks.length === 0 ? null : { type: "delta", data: delta };
  }

  #ignore(): null {
    this.#events.ignored();
    return null;
  }

  /** The updates do not follow one another. */
  #fault(): Body | null {
    if (this.#strict) this.#broken = true;
    return this.#turnStale("sequence");
  }

  #faultAfter(update: MappedUpdate): StaleReason | null {
    if (update.checksum !== undefined) {
      const checksum = this.#events.checksumOf(this.book);
      if (checksum !== null) return checksum === update.checksum ? null : "checksum";
    }
    return this.book.crossed && !this.#events.isAuction() ? "crossed" : null;
  }

  /** Null if it was stale already, or if nobody ever saw a book. */
  #turnStale(reason: StaleReason): Body | null {
    const wasStale = this.#stale !== null;
    // Nobody has seen it in this epoch.
    if (this.#unpublished) this.#begun = false;
    this.#unpublished = false;
    if (!this.#begun && reason === "reconnect") return null;
    if (!wasStale || reason !== "reconnect") this.#events.wrong(reason);
    this.#stale = reason;
    return wasStale || !this.#begun ? null : { type: "stale", data: reason };
  }

  #whole(): Body {
    return { type: "snapshot", data: { bids: this.book.bids(), asks: this.book.asks() } };
  }
}

const isOld = (sequence: Sequence | undefined, have: number | null): boolean =>
  sequence !== undefined && have !== null && sequence.last < have;

const EMPTY: Depth = { bids: [], asks: [] };

function isSound(depth: Depth): boolean {
  return areSound(depth.bids) && areSound(depth.asks);
}

function areSound(levels: readonly Level[]): boolean {
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i] as Level;
    if (!isDecimal(level[0]) || !isDecimal(level[1])) return false;
  }
  return true;
}

/** The delta, and the levels that left the window because of it: one entry per price. */
function withLeft(delta: Depth, left: Depth): Depth {
  return { bids: replaced(delta.bids, left.bids), asks: replaced(delta.asks, left.asks) };
}

function replaced(levels: readonly Level[], left: readonly Level[]): readonly Level[] {
  if (left.length === 0) return levels;
  const gone = new Set(left.map((level) => level[0]));
  return [...levels.filter((level) => !gone.has(level[0])), ...left];
}
