/**
 * The clients of a world: they come, subscribe, move, leave, do not read for a while, and come back when they are closed.
 */
import type { DepthReply } from "../../src/engine/depth.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { BinanceClient, type BinanceStream } from "./binance-client.ts";
import type { Crew } from "./crew.ts";
import type { FakeSocket } from "./fake-server.ts";
import { TradesFollowing, type Truth } from "./following.ts";
import type { Market } from "./market.ts";
import { NativeClient } from "./native-client.ts";
import type { Kinds, Plan } from "./plan.ts";
import type { Random } from "./random.ts";

const CLIENTS_MAX = 14;
/** Several times what matters most. */
const NATIVE_STREAMS: Readonly<Record<Kinds, readonly string[]>> = {
  all: ["depth", "depth", "trade", "trade", "bookTicker", "depth5", "kline_1s"],
  books: ["depth", "depth", "depth", "bookTicker", "depth5"],
  trades: ["trade", "trade", "trade", "kline_1s"],
};
const BINANCE_STREAMS: Readonly<Record<Kinds, readonly BinanceStream[]>> = {
  all: ["depth@100ms", "depth@100ms", "depth", "trade", "trade", "bookTicker", "depth5@100ms"],
  books: ["depth@100ms", "depth@100ms", "depth", "bookTicker", "depth5@100ms"],
  trades: ["trade"],
};

export interface CrowdOptions {
  readonly clock: Clock;
  readonly market: Market;
  readonly crew: Crew;
  readonly plan: Pick<Plan, "kinds" | "rungs">;
  readonly violation: (text: string) => void;
  /** What REST answers from. */
  readonly depth: (channel: string) => Promise<DepthReply>;
  readonly isStale: (channel: string) => boolean;
  readonly candles: (channel: string) => Promise<Truth["candles"]>;
}

export class Crowd {
  /** Sessions that ended, by code; 1006 is mostly the clients' own doing. */
  readonly closes: Record<string, number> = {};
  moves = 0;
  gaps = 0;
  judged = 0;
  readonly #options: CrowdOptions;
  readonly #natives: NativeClient[] = [];
  readonly #binances: BinanceClient[] = [];
  readonly #choked = new Set<FakeSocket>();
  #ended = false;

  constructor(options: CrowdOptions) {
    this.#options = options;
  }

