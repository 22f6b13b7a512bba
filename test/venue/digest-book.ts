/**
 * A book with a digest of its state that follows each change, so that millions of states can be compared.
 *
 * Shares no code with the gateway's book.
 */
import { PlainBook, type PlainDepth } from "../lib/plain-book.ts";

export class DigestBook {
  readonly #sides = [new Map<string, string>(), new Map<string, string>()] as const;
  #a = 0;
  #b = 0;

  get digest(): string {
    return `${this.#a >>> 0}.${this.#b >>> 0}.${this.#sides[0].size}.${this.#sides[1].size}`;
  }

  clear(): void {
    for (const side of this.#sides) side.clear();
    this.#a = 0;
    this.#b = 0;
  }

  apply(bids: readonly (readonly string[])[], asks: readonly (readonly string[])[]): void {
    for (const [price = "", quantity = ""] of bids) this.#set(0, price, quantity);
    for (const [price = "", quantity = ""] of asks) this.#set(1, price, quantity);
  }

  truncate(levels: number): void {
    for (const at of [0, 1] as const) {
      const side = this.#sides[at];
      const sign = at === 0 ? -1 : 1;
      while (side.size > levels) {
        let worst = "";
        for (const price of side.keys()) if (worst === "" || sign * (Number(price) - Number(worst)) > 0) worst = price;
        this.#set(at, worst, "0");
      }
    }
  }

  depth(levels?: number): PlainDepth {
    const plain = new PlainBook();
    plain.apply([...this.#sides[0]], [...this.#sides[1]]);
    return plain.depth(levels);
  }

  #set(at: 0 | 1, price: string, quantity: string): void {
    const side = this.#sides[at];
    const before = side.get(price);
    if (before !== undefined) this.#mix(at, price, before);
    if (Number(quantity) === 0) {
      side.delete(price);
      return;
    }
    side.set(price, quantity);
    this.#mix(at, price, quantity);
  }

  /** In and out again with the same level leaves no trace. */
  #mix(at: 0 | 1, price: string, quantity: string): void {
    const text = `${at}|${price}|${quantity}`;
    this.#a ^= Bun.hash.crc32(text);
    this.#b ^= Bun.hash.adler32(`${quantity}|${text}`) * 2654435761;
  }
}
