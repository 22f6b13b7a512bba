/**
 * All-market channels: per instrument only the latest counts, and a flush holds the instruments that changed since the
 * last one. Of liquidations the largest of a flush counts.
 *
 * Invariants: a member's place in this channel's chain is the channel's own counter, whatever its own seq is.
 * At the limit: as many members as the market has instruments.
 */

import type { StateReply } from "../../bus/bus.ts";
import { compare } from "../../channel/decimal.ts";
import type { Body, Kind, Liquidation, MarketMember, Publication } from "../../channel/types.ts";
import type { Accumulator, CatchUp, FamilyState, Segment } from "./family.ts";

/** Where a member's newest value stands in this channel's chain. */
interface Latest {
  readonly member: MarketMember;
  readonly seq: number;
  readonly time: number;
  readonly receivedUs: number;
}

export class AllMarketState implements FamilyState {
  /** Events are over when they were sent: a joiner gets none of the past. */
  readonly startsAtFlush: boolean;
  readonly #kind: Kind;
  /** By symbol, the one that changed last at the end. */
  readonly #latest = new Map<string, Latest>();

  constructor(kind: Kind) {
    this.#kind = kind;
    this.startsAtFlush = kind === "liquidation" || kind === "instrument";
  }

  apply(p: Publication): void {
    const { seq, time, receivedUs } = p;
    for (const member of membersOf(p)) {
      this.#latest.delete(member.symbol);
      this.#latest.set(member.symbol, { member, seq, time, receivedUs });
    }
  }

  remembers(): boolean {
    return false;
  }

  usable(history: readonly Publication[]): readonly Publication[] {
    return history;
  }

  /** What the market was when the channel began. */
  load(reply: StateReply): Segment[] {
    this.#latest.clear();
    const { seq, time } = reply;
    if (seq === null) return [];
    for (const member of membersOf(reply.state)) this.#latest.set(member.symbol, { member, seq, time, receivedUs: 0 });
    return [];
  }

  clear(): void {
    this.#latest.clear();
  }

  accumulator(): Accumulator {
    return new AllMarketAccumulator(this.#kind);
  }

  whole(): Segment[] {
    return this.startsAtFlush ? [] : this.#segments(-1);
  }

  since(after: number): CatchUp {
    const segments = this.#segments(after);
    // Of events only the last of each symbol is known.
    return { segments, exact: !this.startsAtFlush || segments.length === 0 };
  }

  #segments(after: number): Segment[] {
    const behind = [...this.#latest.values()].filter(({ seq }) => seq > after);
    const [first, last] = [behind[0], behind.at(-1)];
    if (first === undefined || last === undefined) return [];
    const members = behind.map(({ member }) => member);
    return [segmentOf(members, first.seq, last, 0)];
  }
}

class AllMarketAccumulator implements Accumulator {
  readonly #kind: Kind;
  #members = new Map<string, MarketMember>();
  #from = 0;
  #last: Publication | null = null;
  #added = 0;

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  get empty(): boolean {
    return this.#last === null;
  }

  add(p: Publication): void {
    if (this.#last === null) this.#from = p.seq;
    this.#last = p;
    this.#added++;
    for (const member of membersOf(p)) {
      const have = this.#members.get(member.symbol);
      if (have !== undefined && this.#kind === "liquidation" && !isLarger(member, have)) continue;
      this.#members.set(member.symbol, member);
    }
  }

  take(): Segment[] {
    const last = this.#last;
    if (last === null) return [];
    const members = [...this.#members.values()];
    const segment = segmentOf(members, this.#from, last, this.#added - members.length);
    this.#members = new Map();
    this.#last = null;
    this.#added = 0;
    return [segment];
  }
}

function segmentOf(
  members: readonly MarketMember[],
  from: number,
  last: Omit<Latest, "member">,
  conflated: number,
): Segment {
  return {
    from,
    seq: last.seq,
    time: last.time,
    receivedUs: last.receivedUs,
    conflated,
    breaks: false,
    encode: (encoder, at) => encoder.value(at, { members }, null),
  };
}

const membersOf = (body: Body | null): readonly MarketMember[] =>
  body?.type === "value" && "members" in body.data ? body.data.members : [];

const isLarger = (a: MarketMember, b: MarketMember): boolean =>
  compare((a.data as Liquidation).quantity, (b.data as Liquidation).quantity) > 0;
