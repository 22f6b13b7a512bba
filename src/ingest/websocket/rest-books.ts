/**
 * Books whose snapshots come by REST while their deltas come on the socket (Binance): fetches snapshots, and holds the
 * deltas of a book back until its snapshot was handed on.
 *
 * On the path: socket -> source <-> REST-BOOKS. A snapshot is handed on as a record like any other, before the held deltas.
 * Invariants: one request at a time; a snapshot older than the first held delta is fetched again, so that every snapshot
 * handed on can be continued; so is one that is older than the last delta before it was asked for, which would turn a quiet
 * book back, and one during whose request an unreadable frame came, which may have been a delta of that book; whether the
 * deltas really continue it is verified by the owner's book keeper.
 * At the limit: of a book's held deltas the newest HELD_MAX are kept, and the snapshot is then younger than them; a request
 * that fails is repeated with growing pauses for ever.
 */
import { createBackoff } from "../../lib/backoff.ts";
import type { Clock, Timer } from "../../lib/clock.ts";
import type { Frame, TlsOptions } from "./inbox.ts";
import type { BooksByRest } from "./venue.ts";

export interface RestOptions {
  /** `https://host` */
  readonly rest: string;
  readonly tls: TlsOptions | undefined;
  readonly clock: Clock;
  /** Called when there is something to take. */
  readonly wake: () => void;
}

const HELD_MAX = 10_000;
const FETCH_MS_MAX = 10_000;
const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 10_000;

interface Waiting {
  held: Frame[];
  /** Where the first held delta begins, or the last one before it ended: no snapshot may be older. */
  prev: number | null;
}

export class RestBooks {
  readonly #books: BooksByRest;
  readonly #options: RestOptions;
  readonly #waiting = new Map<string, Waiting>();
  readonly #ready: Frame[] = [];
  /** Where each book stands by what was handed on: its last number, or the frame that ended there. */
  readonly #stands = new Map<string, number | Frame>();
  readonly #abort = new AbortController();
  readonly #backoff;
  #timer: Timer | null = null;
  #fetching = false;
  /** A frame that nobody can read came while a snapshot was fetched: it may be a change of that book, and later than the snapshot. */
  #spoiled = false;

  constructor(books: BooksByRest, options: RestOptions) {
    this.#books = books;
    this.#options = options;
    this.#backoff = createBackoff(RETRY_FIRST_MS, RETRY_MAX_MS, () => 1);
  }

  /** A new connection: every book needs its snapshot. */
  start(): void {
    for (const symbol of this.#books.symbols) this.ask(symbol);
  }

  stop(): void {
    this.#abort.abort();
    this.#timer?.cancel();
  }

  /** Gets a book's snapshot; its deltas are held from now on. */
  ask(symbol: string): void {
    if (this.#waiting.has(symbol)) return;
    this.#waiting.set(symbol, { held: [], prev: this.#standsAt(symbol) });
    if (this.#timer === null) this.#next();
  }

  /** The next frame that is due, before any of the socket: a snapshot or what was held for it. */
  take(): Frame | null {
    return this.#ready.shift() ?? null;
  }

  /** Keeps a delta of a book that waits for its snapshot. */
  holds(frame: Frame): boolean {
    if (this.#waiting.size === 0) return this.#passes(frame);
    const delta = this.#books.delta(frame.text);
    if (delta === null) this.#spoiled ||= this.#fetching && !this.#books.isReadable(frame.text);
    const waiting = delta === null ? undefined : this.#waiting.get(delta.symbol);
    if (delta === null || waiting === undefined) return this.#passes(frame);
    if (waiting.held.length === 0) waiting.prev = delta.prev;
    waiting.held.push(frame);
    if (waiting.held.length > HELD_MAX) {
      waiting.held = waiting.held.slice(HELD_MAX / 2);
      waiting.prev = this.#books.delta(waiting.held[0]?.text ?? "")?.prev ?? null;
    }
    return true;
  }

  /** The frame is only remembered: it is read again when its book is asked for. */
  #passes(frame: Frame): false {
    const symbol = this.#books.bookOf(frame.text);
    if (symbol !== null) this.#stands.set(symbol, frame);
    return false;
  }

  #standsAt(symbol: string): number | null {
    const at = this.#stands.get(symbol) ?? null;
    return at === null || typeof at === "number" ? at : (this.#books.delta(at.text)?.last ?? null);
  }

  /** Fetches the snapshot of the book that waits longest. */
  #next(): void {
    const [symbol] = this.#waiting.keys();
    if (symbol === undefined || this.#fetching || this.#abort.signal.aborted) return;
    this.#fetching = true;
    void this.#fetch(symbol).then((pauseMs) => {
      this.#fetching = false;
      if (pauseMs === 0) return this.#next();
      this.#timer = this.#options.clock.after(pauseMs, () => {
        this.#timer = null;
        this.#next();
      });
    });
  }

  /** Returns how long to wait before the next request. */
  async #fetch(symbol: string): Promise<number> {
    this.#spoiled = false;
    const reply = await this.#request(this.#options.rest.replace(/\/$/, "") + this.#books.path(symbol));
    const waiting = this.#waiting.get(symbol);
    if (this.#abort.signal.aborted || waiting === undefined) return 0;
    if (typeof reply === "number") return reply;
    const record = reply === null ? null : this.#books.record(symbol, reply);
    if (record === null || this.#spoiled || (waiting.prev !== null && record.last < waiting.prev)) {
      // The others get their turn meanwhile.
      this.#waiting.delete(symbol);
      this.#waiting.set(symbol, waiting);
      return this.#backoff.next();
    }
    this.#backoff.reset();
    this.#waiting.delete(symbol);
    this.#stands.set(symbol, waiting.held.at(-1) ?? record.last);
    this.#ready.push({ text: record.text, receivedUs: this.#options.clock.wallUs() }, ...waiting.held);
    this.#options.wake();
    return 0;
  }

  /** The reply's text, the milliseconds that the venue tells us to wait, or null for whatever else went wrong. */
  async #request(url: string): Promise<string | number | null> {
    const { clock, tls } = this.#options;
    const timeout = new AbortController();
    const timer = clock.after(FETCH_MS_MAX, () => timeout.abort());
    try {
      const signal = AbortSignal.any([this.#abort.signal, timeout.signal]);
      const response = await fetch(url, tls === undefined ? { signal } : { signal, tls });
      if (response.ok) return await response.text();
      const seconds = Number(response.headers.get("retry-after"));
      return seconds > 0 ? seconds * 1000 : null;
    } catch {
      return null; // It is asked again; the book says that it is stale meanwhile.
    } finally {
      timer.cancel();
    }
  }
}
