/**
 * Books: the L2 book of one channel and the merging of its deltas.
 *
 * Invariants: a flush holds each changed price once with its newest absolute quantity; the fold of all flushes of a rung
 * equals the book at the rung's seq.
 * At the limit: an accumulator of more than FOLD_AFTER publications is folded into one, so its size is bounded by the
 * number of distinct prices.
 */
import type { StateReply } from "../../bus/bus.ts";
import { type Book, createBook } from "../../channel/book.ts";
import type { Depth, Level, Publication } from "../../channel/types.ts";
import type { History } from "../history.ts";
import type { Accumulator, CatchUp, FamilyState, Segment } from "./family.ts";
import { RecentChanges } from "./recent-changes.ts";

const FOLD_AFTER = 1024;
const EMPTY: Depth = { bids: [], asks: [] };

export class BookState implements FamilyState {
  readonly startsAtFlush = false;
  book: Book = createBook();
  readonly #history: History;
  #seq: number | null = null;
  #recent: RecentChanges | null = null;
  #time = 0;

  constructor(history: History) {
    this.#history = history;
  }

  apply(p: Publication): void {
    if (p.type === "delta") this.book.apply(p.data);
    this.#seq = p.seq;
    this.#time = p.time;
    this.#recent = null;
  }

  /** Replaces the book in the chain (a resync, or the first publication) and says so to every rung. */
  replace(target: Depth, p: Publication): Segment {
    this.#recent = null;
    const repair = this.book.diff(target);
    this.book.replace(target);
    this.#seq = p.seq;
    this.#time = p.time;
    return this.#snapshot(p.seq, p.time, p.receivedUs, repair);
  }

  /** A book that begins with a delta (its source sent no snapshot): clients get it as their first snapshot. */
  begin(p: Publication & { type: "delta" }): Segment {
    this.apply(p);
    return this.#snapshot(p.seq, p.time, p.receivedUs, p.data);
  }

  remembers(): boolean {
    return true;
  }

  /** A snapshot is no delta from what was before it, so the chain of deltas begins behind the last one. */
  usable(history: readonly Publication[]): readonly Publication[] {
    return history.slice(history.findLastIndex((p) => p.type === "snapshot") + 1);
  }

  load(reply: StateReply, have: number | null): Segment[] {
    this.#recent = null;
    const target = reply.state?.type === "snapshot" ? reply.state.data : EMPTY;
    const repair = this.book.diff(target);
    this.book.replace(target);
    this.#seq = reply.seq;
    this.#time = reply.time;
    if (reply.seq === null || (have !== null && reply.seq <= have)) return [];
    return [this.#snapshot(reply.seq, reply.time, 0, repair)];
  }

  clear(): void {
    this.book = createBook();
    this.#seq = null;
    this.#recent = null;
  }

  accumulator(): Accumulator {
    return new DeltaAccumulator();
  }

  whole(): Segment[] {
    return this.#seq === null ? [] : [this.#snapshot(this.#seq, this.#time, 0, null)];
  }

  since(after: number, upTo: number): CatchUp {
    if (this.#history.covers(after)) {
      const missed = this.#history.between(after, upTo);
      return {
        segments: missed.length === 0 ? [] : [deltaSegment(missed, this.#changes(after, upTo, missed))],
        exact: true,
      };
    }
    return { segments: this.whole(), exact: false };
  }

  /** Many who come back ask at the same position of the book. */
  #changes(after: number, upTo: number, missed: readonly Publication[]): Depth {
    if (this.#recent?.upTo !== upTo) this.#recent = new RecentChanges(upTo);
    return this.#recent.since(after, missed);
  }

  #snapshot(seq: number, time: number, receivedUs: number, repair: Depth | null): Segment {
    const book = this.book;
    return {
      from: seq,
      seq,
      time,
      receivedUs,
      conflated: 0,
      breaks: false,
      whole: true,
      encode: (encoder, at) => encoder.snapshot(at, { bids: book.bids(), asks: book.asks() }, repair),
    };
  }
}

class DeltaAccumulator implements Accumulator {
  #pending: Publication[] = [];
  #folded = 0;

  get empty(): boolean {
    return this.#pending.length === 0;
  }

  add(p: Publication): void {
    this.#pending.push(p);
    if (this.#pending.length > FOLD_AFTER) this.#fold();
  }

  take(): Segment[] {
    const pending = this.#pending;
    if (pending.length === 0) return [];
    this.#pending = [];
    const segment = mergedDelta(pending, this.#folded);
    this.#folded = 0;
    return [segment];
  }

  /** Keeps first and last number, one delta between them. */
  #fold(): void {
    const first = this.#pending[0]!;
    const last = this.#pending[this.#pending.length - 1]!;
    this.#folded += this.#pending.length - 2;
    const merged = merge(this.#pending);
    this.#pending = [
      { ...first, type: "delta", data: merged },
      { ...last, type: "delta", data: EMPTY },
    ];
  }
}

/** One delta for consecutive publications: the newest quantity of each price. */
function mergedDelta(publications: readonly Publication[], folded = 0): Segment {
  const first = publications[0]!;
  const depth = publications.length === 1 && first.type === "delta" ? first.data : merge(publications);
  return deltaSegment(publications, depth, folded);
}

function deltaSegment(publications: readonly Publication[], depth: Depth, folded = 0): Segment {
  const first = publications[0]!;
  const last = publications[publications.length - 1]!;
  return {
    from: first.seq,
    seq: last.seq,
    time: last.time,
    receivedUs: last.receivedUs,
    conflated: folded + publications.length - 1,
    breaks: false,
    encode: (encoder, at) => encoder.delta(at, depth),
  };
}

function merge(publications: readonly Publication[]): Depth {
  const bids = new Map<string, Level>();
  const asks = new Map<string, Level>();
  for (const p of publications) {
    if (p.type !== "delta") continue;
    for (const level of p.data.bids) setLast(bids, level);
    for (const level of p.data.asks) setLast(asks, level);
  }
  return { bids: [...bids.values()], asks: [...asks.values()] };
}

/** At the end: another spelling of the same price may stand before it, and the later one counts. */
function setLast(side: Map<string, Level>, level: Level): void {
  side.delete(level[0]);
  side.set(level[0], level);
}
