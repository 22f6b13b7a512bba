/**
 * Recordings of Kraken's v1 feed: what a recorded one ends with, and short ones written by a test.
 *
 * Shares no code with the gateway on purpose: the fold is the plainest possible, the checksum is Bun's own CRC32.
 */
import { readFileSync } from "node:fs";
import { PlainBook, type PlainLevel } from "./plain-book.ts";

const WINDOW = 1000;

/** `XBT/CHF` -> `xbtchf`, as channels are named. */
export const symbolOf = (pair: string): string => pair.replace("/", "").toLowerCase();

interface BookPart {
  readonly as?: string[][];
  readonly bs?: string[][];
  readonly a?: string[][];
  readonly b?: string[][];
  readonly c?: string;
}

export interface Fold {
  /** By symbol. */
  readonly books: ReadonlyMap<string, PlainBook>;
  /** Messages that carried a checksum. */
  readonly checksums: number;
}

/** Every book at the end of a recording, or after its first `linesMax` lines. */
export function foldRecording(path: string, linesMax = Number.POSITIVE_INFINITY): Fold {
  const books = new Map<string, PlainBook>();
  let checksums = 0;
  for (const line of readFileSync(path, "utf8").split("\n").slice(0, linesMax)) {
    const colon = line.indexOf(": [");
    if (colon < 0 || line.startsWith("wss:")) continue;
    const message = JSON.parse(line.slice(colon + 2)) as unknown[];
    const pair = message.at(-1) as string;
    if (message.at(-2) !== `book-${WINDOW}`) continue;
    const symbol = symbolOf(pair);
    const book = books.get(symbol) ?? new PlainBook();
    books.set(symbol, book);
    for (const part of message.slice(1, -2) as BookPart[]) {
      if (part.as !== undefined || part.bs !== undefined) book.clear();
      book.apply(part.b ?? part.bs ?? [], part.a ?? part.as ?? []);
      if (part.c !== undefined) checksums++;
    }
    book.truncate(WINDOW);
  }
  return { books, checksums };
}

/** Writes a recording line by line, with true checksums unless told otherwise. One pair. */
export class RecordingWriter {
  readonly book = new PlainBook();
  readonly lines: string[];
  readonly #pair: string;
  #seconds = 1_700_000_000;

  constructor(pair: string) {
    this.#pair = pair;
    const asked = { event: "subscribe", pair: [pair], subscription: { name: "book", depth: WINDOW } };
    this.lines = [
      `wss://ws.kraken.com <-> ${this.#seconds}`,
      `wss://ws.kraken.com <- ${this.#seconds}: ${JSON.stringify(asked)}`,
    ];
  }

  /** Time goes on. */
  wait(ms: number): this {
    this.#seconds += ms / 1000;
    return this;
  }

  /** A line as it is, behind the timestamp. */
  raw(text: string): this {
    this.lines.push(`${this.#seconds.toFixed(6)}: ${text}`);
    return this;
  }

  snapshot(bids: PlainLevel[], asks: PlainLevel[]): this {
    this.book.clear();
    this.book.apply(bids, asks);
    return this.#message({
      as: asks.map((level) => this.#stamped(level)),
      bs: bids.map((level) => this.#stamped(level)),
    });
  }

  bid(price: string, quantity: string): this {
    this.book.apply([[price, quantity]], []);
    return this.#message({ b: [this.#stamped([price, quantity])], c: this.#checksum() });
  }

  /** The checksum is that of the quantity we keep, the message says another one. */
  corruptBid(price: string, quantity: string, wrong: string): this {
    this.book.apply([[price, quantity]], []);
    return this.#message({ b: [this.#stamped([price, wrong])], c: this.#checksum() });
  }

  /** Without a checksum to vouch for it. */
  unchecked(side: "a" | "b", price: string, quantity: string): this {
    this.book.apply(side === "b" ? [[price, quantity]] : [], side === "a" ? [[price, quantity]] : []);
    return this.#message({ [side]: [this.#stamped([price, quantity])] });
  }

  trade(price: string, quantity: string, side: "b" | "s"): this {
    const fields = [price, quantity, this.#seconds.toFixed(6), side, "l", ""];
    return this.raw(JSON.stringify([1, [fields], "trade", this.#pair]));
  }

  text(): string {
    return `${this.lines.join("\n")}\n`;
  }

  #message(part: object): this {
    return this.raw(JSON.stringify([1, part, `book-${WINDOW}`, this.#pair]));
  }

  #stamped([price, quantity]: PlainLevel): string[] {
    return [price, quantity, this.#seconds.toFixed(6)];
  }

  /** The best ten asks, then bids, of each price and quantity without the point and leading zeros. */
  #checksum(): string {
    const { bids, asks } = this.book.depth(10);
    const digits = (text: string): string => text.replace(".", "").replace(/^0+/, "");
    const text = [...asks, ...bids].map(([price, quantity]) => digits(price) + digits(quantity)).join("");
    return String(Bun.hash.crc32(text));
  }
}
