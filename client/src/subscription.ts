/** Subscriptions as their user sees them, typed by the name of the channel. */
import type { Book } from "./book.ts";
import type { Candle, Instrument, ItemsByStream, ValuesByStream } from "./data.ts";
import type { ChannelEvents, Gap, Listener } from "./events.ts";
import type { Position } from "./frames.ts";

interface Update {
  readonly channel: string;
  readonly seq: number;
  /** Source time, ms. */
  readonly time: number;
  /** The node's wall clock when it sent it, µs. */
  readonly sentUs: number;
}

/** The book has changed, or was called stale: `book` is the living one, always the newest. */
export interface BookUpdate extends Update {
  readonly type: "book";
  readonly book: Book;
  readonly stale: boolean;
}
/** The newest value, or the same one called stale. */
export interface ValueUpdate<Data> extends Update {
  readonly type: "value";
  readonly data: Data;
  readonly stale: boolean;
}
export interface ItemsUpdate<Item> extends Update {
  readonly type: "items";
  readonly data: readonly Item[];
}
/** Each candle in its newest state, those that closed first. */
export interface CandlesUpdate extends Update {
  readonly type: "candles";
  readonly data: readonly Candle[];
}
/** Something is missing between the update before and the one after. */
export interface GapUpdate extends Gap {
  readonly type: "gap";
}

export type AnyUpdate = BookUpdate | ValueUpdate<unknown> | ItemsUpdate<unknown> | CandlesUpdate | GapUpdate;

/**
 * `waiting`: nothing has come yet. `fresh`: it is what the node has. `stale`: it may be old or wrong. `refused`: the node
 * does not serve it. `ended`: unsubscribed, or the client was closed.
 */
export type SubscriptionState = "waiting" | "fresh" | "stale" | "refused" | "ended";

/**
 * One channel. Iterating it gives its updates: books and values are conflated to the newest, items and candles are
 * buffered up to the client's `buffer`, and beyond it the oldest are left out and a gap with reason `buffer` says so.
 * Each iterator has a buffer of its own. It ends when the subscription does, and throws when it is refused.
 */
export interface Subscription<U extends AnyUpdate = AnyUpdate> extends AsyncIterable<U> {
  readonly channel: string;
  readonly state: SubscriptionState;
  /** Where it stands; null before the first data. For items it can be kept and given to `subscribe` as `since`. */
  readonly position: Position | null;
  /** ms between pushes, as the node has it now; null before it runs. */
  readonly cadence: number | null;
  /** Settles when it runs on the node, with itself; rejects when it is refused or ended before. */
  readonly ready: Promise<this>;
  /** Returns what takes the listener off. */
  on<Name extends keyof ChannelEvents>(name: Name, listener: Listener<ChannelEvents[Name]>): () => void;
  /** Resolves with the cadence that the node chose: the next one that is not faster. */
  setCadence(ms: number): Promise<number>;
  unsubscribe(): void;
  [Symbol.asyncIterator](): AsyncIterator<U, undefined>;
}

export interface BookSubscription extends Subscription<BookUpdate> {
  /** Kept up to date as long as `state` is "fresh". */
  readonly book: Book;
}
export interface ValueSubscription<Data> extends Subscription<ValueUpdate<Data>> {
  /** The newest; null before the first. */
  readonly value: Data | null;
}
export type ItemsSubscription<Item> = Subscription<ItemsUpdate<Item> | GapUpdate>;
export type CandlesSubscription = Subscription<CandlesUpdate | GapUpdate>;

type StreamOf<Name extends string> = Name extends `${string}@${infer Stream}` ? Stream : never;

/** What subscribing to a channel of this name gives. */
export type SubscriptionTo<Name extends string> = string extends Name
  ? Subscription
  : [StreamOf<Name>] extends [never]
    ? Name extends "instrument"
      ? ItemsSubscription<Instrument>
      : Subscription
    : StreamOf<Name> extends "depth"
      ? BookSubscription
      : StreamOf<Name> extends keyof ItemsByStream
        ? ItemsSubscription<ItemsByStream[StreamOf<Name>]>
        : StreamOf<Name> extends keyof ValuesByStream
          ? ValueSubscription<ValuesByStream[StreamOf<Name>]>
          : StreamOf<Name> extends `kline_${string}`
            ? CandlesSubscription
            : Subscription;
