/**
 * Source `websocket`: another exchange's public feed.
 *
 * On the path: venue's socket -> WEBSOCKET -> pipeline. The record's value is the frame's text; the venue's mapper
 * understands it. Beside the frames: REST snapshots for venues whose books come that way (rest-books.ts).
 * Invariants: one loop owns the socket and hands on; records are counted from 0 across reconnects; when a connection that
 * gave records is lost, a `lost` record follows at once; nothing is handed on after an abort.
 * At the limit: a busy sink stops the reading of the socket (inbox.ts); a venue that cannot be reached is tried again for
 * ever, with growing pauses of at most BACKOFF_MAX_MS.
 */
import { createBackoff } from "../../lib/backoff.ts";
import { type Clock, wallMs } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import { type Log, silentLog } from "../../lib/log.ts";
import { Outage } from "../../lib/outage.ts";
import type { Offset, RecordSink, Source, SourceState, SourceStatus } from "../source.ts";
import { sleep, turn, untilReady } from "../wait.ts";
import { Wake } from "../wake.ts";
import { Inbox, type TlsOptions } from "./inbox.ts";
import { RestBooks } from "./rest-books.ts";
import type { Link } from "./venue.ts";

export interface WebSocketOptions {
  /** Names the metric label and the log line: `kraken`. */
  readonly name: string;
  readonly link: Link;
  /** `wss://host[:port][/path]`; the link's path comes behind it. */
  readonly base: string;
  /** `https://host`: where the books' snapshots come from, if the link needs one. */
  readonly rest: string | null;
  /** The symbol of each depth channel, so that a book can be asked for by its channel. */
  readonly symbolOf: ReadonlyMap<string, string>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly tls?: TlsOptions;
  readonly log?: Pick<Log, "info" | "warn">;
  /** Hears of every connection made and every frame sent, for the recorder. */
  readonly watch?: { connected(): void; sent(text: string): void };
}

export const BACKOFF_FIRST_MS = 250;
export const BACKOFF_MAX_MS = 30_000;
/** A connection that lasted so long was a good one: the next pause is short again. */
const STABLE_MS = 10_000;
const CONNECT_MS_MAX = 10_000;
/** A younger connection is not given up for a wrong book: its snapshots may still be on their way. */
const YOUNG_MS = 15_000;
/** Frames handed on before the event loop gets its turn and the sink is asked again. */
const BATCH = 256;
const REFUSAL_CHARS_MAX = 4096;

export function createWebSocket(options: WebSocketOptions): Source {
  return new WebSocketSource(options);
}

class WebSocketSource implements Source {
  readonly name: string;
  readonly replayable = false;
  readonly books: readonly string[];
  readonly #options: WebSocketOptions;
  readonly #url: string;
  readonly #wake = new Wake();
  #state: SourceState = { name: "idle" };
  #records = 0;
  #connections = 0;
  #offset: Offset = 0;
  /** Records of the connection that is open now, or was last. */
  #given = 0;
  /** Symbols whose books are to be asked for again. */
  #wrong = new Set<string>();

  constructor(options: WebSocketOptions) {
    this.name = options.name;
    this.#options = options;
    this.books = [...options.symbolOf.keys()];
    this.#url = options.base.replace(/\/$/, "") + options.link.path;
  }

