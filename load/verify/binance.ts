/**
 * The streams of one session in the Binance dialect, verified event by event by Binance's own rules.
 *
 * On the path: client -> BINANCE -> tally.
 * Depth: spot `U` is the `u` before plus 1, USD-M `pu` is the `u` before. Trades by `t` and `a`. bookTicker and partial
 * books never go back. A kept book begins with REST's snapshot, as the dialect wants it.
 * Invariants: fields are read where they stand in the text; whole events are parsed only for books that are kept. A raw
 * connection does not name its stream, so names that look the same there are refused before the run (`rawKeys`).
 */
import type { Histogram } from "../histogram.ts";
import { BinanceBook } from "./binance-book.ts";
import type { Checks } from "./checks.ts";
import type { Feed, FeedPlan, Subscribed } from "./feed.ts";
import { type TradeId, tradeId } from "./trade-ids.ts";

/** Everything of an event that is looked at stands in its first bytes. */
const HEAD_BYTES = 320;
/** Below this an `E` is in ms. */
const MICROSECONDS_FROM = 1e14;

type Kind = "depth" | "trade" | "aggTrade" | "bookTicker" | "partial" | null;

interface Stream {
  readonly name: string;
  readonly kind: Kind;
  /** `u`, or `lastUpdateId`. */
  last: number | null;
  lastId: TradeId | null;
  readonly book: BinanceBook | null;
}

export interface BinanceOptions {
  readonly combined: boolean;
  /** The node's HTTP side and its depth call, for books that are kept. */
  readonly depthUrl: (symbol: string) => string;
  /** Whom to believe there. */
  readonly trust: Bun.TLSOptions & { readonly rejectUnauthorized?: boolean };
  /** The URL names the streams: nothing is to be subscribed. */
  readonly byUrl: boolean;
}

export class BinanceFeed implements Feed {
  readonly #plan: FeedPlan;
  readonly #options: BinanceOptions;
  readonly #checks: Checks;
  readonly #streams: Stream[];
  /** On a raw connection: which stream an event is of. */
  readonly #raw: ReadonlyMap<string, number>;

  constructor(plan: FeedPlan, options: BinanceOptions, checks: Checks, keepsBooks: boolean) {
    this.#plan = plan;
    this.#options = options;
    this.#checks = checks;
    this.#raw = options.combined ? NONE : rawKeys(plan.names);
    this.#streams = plan.names.map((name) => {
      const kind = kindOf(name);
      const symbol = name.slice(0, name.indexOf("@"));
      const book =
        keepsBooks && kind === "depth" ? new BinanceBook(name, options.depthUrl(symbol), options.trust, checks) : null;
      return { name, kind, last: null, lastId: null, book };
    });
  }

  subscribe(): Buffer | null {
    return this.#options.byUrl ? null : this.#plan.subscribeFrame;
  }

  /** There is no resume: everything starts over. */
  lost(): void {
    for (const stream of this.#streams) {
      stream.last = null;
      stream.lastId = null;
      stream.book?.forget();
    }
  }

  /** Only the node's own snapshots could tell more, and they are never at the seq we have. */
  recheck(): readonly Buffer[] {
    return [];
  }

  text(bytes: Buffer, from: number, to: number, latency: Histogram): Subscribed | null {
    const text = bytes.toString("utf8", from, Math.min(to, from + HEAD_BYTES));
    let name: string | null = null;
    let at = 0;
    if (text.startsWith('{"stream":"')) {
      const end = text.indexOf('"', 11);
      name = text.slice(11, end);
      at = text.indexOf('"data":', end) + 7;
    } else if (text.startsWith('{"result"') || text.startsWith('{"error"') || text.startsWith('{"id"')) {
      return this.#reply(bytes.toString("utf8", from, to));
    }
    const type = valueAfter(text, '{"e":"', at, '"');
    if (type === "serverShutdown") {
      this.#checks.tally.counts.drains += 1;
      return null;
    }
    const sent = numberAfter(text, '"E":', at);
    this.#checks.push(sent === null ? 0 : sent < MICROSECONDS_FROM ? sent * 1000 : sent, to - from, latency);
    if (this.#checks.level === "none") return null;
    if (bytes[to - 1] !== 125 && bytes[to - 1] !== 93) return this.#frameFault(text);
    const index = name === null ? this.#raw.get(rawKey(text, type)) : this.#plan.indexOf.get(name);
    if (name !== null && index === undefined) return this.#frameFault(text);
    if (index !== undefined) this.#verify(this.#streams[index]!, text, at, bytes, from, to);
    return null;
  }

  #verify(stream: Stream, text: string, at: number, bytes: Buffer, from: number, to: number): void {
    const { tally } = this.#checks;
    switch (stream.kind) {
      case "depth": {
        this.#depth(stream, text, at);
        const whole = stream.book === null ? "" : bytes.toString("utf8", from, to);
        stream.book?.take(at === 0 ? whole : whole.slice(at, -1));
        break;
      }
      case "trade":
      case "aggTrade": {
        const id = valueAfter(text, stream.kind === "trade" ? '"t":' : '"a":', at, ",");
        if (id === null) return void this.#frameFault(text);
        const next = tradeId(id);
        if (stream.lastId !== null) this.#checks.ids.follows(stream.name, stream.lastId, next);
        stream.lastId = next;
        break;
      }
      case "bookTicker":
      case "partial": {
        const seq =
          numberAfter(text, stream.kind === "partial" ? '"lastUpdateId":' : '"u":', at) ??
          numberAfter(text, '"u":', at);
        if (seq === null) return void this.#frameFault(text);
        tally.counts.links += 1;
        const { last } = stream;
        if (last !== null && seq < last) tally.fault("order", () => `${stream.name}: ${seq} after ${last}`);
        stream.last = seq;
      }
    }
  }

  #depth(stream: Stream, text: string, at: number): void {
    const { tally } = this.#checks;
    const first = numberAfter(text, '"U":', at);
    const seq = numberAfter(text, '"u":', at);
    if (first === null || seq === null) return void this.#frameFault(text);
    const { last } = stream;
    stream.last = seq;
    if (last === null) return;
    tally.counts.links += 1;
    const prev = numberAfter(text, '"pu":', at) ?? first - 1;
    if (prev === last) return;
    const kind = seq <= last ? "order" : "chain";
    tally.fault(kind, () => `${stream.name}: ${first}..${seq} (begins behind ${prev}) after ${last}`);
    stream.book?.forget();
  }

  #reply(text: string): Subscribed {
    const wrong = text.includes('"error"');
    return { begun: wrong ? 0 : this.#streams.length, recovered: 0, refused: wrong ? [text.slice(0, 120)] : [] };
  }

  #frameFault(text: string): null {
    this.#checks.tally.fault("frame", () => text.slice(0, 120));
    return null;
  }
}

