/**
 * What a declarative mapper is made from: data that says where in a record the fields of our canonical JSON stand.
 *
 * It renames and never computes: paths, constants, tables of values, and the unit of a time. docs/mapping.md shows it.
 */

/** Kinds of our canonical JSON. */
export const DECLARATIVE_KINDS = [
  "trade",
  "depth",
  "kline",
  "ticker",
  "bookTicker",
  "markPrice",
  "private",
  "json",
] as const;

export type DeclarativeKind = (typeof DECLARATIVE_KINDS)[number];

/** `ms` is what we use; `iso` is a text like 2021-04-17T16:43:37.075687Z. */
export const TIME_UNITS = ["s", "ms", "us", "ns", "iso"] as const;

export type TimeUnit = (typeof TIME_UNITS)[number];

export type Constant = string | number | boolean;

/** A path (`data.p`, `levels[0]`), or a path with what is done to its value, or a constant. */
export type FieldSpec =
  | string
  | {
      readonly path?: string | undefined;
      readonly const?: Constant | undefined;
      /** The record's value as text -> ours; any other value does not fit. */
      readonly values?: Readonly<Record<string, Constant>> | undefined;
      /** Of a time. */
      readonly unit?: TimeUnit | undefined;
      /** Where the path leads to nothing. */
      readonly default?: Constant | undefined;
    };

/** `bids` and `asks`: a list of levels. Without `price` and `quantity` a level is `[price, quantity, ...]`. */
export type LevelsSpec =
  | string
  | {
      readonly path: string;
      /** Paths inside a level. */
      readonly price?: string | undefined;
      readonly quantity?: string | undefined;
      /** Only levels for which it holds. */
      readonly when?: When | undefined;
    };

/** Path -> the value that must stand there, or one of several. */
export type When = Readonly<Record<string, Constant | readonly Constant[]>>;

export interface DeclarativeSpec {
  readonly version?: number | undefined;
  readonly name: string;
  readonly kind: DeclarativeKind;
  /** A record for which it does not hold is none of this mapper's. */
  readonly when?: When | undefined;
  /** A list in the record, each element of which is read by `fields`; there `$.` leads back to the whole record. */
  readonly items?: string | undefined;
  /** By the names of our canonical JSON. */
  readonly fields: Readonly<Record<string, FieldSpec | LevelsSpec>>;
}
