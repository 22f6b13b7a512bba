/**
 * A book of the Binance dialect kept by its own rules: events are held until REST's snapshot is there, then applied.
 *
 * Invariants: the book is compared at its best levels only: a snapshot is cut at 1,000 or 5,000.
 * At the limit: at most `heldMax` events wait for a snapshot, then it all begins anew; a snapshot that does not fit is
 * asked for again, `triesMax` times, then the book waits for that new beginning.
 */
import { Book, type Depth, type Level } from "../../client/src/mod.ts";
import type { Checks } from "./checks.ts";

interface DepthEvent {
  readonly U: number;
  readonly u: number;
  readonly b: readonly Level[];
  readonly a: readonly Level[];
}

const heldMax = 1000;
const triesMax = 10;
const levelsCompared = 20;
const answerMsMax = 5000;
const retryMs = 500;

export class BinanceBook {
  readonly #name: string;
  readonly #url: string;
  readonly #trust: BunFetchRequestInitTLS;
  readonly #checks: Checks;
  readonly #book = new Book();
  #id: number | null = null;
  #held: DepthEvent[] = [];
  #tries = 0;
  /** Rises at each new beginning: what was asked for before it is late. */
  #generation = 0;

  constructor(name: string, url: string, trust: BunFetchRequestInitTLS, checks: Checks) {
    this.#trust = trust;
    this.#name = name;
    this.#url = url;
    this.#checks = checks;
  }

  forget(): void {
    this.#generation += 1;
    this.#id = null;
    this.#held = [];
    this.#tries = 0;
  }

  /** The text of one depthUpdate event. */
  take(text: string): void {
    const event = JSON.parse(text) as DepthEvent;
    if (this.#id !== null) {
      this.#apply(event);
      return;
    }
    if (this.#held.length === heldMax) this.forget();
    this.#held.push(event);
    if (this.#held.length === 1) void this.#begin(this.#generation);
  }

  async #begin(generation: number): Promise<void> {
    while (generation === this.#generation && this.#tries < triesMax) {
      this.#tries += 1;
      const snapshot = await this.#fetch();
      if (generation !== this.#generation) return;
      const first = this.#held[0];
      if (snapshot !== null && first !== undefined && snapshot.lastUpdateId + 1 >= first.U) {
        this.#book.replace(snapshot);
        this.#id = snapshot.lastUpdateId;
        for (const event of this.#held) this.#apply(event);
        this.#held = [];
        return;
      }
      await Bun.sleep(retryMs);
    }
  }

  /** null: the node has none just now. */
  async #fetch(): Promise<(Depth & { readonly lastUpdateId: number }) | null> {
    try {
      const response = await fetch(this.#url, { signal: AbortSignal.timeout(answerMsMax), tls: this.#trust });
      return response.ok ? ((await response.json()) as Depth & { readonly lastUpdateId: number }) : null;
    } catch (error) {
      // Refused, cut or late: asked again, and the tries are counted.
      if (error instanceof Error) return null;
      throw error;
    }
  }

  #apply({ u, b, a }: DepthEvent): void {
    if (u <= this.#id!) return;
    this.#book.apply({ bids: b, asks: a });
    this.#id = u;
    const { tally, books } = this.#checks;
    tally.counts.books += 1;
    const book = this.#book;
    if (book.crossed)
      tally.fault("book", () => `${this.#name}: crossed at ${u}: bid ${book.bestBid?.[0]}, ask ${book.bestAsk?.[0]}`);
    books.check(`binance ${this.#name.replace(/@\d+ms$/, "")}`, "", u, book, levelsCompared);
  }
}
