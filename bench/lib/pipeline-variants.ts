/**
 * What bench/pipeline.ts measures: each variant takes the texts of a recorded Kraken feed, one record at a time, and says
 * at the end whether its result is the expected one.
 */
import { createKrakenV1 } from "../../src/ingest/mapper/mod.ts";
import { BareBook, bareParse } from "./pipeline-bare.ts";
import { wholeVariant } from "./pipeline-whole.ts";

export interface Variant {
  record(text: string): void;
  /** After `passes` over a feed of `expected`: null, or what is wrong. */
  fault(passes: number, expected: Expected): string | null | Promise<string | null>;
  close?(): Promise<void>;
}

/** Facts of one pass over the feed, counted without any of the code under test. */
export interface Expected {
  readonly records: number;
  readonly books: number;
  readonly checksums: number;
}

const symbolOf = (spelling: string): string => spelling.toLowerCase().replace("/", "");

function off(what: string, is: number, should: number): string | null {
  return is === should ? null : `${what}: ${is} instead of ${should}`;
}

function bareParseVariant(): Variant {
  let books = 0;
  return {
    record(text) {
      if (bareParse(text) !== null) books++;
    },
    fault: (passes, expected) => off("books", books, passes * expected.books),
  };
}

function bareBookVariant(): Variant {
  const books = new Map<string, BareBook>();
  let right = 0;
  return {
    record(text) {
      const update = bareParse(text);
      if (update === null) return;
      const book = books.get(update.pair) ?? new BareBook();
      books.set(update.pair, book);
      if (book.take(update)) right++;
    },
    fault: (passes, expected) => off("right books", right, passes * expected.books),
  };
}

function mapVariant(): Variant {
  const mapper = createKrakenV1((_market, spelling) => symbolOf(spelling));
  let updates = 0;
  let malformed = 0;
  return {
    record(text) {
      const mapped = mapper.map(text);
      if ("malformed" in mapped || "skipped" in mapped) malformed++;
      else updates += mapped.length;
    },
    fault: (passes, expected) => off("updates", updates, passes * expected.books) ?? off("malformed", malformed, 0),
  };
}

export const VARIANTS: Readonly<Record<string, (texts: readonly string[]) => Variant | Promise<Variant>>> = {
  "bare-parse": bareParseVariant,
  map: mapVariant,
  "bare-book": bareBookVariant,
  whole: wholeVariant,
};
