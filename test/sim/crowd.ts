/**
 * The clients of a world: they come, subscribe, move, leave, do not read for a while, and come back when they are closed.
 */
import type { DepthBody } from "../../src/engine/depth.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { BinanceClient, type BinanceStream } from "./binance-client.ts";
import type { Crew } from "./crew.ts";
import type { FakeSocket } from "./fake-server.ts";
import { TradesFollowing, type Truth } from "./following.ts";
import type { Market } from "./market.ts";
import { NativeClient } from "./native-client.ts";
import type { Kinds, Plan } from "./plan.ts";
import type { Random } from "./random.ts";
import type { Trace } from "./trace.ts";

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
  readonly nodes: readonly ServingNode[];
  readonly plan: Pick<Plan, "kinds" | "rungs">;
  readonly violation: (text: string) => void;
  readonly candles: (channel: string) => Truth["candles"];
  readonly trace: Trace;
}

/** What clients see of a node. */
export interface ServingNode {
  readonly name: string;
  readonly crew: Crew;
  /** What REST answers; null: there is nothing to be trusted now. */
  depth(channel: string): Promise<DepthBody | null>;
  isStale(channel: string): boolean;
}

export class Crowd {
  /** Sessions that ended, by code; 1006 is mostly the clients' own doing. */
  readonly closes: Record<string, number> = {};
  /** Subscriptions that were judged last, and the gaps that they were told of. */
  judged = 0;
  gapsTold = 0;
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
    const { clock, market, violation, trace } = this.#options;
    const client: NativeClient = new NativeClient(label, {
      clock,
      violation,
      onClose: (code) => this.#comeBack(label, code, random, () => this.#connectNative(client, random)),
      fell: (name) => market.fell(name),
      bookAt: (name, seq) => market.bookAt(name, seq),
      trace,
    });
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
    const client = this.#client(at);
    const socket = client?.connection?.socket;
    if (!client || socket === undefined) return;
    client.disturbedMs = Math.max(client.disturbedMs, this.#options.clock.monotonicMs() + ms);
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

  /** What is wrong with the clients, each against its venue. */
  judge(): string[] {
    this.judged = 0;
    this.gapsTold = 0;
    const faults = this.#natives.flatMap((client) => this.#judgeNative(client));
    for (const client of this.#binances) {
      if (!client.open) continue;
      this.judged++;
      for (const fault of client.judge(this.#options.market.listingOf(client.symbol))) {
        faults.push(`${client.label} ${client.symbol}@${client.stream}: ${fault}`);
      }
    }
    return faults;
  }

  /** Subscriptions that changed their cadence. */
  get moves(): number {
    return this.#natives.reduce((sum, { moves }) => sum + moves, 0);
  }

  get natives(): readonly NativeClient[] {
    return this.#natives;
  }

  get binances(): readonly BinanceClient[] {
    return this.#binances;
  }

  // --- inside -----------------------------------------------------------------------------------------------------

  #judgeNative(client: NativeClient): string[] {
    const { market, candles } = this.#options;
    if (!client.open) return [];
    const faults = client.unanswered().map((fault) => `${client.label}: ${fault}`);
    for (const [name, { following, phase }] of client.subscriptions) {
      if (phase !== "running") faults.push(`${client.label}: ${name} is ${phase} for ever`);
      const listing = market.listingOf(name);
      const truth = { listing, epochOf: (id: string) => market.epochOf(id), candles: candles(name) };
      this.judged++;
      if (following instanceof TradesFollowing) this.gapsTold += following.gaps;
      // Known: a worker that was lapped before lets nothing pass that is below what it saw; its clients were told stale.
      if (following.stale && market.fell(name)) continue;
      for (const fault of following.judge(truth)) {
        faults.push(`${client.label} ${name}: ${fault}; ${following.log.slice(-25).join(" / ")}`);
      }
    }
    return faults;
  }

  #client(at: number): NativeClient | BinanceClient | null {
    const clients = [...this.#natives, ...this.#binances];
    const client = clients[at % Math.max(1, clients.length)];
    return client?.open ? client : null;
  }

  #openBinance(symbol: string, random: Random): void {
    const { clock, market, nodes, plan, violation, trace } = this.#options;
    const label = `binance${this.#binances.length}`;
    const onClose = (code: number) => this.#comeBack(label, code, random, () => this.#connectBinance(client, random));
    // Any node must do: what a balancer does with requests is not what it did with the WebSocket.
    const rest = (channel: string) => random.pick(nodes).depth(channel);
    const bookAt = (seq: number) => market.bookAt(symbol, seq);
    const fell = () => market.fell(symbol);
    const sameEpoch = (a: number, b: number) => market.baseOf(symbol, a) === market.baseOf(symbol, b);
    const ports = { clock, violation, random, onClose, rest, fell, bookAt, sameEpoch, trace };
    const client: BinanceClient = new BinanceClient(label, symbol, random.pick(BINANCE_STREAMS[plan.kinds]), ports);
    this.#binances.push(client);
    this.#connectBinance(client, random);
  }

  #connectNative(client: NativeClient, random: Random, rung: number = this.#rung(random)): void {
    const node = random.pick(this.#options.nodes);
    const worker = node.crew.some(random);
    if (worker === null) {
      this.#later(50, () => this.#connectNative(client, random));
      return;
    }
    client.connect((peer) => worker.connect("/ws/quote/v1", peer), node);
    const names = [...new Set(client.wanted)];
    if (names.length > 0) client.subscribe(names, rung, random.chance(0.7));
  }

  #connectBinance(client: BinanceClient, random: Random): void {
    const node = random.pick(this.#options.nodes);
    const worker = node.crew.some(random);
    if (worker === null) {
      this.#later(50, () => this.#connectBinance(client, random));
      return;
    }
    if (client.stream.startsWith("depth@") || client.stream === "depth") this.#poll(node, `${client.symbol}@depth`);
    const combined = random.chance(0.5);
    client.connect((peer) => worker.connect(combined ? "/stream" : "/ws", peer), combined, node);
  }

  /** Others ask REST for the same book, so that what it keeps for them meets the stream. */
  #poll(node: ServingNode, channel: string): void {
    for (let at = 0; at < 20; at++) this.#later(at * 15, () => void node.depth(channel));
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

  #comeBack(label: string, code: number, random: Random, connect: () => void): void {
    this.#options.trace.say(() => `${label} closed ${code}`);
    this.closes[code] = (this.closes[code] ?? 0) + 1;
    this.#later(random.int(20, 900), connect);
  }

  #later(ms: number, call: () => void): void {
    this.#options.clock.after(ms, () => {
      if (!this.#ended) call();
    });
  }
}
