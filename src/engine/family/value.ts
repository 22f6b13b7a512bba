/**
 * Values (bookTicker, depth5/10/20, tickers, markPrice, json): only the latest counts; a flush replaces unsent ones.
 */
import type { StateReply } from "../../bus/bus.ts";
import type { BookTicker, Publication } from "../../channel/types.ts";
import type { Accumulator, CatchUp, FamilyState, Segment } from "./family.ts";

export class ValueState implements FamilyState {
  readonly startsAtFlush = false;
  #latest: Publication | null = null;
  readonly #top: () => BookTicker | null;

  /** `top`: this node's best bid and ask, for tickers that show them; read when a flush is encoded. */
  constructor(top: () => BookTicker | null) {
    this.#top = top;
  }

  get latest(): Publication | null {
    return this.#latest;
  }

  apply(publication: Publication): void {
    this.#latest = publication;
  }

  remembers(): boolean {
    return false;
  }

  usable(history: readonly Publication[]): readonly Publication[] {
    return history;
  }

  load(reply: StateReply, have: number | null): Segment[] {
    this.#latest = null;
    if (reply.state?.type === "value" && reply.seq !== null) {
      this.#latest = {
        ...reply.state,
        channel: reply.channel,
        kind: "json",
        user: reply.user,
        time: reply.time,
        seq: reply.seq,
        prev: null,
        receivedUs: 0,
      };
    }
    return this.#latest && (have === null || this.#latest.seq > have) ? this.whole() : [];
  }

  clear(): void {
    this.#latest = null;
  }

  accumulator(): Accumulator {
    return new LatestAccumulator(this.#top);
  }

  whole(): Segment[] {
    return this.#latest ? [valueSegment(this.#latest, this.#latest.seq, 0, this.#top)] : [];
  }

  since(after: number): CatchUp {
    const segments = this.#latest && this.#latest.seq > after ? this.whole() : [];
    return { segments, exact: true };
  }
}

class LatestAccumulator implements Accumulator {
  #latest: Publication | null = null;
  #from = 0;
  #added = 0;
  readonly #top: () => BookTicker | null;

  constructor(top: () => BookTicker | null) {
    this.#top = top;
  }

  get empty(): boolean {
    return this.#latest === null;
  }

  add(publication: Publication): void {
    if (this.#latest === null) this.#from = publication.seq;
    this.#latest = publication;
    this.#added++;
  }

  take(): Segment[] {
    const latest = this.#latest;
    if (latest === null) return [];
    const segment = valueSegment(latest, this.#from, this.#added - 1, this.#top);
    this.#latest = null;
    this.#added = 0;
    return [segment];
  }
}

function valueSegment(p: Publication, from: number, conflated: number, top: () => BookTicker | null): Segment {
  return {
    from,
    seq: p.seq,
    time: p.time,
    receivedUs: p.receivedUs,
    conflated,
    breaks: false,
    encode: (encoder, at) => (p.type === "value" ? encoder.value(at, p.data, top()) : []),
  };
}
