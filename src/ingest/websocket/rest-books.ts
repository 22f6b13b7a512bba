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
 * that fails is repeated with growing pauses for ever, one that is refused (a symbol that is none) every REFUSED_MS, and
 * keeps no other waiting; both are told in the log.
 */
import { createBackoff } from "../../lib/backoff.ts";
import type { Clock, Timer } from "../../lib/clock.ts";
import { type Log, silentLog } from "../../lib/log.ts";
import { Outage } from "../../lib/outage.ts";
import type { Frame, TlsOptions } from "./inbox.ts";
import type { BooksByRest } from "./venue.ts";

export interface RestOptions {
  /** `https://host` */
  readonly rest: string;
  readonly tls: TlsOptions | undefined;
  readonly clock: Clock;
  /** Called when there is something to take. */
  readonly wake: () => void;
  /** The source's name on log lines. */
  readonly name: string;
  readonly log?: Pick<Log, "info" | "warn">;
}

const HELD_MAX = 10_000;
const FETCH_MS_MAX = 10_000;
const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 10_000;
const REFUSED_MS = 60_000;
const SHOWN_CHARS_MAX = 300;

interface Waiting {
  held: Frame[];
  /** Where the first held delta begins, or the last one before it ended: no snapshot may be older. */
  prev: number | null;
  /** Not asked for before (monotonic). */
  dueMs: number;
  isRefusalTold: boolean;
}

type Reply =
  | { readonly text: string }
  | { readonly refused: string }
  /** `pauseMs`: what the venue tells us to wait; null if it says nothing. */
  | { readonly failed: unknown; readonly pauseMs: number | null };

export class RestBooks {
  readonly #books: BooksByRest;
  readonly #options: RestOptions;
  readonly #waiting = new Map<string, Waiting>();
  readonly #ready: Frame[] = [];
  /** Where each book stands by what was handed on: its last number, or the frame that ended there. */
  readonly #stands = new Map<string, number | Frame>();
  readonly #abort = new AbortController();
  readonly #backoff;
  readonly #outage: Outage;
  #timer: Timer | null = null;
  /** Nothing is asked for before (monotonic). */
  #pausedMs = 0;
  #fetching = false;
  /** A frame that nobody can read came while a snapshot was fetched: it may be a change of that book, and later than the snapshot. */
  #spoiled = false;

  constructor(books: BooksByRest, options: RestOptions) {
    this.#books = books;
    this.#options = options;
    this.#backoff = createBackoff(RETRY_FIRST_MS, RETRY_MAX_MS, () => 1);
    const { log = silentLog, clock, name: source } = options;
    const [away, back] = ["upstream gives no books", "upstream gives books again"];
    this.#outage = new Outage({ log, clock, away, back, fields: { source } });
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
    this.#waiting.set(symbol, { held: [], prev: this.#standsAt(symbol), dueMs: 0, isRefusalTold: false });
    this.#next();
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
    return at === null || typeof at === "number" ? at : this.#lastOf(at);
  }

  #lastOf(frame: Frame | undefined): number | null {
    return frame === undefined ? null : (this.#books.delta(frame.text)?.last ?? null);
  }

  /** Fetches the snapshot of the book that waits longest, when its time has come. */
  #next(): void {
    if (this.#fetching || this.#abort.signal.aborted) return;
    this.#timer?.cancel();
    this.#timer = null;
    const [first] = [...this.#waiting].sort(([, a], [, b]) => a.dueMs - b.dueMs);
    if (first === undefined) return;
    const { clock } = this.#options;
    const waitMs = Math.max(first[1].dueMs, this.#pausedMs) - clock.monotonicMs();
    if (waitMs > 0) {
      this.#timer = clock.after(waitMs, () => this.#next());
      return;
    }
    this.#fetching = true;
    void this.#fetch(first[0]).then((pauseMs) => {
      this.#fetching = false;
      this.#pausedMs = clock.monotonicMs() + pauseMs;
      this.#next();
    });
  }

  /** Returns how long to wait before the next request. */
  async #fetch(symbol: string): Promise<number> {
    this.#spoiled = false;
    const reply = await this.#request(this.#options.rest.replace(/\/$/, "") + this.#books.path(symbol));
    const waiting = this.#waiting.get(symbol);
    if (this.#abort.signal.aborted || waiting === undefined) return 0;
    if ("refused" in reply) return this.#refused(symbol, waiting, reply.refused);
    const record = "text" in reply ? this.#books.record(symbol, reply.text) : null;
    if (record === null) {
      this.#outage.failed("failed" in reply ? reply.failed : "the reply is no book", { symbol });
      if ("failed" in reply && reply.pauseMs !== null) return reply.pauseMs;
    } else {
      this.#outage.worked();
    }
    if (record === null || this.#spoiled || (waiting.prev !== null && record.last < waiting.prev)) {
      // The others get their turn meanwhile.
      this.#waiting.delete(symbol);
      this.#waiting.set(symbol, waiting);
      return this.#backoff.next();
    }
    this.#backoff.reset();
    this.#waiting.delete(symbol);
    // The snapshot may be younger than all that was held for it.
    this.#stands.set(symbol, Math.max(record.last, this.#lastOf(waiting.held.at(-1)) ?? record.last));
    this.#ready.push({ text: record.text, receivedUs: this.#options.clock.wallUs() }, ...waiting.held);
    this.#options.wake();
    return 0;
  }

  /** It is this book's own trouble. */
  #refused(symbol: string, waiting: Waiting, said: string): number {
    const { name: source, log, clock } = this.#options;
    if (!waiting.isRefusalTold) {
      log?.warn("upstream refuses", { source, symbol, reply: said.slice(0, SHOWN_CHARS_MAX) });
    }
    waiting.isRefusalTold = true;
    waiting.dueMs = clock.monotonicMs() + REFUSED_MS;
    return 0;
  }

  async #request(url: string): Promise<Reply> {
    const { clock, tls } = this.#options;
    const timeout = new AbortController();
    const timer = clock.after(FETCH_MS_MAX, () => timeout.abort());
    try {
      const signal = AbortSignal.any([this.#abort.signal, timeout.signal]);
      const response = await fetch(url, tls === undefined ? { signal } : { signal, tls });
      if (response.ok) return { text: await response.text() };
      if (response.status === 400 || response.status === 404) return { refused: await response.text() };
      const seconds = Number(response.headers.get("retry-after"));
      return { failed: `HTTP ${response.status}`, pauseMs: seconds > 0 ? seconds * 1000 : null };
    } catch (error) {
      // It is asked again; the book says that it is stale meanwhile.
      return { failed: error instanceof Error ? error.message : String(error), pauseMs: null };
    } finally {
      timer.cancel();
    }
  }
}
