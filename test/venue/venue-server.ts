/**
 * A venue that plays a script over real sockets, keeps the true books, and misbehaves on demand.
 *
 * The script are a recording's frames. `play(n)` takes the next n of them: each changes the true book of its symbol and
 * goes out to every session that asked for it. Who subscribes to a book gets a snapshot of the true one as it is then, and
 * the changes behind it. `fault` is asked for every frame that goes out.
 */
import type { PlainDepth } from "../lib/plain-book.ts";
import type { Certificate } from "./certificate.ts";
import { DigestBook } from "./digest-book.ts";
import { type Reply, type ServerSession, SocketServer } from "./socket-server.ts";
import type { BookFrame, Speech } from "./speech.ts";

/**
 * What happens to one frame: `late` lets the next one overtake it, `lose` is for venues that number their frames.
 */
export type Fault = "none" | "cut" | "cut-within" | "twice" | "garble" | "late" | "lose" | "silence";

export interface VenueOptions {
  readonly speech: Speech;
  readonly script: readonly string[];
  readonly certificate?: Certificate;
  /** What the books hold before the script begins, for venues whose script has no snapshots. */
  readonly start?: ReadonlyMap<string, { readonly depth: PlainDepth; readonly last: number }>;
  readonly port?: number;
}

interface TrueBook {
  readonly book: DigestBook;
  last: number;
  /** Digests of every state it ever had. */
  readonly states: Set<string>;
}

export class VenueServer implements AsyncDisposable {
  /** What is to happen to the next frame. */
  fault: (frame: string, session: ServerSession) => Fault = () => "none";
  /** REST replies wait for it, and fail while it says so. */
  rest: () => Promise<"ok" | "error"> = async () => "ok";
  /** Frames received from clients. */
  readonly heard: string[] = [];
  readonly faults: Record<string, number> = {};
  at = 0;
  readonly #options: VenueOptions;
  readonly #books = new Map<string, TrueBook>();
  readonly #sessions = new Map<ServerSession, Listener>();
  #server: SocketServer | null = null;

  private constructor(options: VenueOptions) {
    this.#options = options;
    for (const [symbol, { depth, last }] of options.start ?? []) {
      const book = new DigestBook();
      book.apply(depth.bids, depth.asks);
      this.#books.set(symbol, { book, last, states: new Set([book.digest]) });
    }
  }

