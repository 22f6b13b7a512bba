/**
 * A Binance client with one stream: a local book as ccxt keeps it (REST snapshot after the SUBSCRIBE reply, then exact
 * `U == previous u + 1`), a list of trades, or the latest value.
 *
 * Binance has no word for a gap or for stale: whoever is still connected at the end must have everything since the reply.
 */
import type { Level } from "../../src/channel/types.ts";
import type { DepthBody } from "../../src/engine/depth.ts";
import type { Clock } from "../../src/lib/clock.ts";
import type { ServingNode } from "./crowd.ts";
import type { Peer } from "./fake-server.ts";
import { top5Of, topOf } from "./following.ts";
import { ModelBook } from "./model-book.ts";
import type { Random } from "./random.ts";
import type { Connection } from "./test-worker.ts";
import { shortened, type Trace } from "./trace.ts";
import type { Listing } from "./venue.ts";

interface DepthEvent {
  readonly U: number;
  readonly u: number;
  readonly b: readonly Level[];
  readonly a: readonly Level[];
}

export interface BinancePorts {
  readonly clock: Clock;
  readonly violation: (text: string) => void;
  readonly onClose: (code: number) => void;
  readonly rest: (channel: string) => Promise<DepthBody | null>;
  /** The venue's numbers fell once, for a store lost what was used: until it is closed they may not fit. */
  readonly fell: () => boolean;
  /** Both are numbers of one epoch. */
  readonly sameEpoch: (a: number, b: number) => boolean;
  /** What the book was at a seq; undefined where the venue's records do not say. */
  readonly bookAt: (seq: number) => string | undefined;
  readonly random: Random;
  readonly trace: Trace;
}

export type BinanceStream = "depth@100ms" | "depth" | "trade" | "bookTicker" | "depth5@100ms";

export class BinanceClient implements Peer {
  readonly label: string;
  readonly symbol: string;
  readonly stream: BinanceStream;
  closedWith: number | null = null;
  connection: Connection | null = null;
  /** Where it is, or was last. */
  node: ServingNode | null = null;
  /** When it last connected, or stopped reading too slowly. */
  disturbedMs = 0;
  readonly #ports: BinancePorts;
  #life = 0;
  #replied = false;
  #repliedMs = 0;
  #pending = new Set<number>();
  #combined: boolean | null = null;
  #ids = 0;
  #subscribeId = 0;
  readonly #log: string[] = [];
  // depth
  #book = new ModelBook();
  #cached: DepthEvent[] | null = null;
  #id = 0;
  #chained = false;
  #synced = false;
  // trades and values
  #trades: number[] = [];
  #value: unknown = null;
  /** It joined while the book was stale, and nothing has come since. */
  #knew = false;

  constructor(label: string, symbol: string, stream: BinanceStream, ports: BinancePorts) {
    this.label = label;
    this.symbol = symbol;
    this.stream = stream;
    this.#ports = ports;
  }

  get open(): boolean {
    return this.connection !== null && this.closedWith === null;
  }

  /** Where its book stands; null if it has none. */
  get position(): number | null {
    return this.#synced ? this.#id : null;
  }

  get log(): readonly string[] {
    return this.#log;
  }

  connect(make: (peer: Peer) => Connection, combined: boolean, node: ServingNode): void {
    this.closedWith = null;
    this.node = node;
    this.disturbedMs = this.#ports.clock.monotonicMs();
    this.#ports.trace.say(() => `${this.label} connects to ${node.name}`);
    this.#life++;
    this.#replied = false;
    this.#combined = combined;
    this.#pending = new Set();
    this.#book = new ModelBook();
    this.#cached = null;
    this.#chained = false;
    this.#synced = false;
    this.#trades = [];
    this.#value = null;
    this.#log.push("connect");
    this.connection = make(this);
    // The reply may come before the sending returns.
    this.#subscribeId = this.#ids + 1;
    this.#send("SUBSCRIBE", [`${this.symbol}@${this.stream}`]);
  }

  /** SET_PROPERTY: the other envelope from now on. */
  rewrap(): void {
    this.#combined = null;
    this.#send("SET_PROPERTY", ["combined", this.#ports.random.chance(0.5)]);
  }

