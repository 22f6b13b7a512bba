/**
 * Every book a node had, by seq, from a native subscription in real time: what a client's book is compared with.
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
  readonly bids: Levels;
  readonly asks: Levels;
}

interface Depth {
  readonly bids: readonly [string, string][];
  readonly asks: readonly [string, string][];
}

export class BookHistory {
  readonly stream: NativeStream;
  readonly #digests = new Map<number, bigint>();
  readonly #held = new Map<string, bigint>();
  #digest = 0n;
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

  /** What is wrong with a client's book: null if it is the node's. Its seq must have been reached. */
  fault(book: ClientBook): string | null {
    this.#advance();
    const mine = this.#digests.get(book.id);
    if (mine === undefined) return `no publication of ${this.stream.asked} ended at ${book.id}`;
    if (mine === digestOf(book)) return null;
    return `${this.stream.asked} at ${book.id}: ${difference(this.at(book.id)!, book)}`;
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
      const { type, seq, data } = pushes[this.#taken]!;
      if (type !== "snapshot" && type !== "delta") continue;
      if (type === "snapshot") {
        this.#held.clear();
        this.#digest = 0n;
      }
      const { bids, asks } = data as Depth;
      for (const [price, quantity] of bids) this.#set("b", price, quantity);
      for (const [price, quantity] of asks) this.#set("a", price, quantity);
      this.#digests.set(seq!, this.#digest);
    }
  }

  #set(side: string, price: string, quantity: string): void {
    const key = side + price;
    this.#digest ^= this.#held.get(key) ?? 0n;
    if (Number(quantity) === 0) {
      this.#held.delete(key);
      return;
    }
    const hash = levelHash(side, price, quantity);
    this.#digest ^= hash;
    this.#held.set(key, hash);
  }
}

function digestOf({ bids, asks }: ClientBook): bigint {
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
