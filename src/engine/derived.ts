/**
 * Channels that are pure functions of a book: bookTicker and depth5/10/20, made on each node under the book's seq.
 *
 * On the path: book's channel state -> DERIVED -> the derived channel's own state.
 * Invariants: published only when the value changed; `prev` is the last seq of the derived channel on this node; gaps and
 * healing are the book's business alone.
 */
import type { ShardHeader, StateReply, Subscription } from "../bus/bus.ts";
import type { ChannelConsumer } from "../bus/consumer.ts";
import type { Book } from "../channel/book.ts";
import type { Channel } from "../channel/channel.ts";
import type { BookTicker, Depth, Kind, Publication, StaleReason, Value } from "../channel/types.ts";

/** What a derived channel listens to: the book's channel state. */
export interface DerivedFrom {
  readonly book: Book;
  readonly header: ShardHeader;
  readonly provides: readonly Kind[];
  /** Null until the book ever had a publication. */
  readonly seq: number | null;
  readonly time: number;
  readonly staleReason: StaleReason | null;
  listen(listener: BookListener): Subscription;
}

export interface BookListener {
  /** The book is known (again): first state, new epoch or a heal. */
  reset(cause: "first" | "epoch" | "heal"): void;
  changed(p: Publication): void;
  stale(reason: StaleReason): void;
  fresh(): void;
  unavailable(code: number, message: string): void;
}

/** Best bid and ask; an empty side is "0". */
export function topOf(book: Book): BookTicker {
  const bid = book.bestBid;
  const ask = book.bestAsk;
  return {
    bid: bid ? bid[0] : "0",
    bidQuantity: bid ? bid[1] : "0",
    ask: ask ? ask[0] : "0",
    askQuantity: ask ? ask[1] : "0",
  };
}

/** Gives `consumer` the values of `channel` made from the book. */
export function deriveFrom(from: DerivedFrom, channel: Channel, consumer: ChannelConsumer): Subscription {
  const isTop = channel.kind === "bookTicker";
  const { levels } = channel;
  const make = (): Value => (isTop ? topOf(from.book) : { bids: from.book.bids(levels), asks: from.book.asks(levels) });
  const same = isTop ? sameTop : sameDepth;
  let last: Value | null = null;
  let lastSeq: number | null = null;

  const emit = (p: { seq: number; time: number; receivedUs: number }) => {
    const value = make();
    if (last !== null && same(last as never, value as never)) return;
    const publication: Publication = {
      channel: channel.name,
      kind: channel.kind,
      user: "",
      type: "value",
      data: value,
      seq: p.seq,
      prev: lastSeq,
      time: p.time,
      receivedUs: p.receivedUs,
    };
    last = value;
    lastSeq = p.seq;
    consumer.publication(publication, from.header);
  };

  return from.listen({
    reset(cause) {
      const value = from.seq === null ? null : make();
      // Whatever ends a staleness is published.
      last = from.staleReason === null ? value : null;
      lastSeq = from.seq;
      consumer.state(replyOf(from, channel.name, value), cause);
    },
    changed: emit,
    stale: (reason) => {
      // What comes after staleness is published even if it is the same value: it ends the staleness.
      last = null;
      consumer.stale(reason);
    },
    fresh: () => consumer.fresh(),
    unavailable: (code, message) => consumer.unavailable(code, message),
  });
}

function replyOf(from: DerivedFrom, channel: string, value: Value | null): StateReply {
  return {
    ...from.header,
    channel,
    user: "",
    seq: from.seq,
    provides: from.provides,
    after: null,
    state: value === null ? null : { type: "value", data: value },
    time: from.time,
    history: [],
    stale: from.staleReason !== null,
  };
}

const sameTop = (a: BookTicker, b: BookTicker): boolean =>
  a.bid === b.bid && a.bidQuantity === b.bidQuantity && a.ask === b.ask && a.askQuantity === b.askQuantity;

const sameDepth = (a: Depth, b: Depth): boolean => sameSide(a.bids, b.bids) && sameSide(a.asks, b.asks);

function sameSide(a: Depth["bids"], b: Depth["bids"]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i]![0] !== b[i]![0] || a[i]![1] !== b[i]![1]) return false;
  return true;
}
