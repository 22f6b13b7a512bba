/**
 * Candles (klines): the latest state of each candle; a flush holds every candle closed since the last one, in order, then
 * the current one. A closed candle is never skipped.
 */
import type { StateReply } from "../../bus/bus.ts";
import type { Candle, Publication } from "../../channel/types.ts";
import type { History } from "../history.ts";
import type { Accumulator, CatchUp, FamilyState, Segment } from "./family.ts";

export class CandlesState implements FamilyState {
  readonly startsAtFlush = false;
  readonly #history: History;
  #current: { candle: Candle; seq: number; time: number } | null = null;

  constructor(history: History) {
    this.#history = history;
  }

  apply(p: Publication): void {
    if (p.type !== "candles") return;
    const candle = p.data[p.data.length - 1];
    if (candle) this.#current = { candle, seq: p.seq, time: p.time };
  }

  /** What is between two closings is in the later of them. */
  remembers(p: Publication): boolean {
    return p.type === "candles" && p.data.some(({ closed }) => closed);
  }

  usable(history: readonly Publication[]): readonly Publication[] {
    return history;
  }

  load(reply: StateReply, have: number | null): Segment[] {
    this.#current = null;
    const candles = reply.state?.type === "candles" ? reply.state.data : [];
    const candle = candles[candles.length - 1];
    if (candle && reply.seq !== null) this.#current = { candle, seq: reply.seq, time: reply.time };
    if (this.#current === null || (have !== null && this.#current.seq <= have)) return [];
    return this.#fold(reply.history.filter((p) => have === null || p.seq > have));
  }

  clear(): void {
    this.#current = null;
  }

  accumulator(): Accumulator {
    return new CandlesAccumulator();
  }

  whole(): Segment[] {
    return this.#fold([]);
  }

  since(after: number): CatchUp {
    const current = this.#current;
    if (current === null || current.seq <= after) return { segments: [], exact: true };
    return { segments: this.#fold(this.#history.between(after, current.seq)), exact: this.#history.covers(after) };
  }

  /** The candles of these publications as one flush that ends with the current candle. */
  #fold(publications: readonly Publication[]): Segment[] {
    const current = this.#current;
    if (current === null) return [];
    const merged = new Map<number, Candle>();
    for (const p of publications) collect(merged, p);
    merged.set(current.candle.openTime, current.candle);
    return [candlesSegment(merged, publications[0]?.seq ?? current.seq, current.seq, current.time, 0, 0)];
  }
}

class CandlesAccumulator implements Accumulator {
  #merged = new Map<number, Candle>();
  #from = 0;
  #last: Publication | null = null;
  #added = 0;

  get empty(): boolean {
    return this.#last === null;
  }

  add(p: Publication): void {
    if (this.#last === null) this.#from = p.seq;
    this.#last = p;
    this.#added++;
    collect(this.#merged, p);
  }

  take(): Segment[] {
    const last = this.#last;
    if (last === null) return [];
    const segment = candlesSegment(this.#merged, this.#from, last.seq, last.time, last.receivedUs, this.#added - 1);
    this.#merged = new Map();
    this.#last = null;
    this.#added = 0;
    return [segment];
  }
}

/** Latest state by open time; a Map keeps the order in which candles began. */
function collect(merged: Map<number, Candle>, p: Publication): void {
  if (p.type !== "candles") return;
  for (const candle of p.data) merged.set(candle.openTime, candle);
}

function candlesSegment(
  merged: ReadonlyMap<number, Candle>,
  from: number,
  seq: number,
  time: number,
  receivedUs: number,
  conflated: number,
): Segment {
  const candles = [...merged.values()];
  return {
    from,
    seq,
    time,
    receivedUs,
    conflated,
    breaks: false,
    encode: (encoder, at) => encoder.candles(at, candles),
  };
}
