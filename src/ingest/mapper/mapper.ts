/**
 * The contract of a mapper: a pure, named and versioned function from a record's value to updates.
 *
 * On the path: source -> MAPPER -> derive. Invariants: no state, no clock; at most one update per channel and record.
 */
import type { Book } from "../../channel/book.ts";
import type { Update } from "../../channel/types.ts";

/** An update as a mapper makes it: books may say how many levels they hold and prove themselves by a checksum. */
export type MappedUpdate = Update & {
  /** book: the source's window; levels beyond it are dropped after each update and published as "0". 0 = no limit. */
  readonly window?: number;
  /** book: what `checksumOf` must give after this update. */
  readonly checksum?: number;
  /** book and items: the venue's own numbers, verified by the keeper. */
  readonly sequence?: Sequence;
  /**
   * book: the venue sends one snapshot, then deltas, and has nothing else to verify: a delta before it, or a snapshot
   * nobody asked for, shows that the order is broken.
   */
  readonly strict?: boolean;
};

/**
 * The venue's numbers: this update covers what comes behind `prev`, up to `last`. `prev` null: numbers rise, but which one
 * comes next is not known. Of a snapshot only `last` counts.
 */
export interface Sequence {
  readonly prev: number | null;
  readonly last: number;
}

/** What a mapper could not use: counted under `reason`, sampled into the log, skipped. */
export interface Malformed {
  readonly malformed: string;
  /** A change of any book may be lost with it, and nothing later would show that. */
  readonly suspect?: boolean;
  /** The channel that misses an item by it. */
  readonly misses?: string;
  /** The field that is to blame, for people (blame.ts); null if that is not known. */
  readonly why?: () => string | null;
}

/** Sound, and not for this mapping: counted as refused under this reason, nothing else happens. */
export interface Skipped {
  /** The symbol is no instrument of ours, the record is of another mapper (`when`, another interval), or has no content. */
  readonly skipped: "unmatched" | "filtered" | "empty";
  /** unmatched: whose record it is, as the record or its topic spells it, and what would make it one of ours. */
  readonly symbol?: string;
  readonly advice?: string;
}

export interface Mapper {
  /** `kraken_v1`, `depth_v2`, ... */
  readonly name: string;
  readonly version: number;
  /** What a broker's record is handed over as: its bytes as they are, or (the default) read as UTF-8. */
  readonly takes?: "bytes" | "text";
  /** Its updates are of the place it was made for; those of other mappers name their channels themselves. */
  readonly placed?: boolean;
  /**
   * No update (a heartbeat, an acknowledgement) is an empty array. `symbol`: what the record's source topic stands for, ''
   * or absent if that says nothing.
   */
  map(value: unknown, symbol?: string): readonly MappedUpdate[] | Malformed | Skipped;
  /** The venue's checksum over the book as it is now. */
  checksumOf?(book: Book): number;
}

/**
 * Makes an instrument known by its source spelling (`KSM/XBT`). Returns the part of its channels' names before the `@`
 * (`ksmxbt`; `usdm:btcusdt` outside the default market), or null if the instrument is refused. A mapper asks once per
 * spelling, and only for messages that are sound.
 */
export type Learn = (market: string, spelling: string) => string | null;
