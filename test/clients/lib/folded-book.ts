/**
 * A local book by Binance's own rules (reference/protocols.md, section 3), folded from the events a library handed over.
 *
 * It begins again with a new snapshot where the rules say so. `restarts` counts chains that broke after they had begun: a
 * connection that was cut. `startGaps` counts snapshots that the events did not continue: a gateway must never cause one.
 */
import { type ClientBook, DigestBook } from "./book-history.ts";

export interface DepthEvent {
  readonly U: number;
  readonly u: number;
  /** USD-M: `u` of the event before. */
  readonly pu?: number;
  readonly b: readonly (readonly string[])[];
  readonly a: readonly (readonly string[])[];
}

export interface DepthBody {
  readonly lastUpdateId: number;
  readonly bids: readonly (readonly string[])[];
  readonly asks: readonly (readonly string[])[];
}

export class FoldedBook {
  restarts = 0;
  startGaps = 0;
  readonly #book = new DigestBook();
  readonly #fetch: () => Promise<DepthBody>;
  readonly #onBook: (book: ClientBook) => void;
  readonly #onError: (error: unknown) => void;
  /** Events that wait for a snapshot. */
  #buffer: DepthEvent[] = [];
  #fetching = false;
  /** Local update id; null without a snapshot. */
  #id: number | null = null;
  /** The first event behind a snapshot has another rule than those behind it. */
  #first = true;
  /** The newest event, applied or not. */
  #last: DepthEvent | null = null;

  constructor(fetch: () => Promise<DepthBody>, onBook: (book: ClientBook) => void, onError: (error: unknown) => void) {
    this.#fetch = fetch;
    this.#onBook = onBook;
    this.#onError = onError;
  }

  take(event: DepthEvent): void {
    const unbroken = this.#last === null || follows(this.#last, event);
    this.#last = event;
    if (!unbroken) {
      // Of a connection that was cut nothing may be kept: the next one begins anew.
      this.restarts++;
      this.#id = null;
      this.#buffer = [];
    }
    if (this.#id !== null) this.#apply(event);
    else {
      this.#buffer.push(event);
      this.#begin();
    }
  }

  #begin(): void {
    if (this.#fetching) return;
    this.#fetching = true;
    const { restarts } = this;
    this.#fetch()
      .then((body) => {
        // Asked for before the connection was cut, it may be older than the new stream.
        if (restarts === this.restarts) this.#snapshot(body);
      })
      .catch(this.#onError)
      .finally(() => {
        this.#fetching = false;
        if (this.#id === null) this.#begin();
      });
  }

  #snapshot({ lastUpdateId, bids, asks }: DepthBody): void {
    const buffer = this.#buffer;
    const first = buffer[0]!;
    if (lastUpdateId < first.U - 1) {
      // "Get it again": the snapshot is older than the stream.
      this.startGaps++;
      return;
    }
    this.#buffer = [];
    this.#book.clear();
    this.#book.apply(bids, asks);
    this.#id = lastUpdateId;
    this.#first = true;
    for (const event of buffer) this.#apply(event);
  }

  #apply(event: DepthEvent): void {
    const id = this.#id as number;
    const usdm = event.pu !== undefined;
    if (usdm && this.#first ? event.u < id : event.u <= id) return;
    const joins = usdm
      ? event.pu === id || (this.#first && event.U <= id)
      : event.U === id + 1 || (this.#first && event.U <= id);
    // Events follow one another here: it is the snapshot that does not fit.
    if (!joins) this.startGaps++;
    this.#first = false;
    this.#book.apply(event.b, event.a);
    this.#id = event.u;
    const { bids, asks } = this.#book.levels();
    this.#onBook({ id: event.u, digest: this.#book.digest, bids, asks });
  }
}

const follows = (before: DepthEvent, event: DepthEvent): boolean =>
  event.pu === undefined ? event.U === before.u + 1 : event.pu === before.u;