  /** One more client, for something of an instrument. */
  open(isBinance: boolean, symbol: string, random: Random): void {
    if (this.#natives.length + this.#binances.length >= CLIENTS_MAX) return;
    if (isBinance) this.#openBinance(symbol, random);
    else
      this.openNative(
        Array.from({ length: random.int(1, 3) }, () => this.#nameOf(symbol, random)),
        random,
      );
  }

  openNative(names: readonly string[], random: Random, rung?: number): void {
    const label = `native${this.#natives.length}`;
    const client: NativeClient = new NativeClient(label, this.#options.violation, (code) =>
      this.#comeBack(code, random, () => this.#connectNative(client, random)),
    );
    client.wanted = names;
    this.#natives.push(client);
    this.#connectNative(client, random, rung);
  }

  /** Somebody follows the trades of the instrument. */
  wantsTrades(symbol: string): boolean {
    const isNative = this.#natives.some(({ subscriptions }) =>
      [...subscriptions.keys()].some((name) => name.endsWith(`${symbol}@trade`)),
    );
    return isNative || this.#binances.some((one) => one.open && one.symbol === symbol && one.stream === "trade");
  }

  /** Client number `at` does something. */
  act(at: number, random: Random): void {
    const client = this.#client(at);
    if (client === null) return;
    if (client instanceof NativeClient) this.#actNative(client, random);
    else if (random.chance(0.5)) client.rewrap();
    else client.leave();
  }

  /** It reads nothing for a while. */
  choke(at: number, ms: number, bytes: number): void {
    const socket = this.#client(at)?.connection?.socket;
    if (socket === undefined) return;
    socket.choke(bytes);
    this.#choked.add(socket);
    this.#options.clock.after(ms, () => {
      this.#choked.delete(socket);
      socket.unchoke();
    });
  }

  /** From now on everybody reads. */
  unchokeAll(): void {
    for (const socket of this.#choked) socket.unchoke();
  }

  leave(): void {
    this.#ended = true;
    for (const client of [...this.#natives, ...this.#binances]) client.leave();
  }

  /** Every client against its venue. */
  async judge(): Promise<void> {
    for (const client of this.#natives) await this.#judgeNative(client);
    for (const client of this.#binances) {
      if (!client.open) continue;
      this.judged++;
      for (const fault of client.judge(this.#options.market.listingOf(client.symbol))) {
        this.#options.violation(`${client.label} ${client.symbol}@${client.stream}: ${fault}`);
      }
    }
  }

  // --- inside -----------------------------------------------------------------------------------------------------

  async #judgeNative(client: NativeClient): Promise<void> {
    const { market, candles, violation } = this.#options;
    this.moves += client.moves;
    if (!client.open) return;
    for (const fault of client.unanswered()) violation(`${client.label}: ${fault}`);
    for (const [name, { following, phase }] of client.subscriptions) {
      if (phase !== "running") violation(`${client.label}: ${name} is ${phase} for ever`);
      const listing = market.listingOf(name);
      const truth = { listing, epochOf: (id: string) => market.epochOf(id), candles: await candles(name) };
      this.judged++;
      if (following instanceof TradesFollowing) this.gaps += following.gaps;
      for (const fault of following.judge(truth)) {
        violation(`${client.label} ${name}: ${fault}; ${following.log.slice(-25).join(" / ")}`);
      }
    }
  }

  #client(at: number): NativeClient | BinanceClient | null {
    const clients = [...this.#natives, ...this.#binances];
    const client = clients[at % Math.max(1, clients.length)];
    return client?.open ? client : null;
  }

  #openBinance(symbol: string, random: Random): void {
    const { clock, plan, violation, depth, isStale } = this.#options;
    const label = `binance${this.#binances.length}`;
    const onClose = (code: number) => this.#comeBack(code, random, () => this.#connectBinance(client, random));
    const ports = { clock, violation, random, depth, isStale, onClose };
    const client: BinanceClient = new BinanceClient(label, symbol, random.pick(BINANCE_STREAMS[plan.kinds]), ports);
    this.#binances.push(client);
    this.#connectBinance(client, random);
  }

  #connectNative(client: NativeClient, random: Random, rung: number = this.#rung(random)): void {
    const worker = this.#options.crew.some(random);
    if (worker === null) {
      this.#later(50, () => this.#connectNative(client, random));
      return;
    }
    client.connect((peer) => worker.connect("/ws/quote/v1", peer));
    const names = [...new Set(client.wanted)];
    if (names.length > 0) client.subscribe(names, rung, random.chance(0.7));
  }

  #connectBinance(client: BinanceClient, random: Random): void {
    const worker = this.#options.crew.some(random);
    if (worker === null) {
      this.#later(50, () => this.#connectBinance(client, random));
      return;
    }
    if (client.stream.startsWith("depth@") || client.stream === "depth") this.#poll(`${client.symbol}@depth`);
    const combined = random.chance(0.5);
    client.connect((peer) => worker.connect(combined ? "/stream" : "/ws", peer), combined);
  }

  /** Others ask REST for the same book, so that what it keeps for them meets the stream. */
  #poll(channel: string): void {
    for (let at = 0; at < 20; at++) this.#later(at * 15, () => void this.#options.depth(channel));
  }

  #actNative(client: NativeClient, random: Random): void {
    const names = [...client.subscriptions.keys()];
    const name = names.length === 0 ? null : random.pick(names);
    const { listings } = this.#options.market;
    const { symbol } = random.chance(0.6) ? listings[0]! : random.pick(listings);
    const action = random.int(0, 11);
    if (action === 0) client.leave();
    else if (action === 1) client.list();
    else if (action <= 4 || name === null) {
      const asked = Array.from({ length: random.int(1, 3) }, () => this.#nameOf(symbol, random));
      client.subscribe([...new Set(asked)], this.#rung(random), true);
    } else if (action <= 6) client.unsubscribe(name);
    else if (action === 7) client.resync(name);
    else if (action === 8) client.subscribe([name], this.#rung(random), true);
    else client.cadence(name, this.#rung(random));
  }

  #nameOf(symbol: string, random: Random): string {
    return `${random.chance(0.15) ? "spot:" : ""}${symbol}@${random.pick(NATIVE_STREAMS[this.#options.plan.kinds])}`;
  }

  #rung(random: Random): number {
    return random.pick(this.#options.plan.rungs);
  }

  #comeBack(code: number, random: Random, connect: () => void): void {
    this.closes[code] = (this.closes[code] ?? 0) + 1;
    this.#later(random.int(20, 900), connect);
  }

  #later(ms: number, call: () => void): void {
    this.#options.clock.after(ms, () => {
      if (!this.#ended) call();
    });
  }
}