  leave(): void {
    this.connection?.socket.abort();
  }

  receive(frame: string): void {
    this.#ports.trace.say(() => `${this.label} < ${shortened(frame)}`);
    const message = JSON.parse(frame) as Record<string, unknown>;
    if ("id" in message) {
      this.#answered(message);
      return;
    }
    const isCombined = "stream" in message;
    if (this.#combined !== null && this.#combined !== isCombined) this.#violated("wrong envelope");
    this.#event((isCombined ? message.data : message) as Record<string, unknown>);
  }

  closed(code: number): void {
    this.#log.push(`closed ${code}`);
    this.closedWith = code;
    this.connection = null;
    this.#ports.onClose(code);
  }

  judge(listing: Listing): string[] {
    if (this.#pending.size > 0) return [`${this.#pending.size} requests were never answered`];
    const faults: string[] = [];
    if (this.stream === "trade") faults.push(...this.#judgeTrades(listing));
    else if (listing.broken) {
      if (this.#synced || (this.#value !== null && !this.#knew)) {
        faults.push("the source's book is stale for long, and it was not closed");
      }
    } else if (this.stream === "depth" || this.stream === "depth@100ms") {
      const mine = this.#book.text();
      const theirs = listing.book.text();
      if (!this.#synced) faults.push("never got a book");
      else if (mine !== theirs) faults.push(`book differs: ${mine} instead of ${theirs}`);
    } else faults.push(...this.#judgeValue(listing));
    return faults.map((fault) => `${fault}; ${this.#log.slice(-20).join(" / ")}`);
  }

  // --- inside -----------------------------------------------------------------------------------------------------

  #judgeTrades(listing: Listing): string[] {
    if (listing.returned) return [];
    const all = listing.trades;
    // The list must be the end of the venue's, and reach back at least to the reply. What came in an epoch that has ended is
    // nothing it should have: it was closed, or came later.
    const present = all.at(-1)?.epoch;
    const due = all.findIndex((trade) => trade.epoch === present && trade.atMs > this.#repliedMs);
    const from = Math.max(0, all.length - this.#trades.length);
    const expected = all.slice(from);
    if (expected.map((trade) => trade.t).join() !== this.#trades.join()) {
      const missing = all.filter((trade, at) => at >= due && !this.#trades.includes(trade.t)).map((trade) => trade.t);
      const shown = missing.length > 6 ? [...missing.slice(0, 3), "...", ...missing.slice(-3)] : missing;
      return [`trades differ: missing ${shown}, ${this.#trades.length} of ${all.length}`];
    }
    if (due >= 0 && from > due) return [`begins at ${this.#trades[0]}, after the reply came ${all[due]?.t}`];
    const begin = expected[0];
    const broken = begin && listing.gaps.find((gap) => gap.epoch === begin.epoch && gap.seq > begin.seq);
    if (broken) return [`the source's gap at ${broken.seq} untold`];
    if (begin && begin.epoch !== expected.at(-1)!.epoch) return ["an epoch ended untold"];
    return [];
  }

  #judgeValue(listing: Listing): string[] {
    const mine = JSON.stringify(this.#value);
    const top = topOf(listing);
    const theirs = JSON.stringify(
      this.stream === "bookTicker"
        ? { b: spelled(top.bid), B: spelled(top.bidQuantity), a: spelled(top.ask), A: spelled(top.askQuantity) }
        : top5Of(listing),
    );
    return mine === theirs ? [] : [`value differs: ${mine} instead of ${theirs}`];
  }

  #send(method: string, params: readonly unknown[]): void {
    const id = ++this.#ids;
    this.#pending.add(id);
    const frame = JSON.stringify({ method, params, id });
    this.#ports.trace.say(() => `${this.label} > ${frame}`);
    this.connection?.send(frame);
  }

  #answered(message: Record<string, unknown>): void {
    if (!this.#pending.delete(Number(message.id))) {
      this.#violated("reply to nothing");
      return;
    }
    if (message.error !== undefined) {
      // The node cannot serve it now: it says so, and the client comes again.
      this.#log.push(`refused ${JSON.stringify(message.error)}`);
      this.leave();
      return;
    }
    if (message.id !== this.#subscribeId) return;
    this.#replied = true;
    this.#repliedMs = this.#ports.clock.monotonicMs();
    this.#log.push(`reply at ${this.#repliedMs}`);
    // The node holds the book for stale: who joins now is not closed for it.
    this.#knew = this.node?.isStale(`${this.symbol}@depth`) === true;
    if (this.stream !== "depth" && this.stream !== "depth@100ms") return;
    this.#cached = [];
    this.#askLater(this.#life, this.#ports.random.int(0, 120));
  }

  #askLater(life: number, ms: number): void {
    const { clock, random, rest } = this.#ports;
    clock.after(ms, () => {
      if (life !== this.#life || !this.open) return;
      void rest(`${this.symbol}@depth`).then((reply) => {
        // The answer travels too.
        clock.after(random.int(0, 40), () => {
          if (life === this.#life && this.open) this.#snapshot(life, reply);
        });
      });
    });
  }

  #snapshot(life: number, reply: DepthBody | null): void {
    this.#log.push(`rest ${reply?.lastUpdateId ?? "unavailable"}`);
    if (reply === null) {
      this.#askLater(life, 400);
      return;
    }
    const { lastUpdateId, bids, asks } = reply;
    const first = this.#cached?.[0];
    if (first !== undefined && lastUpdateId < first.U - 1 && !this.#ports.sameEpoch(lastUpdateId, first.u)) {
      // That node has not heard of the new owner yet: as Binance's rules say, the snapshot is too old and another is fetched.
      this.#askLater(life, 50);
      return;
    }
    if (first !== undefined && lastUpdateId < first.U - 1 && !this.#ports.fell())
      this.#violated("the REST snapshot is older than the stream");
    this.#id = lastUpdateId;
    this.#book.replace({ bids, asks });
    const cached = this.#cached ?? [];
    this.#cached = null;
    this.#synced = true;
    this.#check();
    for (const event of cached) this.#apply(event);
  }

  #event(event: Record<string, unknown>): void {
    // What comes with the reply is the last known value, stale or not.
    if (this.#ports.clock.monotonicMs() > this.#repliedMs) this.#knew = false;
    if (this.stream === "trade") {
      this.#trades.push(Number(event.t));
      return;
    }
    if (this.stream === "bookTicker") {
      const { b, B, a, A } = event;
      this.#value = { b, B, a, A };
      return;
    }
    if (this.stream === "depth5@100ms") {
      const { bids, asks } = event;
      this.#value = { bids, asks };
      return;
    }
    const depth = event as unknown as DepthEvent;
    this.#log.push(`U ${depth.U} u ${depth.u}`);
    if (!this.#replied) this.#violated("a depth event before the reply");
    else if (this.#cached !== null) this.#cached.push(depth);
    else this.#apply(depth);
  }

  /** ccxt's handleOrderBook for spot. */
  #apply({ U, u, b, a }: DepthEvent): void {
    if (u <= this.#id) return;
    if (!this.#chained && U - 1 > this.#id && (U === u || !this.#ports.sameEpoch(this.#id, u))) {
      // The stream begins with the channel's first book on this node, which another node had before, or that node had not
      // heard of the new owner: as Binance's rules say, the snapshot is too old and another is fetched.
      this.#synced = false;
      this.#cached = [{ U, u, b, a }];
      this.#askLater(this.#life, 50);
      return;
    }
    const continues = this.#chained ? U - 1 === this.#id : U - 1 <= this.#id;
    if (!continues && !this.#ports.fell()) this.#violated(`U ${U} does not follow ${this.#id}`);
    this.#chained = true;
    this.#id = u;
    this.#book.apply({ bids: b, asks: a });
    this.#check();
  }

  #check(): void {
    const theirs = this.#ports.bookAt(this.#id);
    if (theirs === undefined) return;
    const mine = this.#book.text();
    if (mine !== theirs) this.#violated(`the book at ${this.#id} differs: ${mine} instead of ${theirs}`);
  }

  #violated(text: string): void {
    this.#ports.violation(`${this.label} ${this.symbol}@${this.stream}: ${text}; ${this.#log.slice(-20).join(" / ")}`);
  }
}

const spelled = (decimal: string): string => (decimal === "0" ? "0.00000000" : decimal);