  status(): SourceStatus {
    return {
      state: this.#state,
      lagMs: null,
      records: this.#records,
      reconnects: Math.max(0, this.#connections - 1),
    };
  }

  resync(channel: string): void {
    const symbol = this.#options.symbolOf.get(channel);
    if (symbol === undefined) return;
    this.#wrong.add(symbol);
    this.#wake.call();
  }

  async run(sink: RecordSink, from: Offset | null, signal: AbortSignal): Promise<void> {
    const { clock, random, log = silentLog } = this.#options;
    if (!/^wss?:\/\//.test(this.#url) || !URL.canParse(this.#url)) {
      const reason = `"${this.#options.base}" is no address of a WebSocket: give one like wss://host:port`;
      this.#state = { name: "failed", reason };
      throw new GatewayError("UPSTREAM_URL", reason);
    }
    this.#offset = from === null ? 0 : from + 1;
    const backoff = createBackoff(BACKOFF_FIRST_MS, BACKOFF_MAX_MS, random);
    const [away, back] = ["upstream is not connected", "upstream is connected again"];
    const outage = new Outage({ log, clock, away, back, fields: { source: this.name } });
    const stable = (): void => {
      backoff.reset();
      outage.worked();
    };
    signal.addEventListener("abort", this.#wake.call);
    try {
      let error = "";
      while (!signal.aborted) {
        this.#state = { name: "connecting", attempt: backoff.attempts + 1, retryAt: wallMs(clock), error };
        error = await this.#connection(sink, stable, signal);
        if (signal.aborted) break;
        if (this.#given > 0) {
          this.#given = 0;
          await untilReady(sink, signal);
          if (signal.aborted) break;
          this.#hand(sink, { type: "lost" }, clock.wallUs());
        }
        const pauseMs = backoff.next();
        const retryAt = wallMs(clock) + Math.ceil(pauseMs);
        this.#state = { name: "connecting", attempt: backoff.attempts + 1, retryAt, error };
        outage.failed(error);
        await sleep(clock, pauseMs, signal);
      }
    } finally {
      signal.removeEventListener("abort", this.#wake.call);
      this.#state = { name: "idle" };
    }
  }

  /** One connection from the first attempt to its end; returns why it ended. */
  async #connection(sink: RecordSink, stable: () => void, signal: AbortSignal): Promise<string> {
    const { link, tls, clock, rest, watch, name, log = silentLog } = this.#options;
    const inbox = new Inbox(this.#url, tls ?? null, clock, this.#wake.call);
    const pulse = new Pulse(link, clock, this.#wake.call);
    const { books } = link;
    const rests =
      books.by === "rest" && rest !== null
        ? new RestBooks(books, { rest, tls, clock, wake: this.#wake.call, name, log })
        : null;
    const send = (text: string): void => {
      inbox.send(text);
      watch?.sent(text);
    };
    try {
      while (!inbox.open && inbox.closed === null && !signal.aborted) {
        if (pulse.ageMs >= CONNECT_MS_MAX) return "no answer to the handshake";
        await this.#wake.wait();
      }
      if (!inbox.open || signal.aborted) return inbox.closed ?? "aborted";
      this.#connections++;
      this.#state = { name: "connected" };
      this.#wrong.clear();
      watch?.connected();
      for (const text of link.hello) send(text);
      rests?.start();
      pulse.heard();
      while (!signal.aborted) {
        if (pulse.ageMs >= STABLE_MS) stable();
        const doomed = this.#askAgain(send, rests, pulse);
        if (doomed !== null) return doomed;
        await this.#drain(sink, inbox, rests, pulse, signal);
        if (inbox.closed !== null && inbox.empty) return inbox.closed;
        if (pulse.dead) return `silent for ${link.silenceMs} ms`;
        if (link.ping !== null && pulse.pingDue) inbox.send(link.ping);
        if (inbox.empty && this.#wrong.size === 0) await this.#wake.wait();
      }
      return "aborted";
    } finally {
      pulse.stop();
      rests?.stop();
      inbox.terminate("over");
    }
  }

  /** Asks for the books that turned out wrong; returns why the connection has to go instead, or null. */
  #askAgain(send: (text: string) => void, rests: RestBooks | null, pulse: Pulse): string | null {
    if (this.#wrong.size === 0) return null;
    const wrong = [...this.#wrong];
    this.#wrong.clear();
    const { books } = this.#options.link;
    // The shard asks again for as long as a book is stale.
    if (books.by === "reconnect") return pulse.ageMs < YOUNG_MS ? null : `book of ${wrong.join(", ")} is wrong`;
    for (const symbol of wrong) {
      rests?.ask(symbol);
      if (books.by === "frames") for (const text of books.ask(symbol)) send(text);
    }
    return null;
  }

  /** Hands on what has arrived, in turns. */
  async #drain(sink: RecordSink, inbox: Inbox, rests: RestBooks | null, pulse: Pulse, signal: AbortSignal) {
    while (!signal.aborted) {
      await untilReady(sink, signal);
      if (signal.aborted) return;
      for (let i = 0; i < BATCH; i++) {
        const frame = rests?.take() ?? inbox.take();
        if (frame === null) return;
        pulse.heard();
        if (frame.text === this.#options.link.pong) continue;
        this.#look(frame.text);
        if (rests?.holds(frame)) continue;
        this.#hand(sink, { type: "data", value: frame.text }, frame.receivedUs);
        // A book turned out wrong: asking for it does not wait for a long queue.
        if (this.#wrong.size > 0) return;
      }
      await turn();
    }
  }

  #hand(sink: RecordSink, what: { type: "data"; value: string } | { type: "lost" }, receivedUs: number): void {
    this.#records++;
    if (what.type === "data") this.#given++;
    sink.accept({ ...what, offset: this.#offset++, receivedUs });
  }

  #look(text: string): void {
    const { link, log } = this.#options;
    if (text.length > REFUSAL_CHARS_MAX || !link.refusal.test(text)) return;
    log?.warn("upstream refuses", { source: this.name, frame: text.slice(0, 300) });
  }
}

/** Knows when a connection is to be pinged and when it is dead, and wakes the loop for both. */
class Pulse {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #bornMs: number;
  #heardMs: number;
  #pinged = false;
  #timer: { cancel(): void };

  constructor(link: Link, clock: Clock, wake: () => void) {
    this.#link = link;
    this.#clock = clock;
    this.#bornMs = clock.monotonicMs();
    this.#heardMs = this.#bornMs;
    const again = (): { cancel(): void } =>
      clock.after(link.silenceMs / 6, () => {
        this.#timer = again();
        wake();
      });
    this.#timer = again();
  }

  /** Since the connection was begun. */
  get ageMs(): number {
    return this.#clock.monotonicMs() - this.#bornMs;
  }

  heard(): void {
    this.#heardMs = this.#clock.monotonicMs();
    this.#pinged = false;
  }

  get dead(): boolean {
    return this.#quietMs >= this.#link.silenceMs;
  }

  /** True once per silence. */
  get pingDue(): boolean {
    if (this.#pinged || this.#quietMs < this.#link.silenceMs / 3) return false;
    this.#pinged = true;
    return true;
  }

  stop(): void {
    this.#timer.cancel();
  }

  get #quietMs(): number {
    return this.#clock.monotonicMs() - this.#heardMs;
  }
}
