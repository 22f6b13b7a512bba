/**
 * The channels this node has interest in: each open for as long as somebody needs it, together with what it is made of.
 *
 * Beside the path: engine (joins, REST) -> INTEREST -> channel states, and follower -> channel states.
 * Invariants: a channel is open once; what it is made of (a book, the same channel of every instrument) is open as long as
 * it is. At the limit: none of its own; what nobody needs is closed at once, what REST has asked for after a while.
 */
import type { Subscription } from "../bus/bus.ts";
import type { ChannelConsumer } from "../bus/consumer.ts";
import type { Catalog, Channel } from "../channel/channel.ts";
import type { Instrument } from "../channel/instruments.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { assert } from "../lib/errors.ts";
import { followMarket, type Instruments, type Member } from "./all-market.ts";
import type { ChannelState } from "./channel-state.ts";
import { type BookListener, deriveFrom, topOf } from "./derived.ts";
import { followInstruments } from "./instrument-channel.ts";
import { makeFrom } from "./made.ts";

/** A book asked for by REST stays followed this long after the last request. */
const REST_LINGER_MS = 60_000;

const nothing = (): void => undefined;
/** Holds a book, and hears nothing of it; each holder has its own. */
const deaf = (): BookListener => ({
  reset: nothing,
  changed: nothing,
  stale: nothing,
  fresh: nothing,
  unavailable: nothing,
});

export interface Entry {
  readonly state: ChannelState;
  /** Closes the follower's subscription, what it is derived from, or a held book. */
  readonly holds: Subscription[];
  /** Kept for REST until then (monotonic ms). */
  keepUntil: number;
  /** Looks again when that time has come; one for all requests. */
  keeper: Timer | null;
}

export interface InterestPorts {
  readonly clock: Clock;
  readonly catalog: Catalog;
  readonly follower: { follow(channel: string, consumer: ChannelConsumer): Subscription };
  readonly instruments: Instruments;
  /** The state of a channel that opens; `settled` is called when everybody who waited for it has been called. */
  readonly stateOf: (channel: Channel, settled: () => void) => ChannelState;
  readonly closed: (channel: string) => void;
}

export class Interest {
  readonly #ports: InterestPorts;
  readonly #entries = new Map<string, Entry>();

  constructor(ports: InterestPorts) {
    this.#ports = ports;
  }

  get size(): number {
    return this.#entries.size;
  }

  find(channel: string): Entry | undefined {
    return this.#entries.get(channel);
  }

  all(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  open(channel: Channel): Entry {
    const known = this.#entries.get(channel.name);
    if (known) return known;
    const { follower, instruments, clock } = this.#ports;
    const state = this.#ports.stateOf(channel, () => this.closeIfUnused(entry));
    const entry: Entry = { state, holds: [], keepUntil: 0, keeper: null };
    this.#entries.set(channel.name, entry);
    if (channel.all !== undefined) this.#followMarket(entry, channel.all);
    else if (channel.ofRegistry) entry.holds.push(followInstruments(channel, state, instruments, clock));
    else if (channel.made) entry.holds.push(follower.follow(channel.made.from, makeFrom(channel, channel.made, state)));
    else if (channel.derivedFrom === "") entry.holds.push(follower.follow(channel.name, state));
    else this.#derive(entry);
    return entry;
  }

  /** REST has asked for it: it stays open for a while. */
  keep(entry: Entry): void {
    const { clock } = this.#ports;
    entry.keepUntil = clock.monotonicMs() + REST_LINGER_MS;
    const look = (): void => {
      const leftMs = entry.keepUntil - clock.monotonicMs();
      entry.keeper = leftMs > 0 ? clock.after(leftMs, look) : null;
      if (leftMs <= 0) this.closeIfUnused(entry);
    };
    entry.keeper ??= clock.after(REST_LINGER_MS, look);
  }

  /** Spot tickers show the best bid and ask: while one is open, so is the book. */
  showTop({ state, holds }: Entry): void {
    const { channel } = state;
    if (channel.kind !== "ticker" || channel.all !== undefined || holds.length > 1) return;
    const base = this.#ports.catalog.resolve(channel.name.replace(/@.*$/, "@depth"));
    if (base?.family !== "book") return;
    const book = this.open(base);
    const hold = book.state.listen(deaf());
    state.top = () => (book.state.seq === null ? null : topOf(book.state.book));
    state.whenTop = (call) => book.state.whenReady(() => call());
    holds.push(hold, { close: () => this.closeIfUnused(book) });
  }

  closeIfUnused(entry: Entry): void {
    if (!entry.state.unused || entry.keepUntil > this.#ports.clock.monotonicMs()) return;
    if (this.#entries.get(entry.state.channel.name) !== entry) return;
    this.#close(entry);
  }

  close(): void {
    for (const entry of this.#entries.values()) this.#close(entry);
  }

  /** An all-market channel is made of the channel `stream` of every instrument. */
  #followMarket({ state, holds }: Entry, stream: string): void {
    const { channel } = state;
    const { catalog, instruments, clock } = this.#ports;
    const open = ({ symbol }: Instrument): { member: Member; hold: Subscription } | null => {
      const own = catalog.resolve(`${channel.market}:${symbol}@${stream}`);
      if (own === null) return null;
      const member = this.open(own);
      this.showTop(member);
      return { member: member.state, hold: { close: () => this.closeIfUnused(member) } };
    };
    holds.push(followMarket(channel, state, instruments, clock.wallUs(), open));
  }

  /** A derivable channel comes from the book on this node, unless its source provides it itself. */
  #derive(entry: Entry): void {
    const { channel } = entry.state;
    const base = this.#ports.catalog.resolve(channel.derivedFrom);
    assert(base, `${channel.name} is derived from a channel that exists`);
    const book = this.open(base);
    let following: Subscription | null = null;
    const isOpen = (): boolean => this.#entries.get(channel.name) === entry;
    const begin = (): void => {
      following?.close();
      if (!book.state.provides.includes(channel.kind)) following = deriveFrom(book.state, channel, entry.state);
      else following = this.#ports.follower.follow(channel.name, entry.state);
      // Its first state may have told everybody who waited, and nobody lives who did.
      if (!isOpen()) following.close();
    };
    const waiting = book.state.whenReady((failure) => {
      if (failure === null) return begin();
      entry.state.unavailable(failure.code, failure.message);
      // Who goes on without it (an all-market channel) has it as soon as the book can be had.
      const unavailable = (code: number, message: string): void => entry.state.unavailable(code, message);
      if (isOpen()) following = book.state.listen({ ...deaf(), reset: begin, unavailable });
    });
    entry.holds.push({
      close: () => {
        waiting.close();
        following?.close();
        this.closeIfUnused(book);
      },
    });
  }

  #close(entry: Entry): void {
    this.#entries.delete(entry.state.channel.name);
    this.#ports.closed(entry.state.channel.name);
    entry.keeper?.cancel();
    entry.state.close();
    for (const hold of entry.holds) hold.close();
  }
}