const NONE: ReadonlyMap<string, number> = new Map();

function kindOf(name: string): Kind {
  const stream = /^[^@!]+@(.*)$/.exec(name)?.[1] ?? "";
  if (/^depth(@\d+ms)?$/.test(stream)) return "depth";
  if (/^depth\d+(@\d+ms)?$/.test(stream)) return "partial";
  return stream === "trade" || stream === "aggTrade" || stream === "bookTicker" ? stream : null;
}

/** What an event on a raw connection shows of its stream. */
function rawKey(text: string, type: string | null): string {
  if (text.startsWith('{"lastUpdateId"')) return "partial";
  return `${type ?? "bookTicker"} ${valueAfter(text, '"s":"', 0, '"') ?? ""}`;
}

const EVENTS: Readonly<Record<Exclude<Kind, null>, string>> = {
  depth: "depthUpdate",
  partial: "partial",
  trade: "trade",
  aggTrade: "aggTrade",
  bookTicker: "bookTicker",
};

/** By what their events show on a raw connection, the streams that can be told apart there. */
function rawKeys(names: readonly string[]): ReadonlyMap<string, number> {
  const keys = new Map<string, number>();
  for (const [index, name] of names.entries()) {
    const kind = kindOf(name);
    if (kind === null) continue;
    const symbol = name.slice(0, name.indexOf("@")).toUpperCase();
    keys.set(kind === "partial" ? EVENTS.partial : `${EVENTS[kind]} ${symbol}`, index);
  }
  return keys;
}

/** Two streams of one raw connection whose events look the same; null if there are none. */
export function lookAlike(names: readonly string[]): readonly [string, string] | null {
  const known = new Map<string, string>();
  for (const name of names) {
    const kind = kindOf(name);
    if (kind === null) continue;
    // USD-M's partial books look like depth events.
    const symbol = name.slice(0, name.indexOf("@"));
    const key = kind === "partial" || kind === "depth" ? `${symbol} book` : `${symbol} ${kind}`;
    const other = known.get(key);
    if (other !== undefined) return [other, name];
    known.set(key, name);
  }
  return null;
}

function valueAfter(text: string, key: string, from: number, end: string): string | null {
  const at = text.indexOf(key, from);
  if (at < 0) return null;
  const stop = text.indexOf(end, at + key.length);
  return stop < 0 ? null : text.slice(at + key.length, stop);
}

function numberAfter(text: string, key: string, from: number): number | null {
  const found = text.indexOf(key, from);
  if (found < 0) return null;
  let value = 0;
  let at = found + key.length;
  const start = at;
  for (let code = text.charCodeAt(at); code >= 48 && code <= 57; code = text.charCodeAt(++at))
    value = value * 10 + code - 48;
  return at === start ? null : value;
}
