/**
 * Items (trades, aggTrades, liquidations, private events): lossless. Flushes batch, gaps keep their place, nothing merges.
 */
import type { StateReply } from "../../bus/bus.ts";
import type { Gap, Item, Publication } from "../../channel/types.ts";
import type { History } from "../history.ts";
import type { Accumulator, CatchUp, FamilyState, Segment } from "./family.ts";

export class ItemsState implements FamilyState {
  readonly startsAtFlush = true;
  readonly #history: History;

  constructor(history: History) {
    this.#history = history;
  }

  apply(): void {
    // The history is the state.
  }

  remembers(): boolean {
    return true;
  }

  usable(history: readonly Publication[]): readonly Publication[] {
    return history;
  }

  load(reply: StateReply, have: number | null): Segment[] {
    const known = reply.history.filter((p) => have === null || p.seq > have);
    const first = known[0];
    const segments: Segment[] = [];
    if (have !== null) {
      const end = first ? (first.prev ?? first.seq - 1) : reply.seq;
      if (end !== null && end > have)
        segments.push(gapSegment(have, end, reply.time, { missed: null, reason: "source" }));
    }
    segments.push(...batches(known));
    return segments;
  }

  clear(): void {
    // The history is cleared by its owner, the channel state.
  }

  accumulator(): Accumulator {
    return new ItemsAccumulator();
  }

  whole(): Segment[] {
    return [];
  }

  since(after: number, upTo: number): CatchUp {
    const known = this.#history.between(after, upTo);
    if (this.#history.covers(after)) return { segments: batches(known), exact: true };
    const first = known[0];
    const end = first ? (first.prev ?? first.seq - 1) : upTo;
    const gap = gapSegment(after, end, first?.time ?? 0, { missed: null, reason: "history" });
    return { segments: [gap, ...batches(known)], exact: false };
  }
}

class ItemsAccumulator implements Accumulator {
  #pending: Publication[] = [];

  get empty(): boolean {
    return this.#pending.length === 0;
  }

  add(publication: Publication): void {
    this.#pending.push(publication);
  }

  take(): Segment[] {
    const pending = this.#pending;
    this.#pending = [];
    return batches(pending);
  }
}

/** Neighbouring items become one segment; a gap is its own. */
function batches(publications: readonly Publication[]): Segment[] {
  const segments: Segment[] = [];
  let start = 0;
  for (let i = 0; i <= publications.length; i++) {
    const p = publications[i];
    if (p?.type === "items") continue;
    if (i > start) segments.push(batch(publications, start, i));
    if (p?.type === "gap") segments.push(gapSegment(p.prev ?? p.seq - 1, p.seq, p.time, p.data));
    start = i + 1;
  }
  return segments;
}

function batch(publications: readonly Publication[], start: number, end: number): Segment {
  const first = publications[start]!;
  const last = publications[end - 1]!;
  let items: readonly Item[];
  if (end - start === 1) items = itemsOf(first);
  else {
    const all: Item[] = [];
    for (let i = start; i < end; i++) for (const item of itemsOf(publications[i]!)) all.push(item);
    items = all;
  }
  return {
    from: first.seq,
    seq: last.seq,
    time: last.time,
    receivedUs: last.receivedUs,
    conflated: 0,
    breaks: false,
    items: items.length,
    encode: (encoder, at) => encoder.items(at, items),
  };
}

const itemsOf = (p: Publication): readonly Item[] => (p.type === "items" ? p.data : []);

/** A gap that covers have < seq <= end. */
export function gapSegment(have: number, end: number, time: number, gap: Gap): Segment {
  return {
    from: have + 1,
    seq: end,
    time,
    receivedUs: 0,
    conflated: 0,
    breaks: true,
    encode: (encoder, at) => encoder.gap(at, gap),
  };
}
