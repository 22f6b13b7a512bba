/**
 * What the websocket source needs to know of a venue: where it listens, what is said to it, how its books are asked for
 * again. One file per venue describes it with these words; none of them does anything.
 *
 * Beside the path: VENUE -> source -> mapper (the mapper of the venue understands its frames).
 */
import type { Kind } from "../../channel/types.ts";
import type { MapperName } from "../mapper/mod.ts";

export interface Venue {
  /** As it is typed: `kraken`, `binance-usdm`. */
  readonly name: string;
  readonly market: string;
  readonly mapper: MapperName;
  /** Kinds it yields itself: they are not derived. */
  readonly provides: readonly Kind[];
  /** Levels per side that it sends of a book, where its frames do not say so. */
  readonly window?: number;
  /** `wss://host[:port]`, without a path. */
  readonly base: string;
  /** `https://host` where its books come by REST; else null. */
  readonly rest: string | null;
  /** An example for messages: `BTC/USD`. */
  readonly example: string;
  /** A symbol as the venue spells it, from what a person typed; null if it cannot be one. */
  spell(typed: string): string | null;
  /** The connections that together give everything about these symbols; each is a shard. */
  links(symbols: readonly string[]): readonly Link[];
}

/** One connection to a venue. */
export interface Link {
  /** Tells the links of a venue apart; '' if there is one. */
  readonly name: string;
  /** Behind the base URL: `/stream?streams=...`. */
  readonly path: string;
  /** Sent at once when the connection is made. */
  readonly hello: readonly string[];
  /** No frame for so long: the connection is dead. After a third of it `ping` is sent, and any answer counts. */
  readonly silenceMs: number;
  /** Null: the venue speaks often enough by itself. */
  readonly ping: string | null;
  /** Frames that say no more than that the venue is alive: not handed on. */
  readonly pong?: string;
  /** How a book is got again (and, by REST, at all). */
  readonly books: BooksBySnapshotFrame | BooksByReconnect | BooksByRest | NoBooks;
  /** A frame that refuses something we asked. */
  readonly refusal: RegExp;
}

/** Unsubscribing and subscribing gives a snapshot. */
export interface BooksBySnapshotFrame {
  readonly by: "frames";
  ask(symbol: string): readonly string[];
}

/** Only a new connection gives a snapshot that can be trusted. */
export interface BooksByReconnect {
  readonly by: "reconnect";
}

export interface NoBooks {
  readonly by: "none";
}

/** The stream has deltas only; the snapshot they start from is a REST reply. */
export interface BooksByRest {
  readonly by: "rest";
  readonly symbols: readonly string[];
  /** Path and query behind the venue's REST address. */
  path(symbol: string): string;
  /** The reply as a record that the mapper understands; null if it is none. */
  record(symbol: string, reply: string): { readonly text: string; readonly last: number } | null;
  /** Whose book a frame may change, told by its beginning; null if it is none of a book. */
  bookOf(frame: string): string | null;
  /** What a frame changes, if it is a delta of a book. */
  delta(frame: string): BookDelta | null;
  /** False for a frame that might be a delta but cannot be read as anything: nobody knows what it changed. */
  isReadable(frame: string): boolean;
}

/** A delta covers what comes behind `prev`, up to `last`. */
export interface BookDelta {
  readonly symbol: string;
  readonly prev: number;
  readonly last: number;
}

/** A connection to an address nobody has described: whatever comes is handed on. */
export const rawLink = (hello: readonly string[]): Link => ({
  name: "",
  path: "",
  hello,
  silenceMs: RAW_SILENCE_MS,
  ping: null,
  books: { by: "none" },
  refusal: NOTHING,
});

const RAW_SILENCE_MS = 120_000;
const NOTHING = /(?!)/;