  static async start(options: VenueOptions): Promise<VenueServer> {
    const venue = new VenueServer(options);
    const { speech } = options;
    venue.#server = await SocketServer.start(
      {
        opened: (session) => {
          const listener = new Listener();
          venue.#sessions.set(session, listener);
          if (speech.greeting !== undefined) session.send(speech.greeting);
          for (const symbol of speech.pathBooks?.(session.path) ?? []) listener.books.add(symbol);
        },
        received: (session, text) => venue.#received(session, text),
        closed: (session) => venue.#sessions.delete(session),
        get: (path) => venue.#get(path),
      },
      options.certificate ?? null,
      options.port ?? 0,
    );
    return venue;
  }

  get socket(): SocketServer {
    if (this.#server === null) throw new Error("the venue has not started");
    return this.#server;
  }

  get sessions(): readonly ServerSession[] {
    return [...this.#sessions.keys()];
  }

  get length(): number {
    return this.#options.script.length;
  }

  get ended(): boolean {
    return this.at >= this.length;
  }

  /** Symbols with a true book. */
  get symbols(): readonly string[] {
    return [...this.#books.keys()];
  }

  /** The true book, as a subscriber sees it. */
  depth(symbol: string): PlainDepth {
    return this.#book(symbol).book.depth(this.#options.speech.window);
  }

  /** Whether the true book is, or ever was, in this state. */
  hasBeen(symbol: string, digest: string): boolean {
    return this.#book(symbol).states.has(digest);
  }

  /** True if some session has a live subscription of this book. */
  follows(symbol: string): boolean {
    return [...this.#sessions.values()].some(({ books }) => books.has(symbol));
  }

  /** Plays the next frames of the script; fewer if it ends. */
  play(count: number): void {
    const { script, speech } = this.#options;
    for (const end = Math.min(script.length, this.at + count); this.at < end; this.at++) {
      const frame = script[this.at]!;
      const change = speech.read(frame);
      const sent = change === null ? frame : this.#apply(frame, change);
      for (const [session, { books }] of this.#sessions) {
        const wanted =
          speech.carries?.(session.path, frame) ?? (change === null ? books.size > 0 : books.has(change.symbol));
        if (wanted) this.#out(session, sent);
      }
    }
    for (const [session, listener] of this.#sessions) this.#flushLate(session, listener);
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #book(symbol: string): TrueBook {
    let book = this.#books.get(symbol);
    if (book === undefined) {
      book = { book: new DigestBook(), last: 0, states: new Set() };
      this.#books.set(symbol, book);
    }
    return book;
  }

  /** Changes the true book; returns the frame as it goes out. */
  #apply(frame: string, change: BookFrame): string {
    const { speech } = this.#options;
    const known = this.#book(change.symbol);
    const { book } = known;
    if (change.type === "snapshot") book.clear();
    book.apply(change.bids, change.asks);
    if (speech.window !== Number.POSITIVE_INFINITY) book.truncate(speech.window);
    const sent = speech.dress?.(frame, change, known.last) ?? frame;
    known.last = change.last ?? known.last + 1;
    known.states.add(book.digest);
    return sent;
  }

  #received(session: ServerSession, text: string): void {
    this.heard.push(text);
    const listener = this.#sessions.get(session);
    if (listener === undefined) return;
    const { speech } = this.#options;
    const { replies, subscribe, unsubscribe } = speech.command(text);
    for (const symbol of unsubscribe) listener.books.delete(symbol);
    for (const reply of replies) this.#out(session, reply);
    for (const symbol of subscribe) {
      listener.books.add(symbol);
      const book = this.#books.get(symbol);
      const frame = book === undefined ? null : speech.snapshot(symbol, this.depth(symbol), book.last);
      if (frame !== null) this.#out(session, frame);
    }
    this.#flushLate(session, listener);
  }

  async #get(path: string): Promise<Reply | null> {
    if ((await this.rest()) === "error") return { status: 503, body: "{}" };
    const reply = this.#options.speech.rest?.(path, (symbol) => {
      const book = this.#books.get(symbol);
      return book === undefined ? null : { depth: this.depth(symbol), last: book.last };
    });
    return reply === undefined || reply === null ? null : { status: 200, body: reply };
  }

  /** Sends a frame, or what the fault makes of it. */
  #out(session: ServerSession, frame: string): void {
    if (!session.open || session.silent) return;
    const listener = this.#sessions.get(session);
    const fault = this.fault(frame, session);
    if (fault !== "none") this.faults[fault] = (this.faults[fault] ?? 0) + 1;
    switch (fault) {
      case "cut":
        session.cut();
        return;
      case "cut-within":
        session.sendPart(frame, 0.5);
        session.silent = true;
        return;
      case "silence":
        session.silent = true;
        return;
      case "lose":
        return;
      case "late":
        if (listener !== undefined && listener.late === null) {
          listener.late = frame;
          return;
        }
        break;
      case "garble":
        session.send(`${frame.slice(0, Math.floor(frame.length / 2))}#~`);
        return;
      case "twice":
        session.send(frame);
        break;
      case "none":
        break;
    }
    session.send(frame);
    if (listener !== undefined) this.#flushLate(session, listener);
  }

  #flushLate(session: ServerSession, listener: Listener): void {
    const { late } = listener;
    listener.late = null;
    if (late !== null) session.send(late);
  }
}

class Listener {
  /** Books that this session follows. */
  readonly books = new Set<string>();
  /** A frame that the next one overtakes. */
  late: string | null = null;
}
