/**
 * Every book a node had, by seq, from a native subscription in real time: what a client's book is compared with. On a busy
 * machine that client may be slowed too: what was merged for it meanwhile cannot be compared with (`knows`).
 *
 * A book is compared by a digest that does not depend on the order of its levels; where two differ, the book is folded
 * again to show how.
 */
import type { NativeStream } from "../../lib/native-stream.ts";
import { PlainBook } from "../../lib/plain-book.ts";

type Levels = readonly (readonly (string | number)[])[];

export interface ClientBook {
  /** Update id: the seq that its book ends on. */
  readonly id: number;
  readonly digest: bigint;
  readonly bids: Levels;
  readonly asks: Levels;
}

interface Depth {
  readonly bids: readonly [string, string][];
  readonly asks: readonly [string, string][];
}

/** Levels and their digest, kept up with each change. */
export class DigestBook {
  digest = 0n;
  /** Price and what its level adds to the digest, by side and price. */
  readonly #levels = new Map<string, { readonly hash: bigint; readonly level: readonly [string, string] }>();

  clear(): void {
    this.#levels.clear();
    this.digest = 0n;
  }

  apply(bids: Levels, asks: Levels): void {
    for (const [price, quantity] of bids) this.#set("b", String(price), String(quantity));
    for (const [price, quantity] of asks) this.#set("a", String(price), String(quantity));
  }

  /** In no order. */
  levels(): { readonly bids: Levels; readonly asks: Levels } {
    const side = (letter: string): Levels =>
      [...this.#levels].filter(([key]) => key.startsWith(letter)).map(([, { level }]) => level);
    return { bids: side("b"), asks: side("a") };
  }

  #set(side: string, price: string, quantity: string): void {
    const key = side + price;
    this.digest ^= this.#levels.get(key)?.hash ?? 0n;
    if (Number(quantity) === 0) {
      this.#levels.delete(key);
      return;
    }
    const hash = levelHash(side, price, quantity);
    this.digest ^= hash;
    this.#levels.set(key, { hash, level: [price, quantity] });
  }
}

export class BookHistory {
  readonly stream: NativeStream;
  readonly #digests = new Map<number, bigint>();
  readonly #book = new DigestBook();
  /** First and last seq of what came merged. */
  readonly #merged: (readonly [from: number, seq: number])[] = [];
  /** Pushes of the stream that were looked at. */
  #taken = 0;

  constructor(stream: NativeStream) {
    this.stream = stream;
  }

  /** Publications seen. */
  get count(): number {
    this.#advance();
    return this.#digests.size;
  }

  get last(): number {
    return this.stream.have ?? -1;
  }

  /** Nothing came merged: it saw every publication. */
  get whole(): boolean {
    this.#advance();
    return this.#merged.length === 0;
  }

  /** False if a publication may have ended at `seq` that came here merged with others. */
  knows(seq: number): boolean {
    this.#advance();
    return this.#digests.has(seq) || !this.#merged.some(([from, last]) => from <= seq && seq < last);
  }

  /** What is wrong with a client's book: null if it is the node's. Its seq must have been reached. */
  fault(book: ClientBook): string | null {
    this.#advance();
    const mine = this.#digests.get(book.id);
    if (mine === undefined) return `no publication of ${this.stream.asked} ended at ${book.id}`;
    return mine === book.digest ? null : `${this.stream.asked} at ${book.id}: ${difference(this.at(book.id)!, book)}`;
  }

  /** The book as it was at `seq`, folded again; null if nothing ended there. */
  at(seq: number): PlainBook | null {
    const book = new PlainBook();
    for (const push of this.stream.pushes) {
      const { bids, asks } = (push.data ?? { bids: [], asks: [] }) as Depth;
      if (push.type === "snapshot") book.clear();
      book.apply(bids, asks);
      if (push.seq === seq) return book;
    }
    return null;
  }

  #advance(): void {
    const { pushes } = this.stream;
    for (; this.#taken < pushes.length; this.#taken++) {
      const { type, from = 0, seq, data } = pushes[this.#taken]!;
      if (type !== "snapshot" && type !== "delta") continue;
      if (type === "delta" && from < seq!) this.#merged.push([from, seq!]);
      if (type === "snapshot") this.#book.clear();
      const { bids, asks } = data as Depth;
      this.#book.apply(bids, asks);
      this.#digests.set(seq!, this.#book.digest);
    }
  }
}

export function digestOf(bids: Levels, asks: Levels): bigint {
  let digest = 0n;
  for (const [price, quantity] of bids) digest ^= levelHash("b", price, quantity);
  for (const [price, quantity] of asks) digest ^= levelHash("a", price, quantity);
  return digest;
}

/** Libraries hold numbers or strings; "1.50" and 1.5 are one. */
const levelHash = (side: string, price: unknown, quantity: unknown): bigint =>
  Bun.hash.wyhash(`${side}${Number(price)}:${Number(quantity)}`);

function difference(mine: PlainBook, theirs: ClientBook): string {
  const lines: string[] = [];
  for (const [side, have, want] of [
    ["bid", theirs.bids, mine.bids()],
    ["ask", theirs.asks, mine.asks()],
  ] as const) {
    const held = new Map(have.map(([price, quantity]) => [Number(price), Number(quantity)]));
    const due = new Map(want.map(([price, quantity]) => [Number(price), Number(quantity)]));
    for (const [price, quantity] of due)
      if (held.get(price) !== quantity) lines.push(`${side} ${price} is ${held.get(price)} instead of ${quantity}`);
    for (const [price, quantity] of held) if (!due.has(price)) lines.push(`${side} ${price} is ${quantity}, not gone`);
    if (held.size !== have.length) lines.push(`a ${side} price twice`);
  }
  return `${lines.length} levels differ: ${lines.slice(0, 4).join("; ")}`;
}
