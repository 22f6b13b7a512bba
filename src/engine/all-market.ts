/**
 * An all-market channel: it follows the channel of every instrument of the market, new ones too, and hands each change
 * on under a counter of its own.
 *
 * On the path: the instruments' channel states -> ALL-MARKET -> the all-market channel's own state.
 * Invariants: the chain is this node's own, it needs no owner and knows no gap; its epoch is the time it began, so that no
 * position of another run or node is taken for one of its own; it is stale only while all its members are.
 * At the limit: interest in it is interest in a channel of every instrument.
 */
import { BUS_VERSION, type ShardHeader, type Subscription } from "../bus/bus.ts";
import type { ChannelConsumer } from "../bus/consumer.ts";
import type { Channel } from "../channel/channel.ts";
import type { Instrument } from "../channel/instruments.ts";
import type { BookTicker, Liquidation, MarketMember, Publication, StaleReason } from "../channel/types.ts";
import type { BookListener } from "./derived.ts";

/** What is needed of the instruments registry. */
export interface Instruments {
  list(market: string): readonly Instrument[];
  onChange(listener: (instrument: Instrument, previous: Instrument | null) => void): () => void;
}

/** What is needed of an instrument's channel state. */
export interface Member {
  /** The newest value; null if it has none, or is of a kind that has none. */
  readonly latest: Publication | null;
  readonly top: () => BookTicker | null;
  /** Calls back once `top` is known, or known not to be had. */
  readonly whenTop: (call: () => void) => Subscription;
  listen(listener: BookListener): Subscription;
}

const NO_TOP = (): null => null;

/** `nowUs`: the wall clock. `open` gives the member of an instrument, held until its subscription is closed. */
export function followMarket(
  channel: Channel,
  consumer: ChannelConsumer,
  instruments: Instruments,
  nowUs: number,
  open: (instrument: Instrument) => { readonly member: Member; readonly hold: Subscription } | null,
): Subscription {
  const market = new AllMarket(channel, consumer, `all-${nowUs.toString(36)}`);
  const members = new Map<string, readonly Subscription[]>();
  const add = (instrument: Instrument): void => {
    if (members.has(instrument.symbol)) return;
    const opened = open(instrument);
    if (opened === null) return;
    members.set(instrument.symbol, [market.listenTo(instrument.symbol, opened.member), opened.hold]);
  };
  const isInstruments = channel.all === "instrument";
  const stop = instruments.onChange((instrument) => {
    if (instrument.market !== channel.market) return;
    if (isInstruments) market.changed(instrument);
    else add(instrument);
  });
  if (!isInstruments) for (const instrument of instruments.list(channel.market)) add(instrument);
  market.complete();
  return {
    close() {
      stop();
      for (const subscriptions of members.values()) for (const one of subscriptions) one.close();
    },
  };
}

class AllMarket {
  readonly #channel: Channel;
  readonly #consumer: ChannelConsumer;
  readonly #header: ShardHeader;
  readonly #members = new Map<string, Member>();
  readonly #stale = new Set<string>();
  /** Members that have not said yet what they have. */
  readonly #waiting = new Set<string>();
  #complete = false;
  #begun = false;
  #seq: number | null = null;

  constructor(channel: Channel, consumer: ChannelConsumer, epoch: string) {
    this.#channel = channel;
    this.#consumer = consumer;
    this.#header = { version: BUS_VERSION, shard: "", token: 0, epoch };
  }

  /** All members of now are listened to: the channel begins when each has said what it has, or that it has nothing. */
  complete(): void {
    this.#complete = true;
    this.#settle();
  }

  listenTo(symbol: string, member: Member): Subscription {
    this.#members.set(symbol, member);
    this.#waiting.add(symbol);
    let topping: Subscription | null = null;
    const listening = member.listen({
      reset: () => {
        this.#fresh(symbol);
        if (this.#begun && member.latest !== null) this.#take(symbol, member, member.latest);
        topping ??= member.whenTop(() => this.#settle(symbol));
      },
      changed: (p) => {
        this.#fresh(symbol);
        if (this.#begun) this.#take(symbol, member, p);
      },
      stale: (reason) => this.#becomesStale(symbol, reason),
      fresh: () => this.#fresh(symbol),
      unavailable: () => this.#settle(symbol),
    });
    return {
      close() {
        listening.close();
        topping?.close();
      },
    };
  }

  #settle(symbol?: string): void {
    if (symbol !== undefined) this.#waiting.delete(symbol);
    if (this.#begun || !this.#complete || this.#waiting.size > 0) return;
    this.#begun = true;
    const members = [...this.#members].flatMap(([name, member]) =>
      member.latest === null ? [] : membersOf(name, member, member.latest),
    );
    this.#seq = members.length === 0 ? null : members.length;
    const place = { channel: this.#channel.name, user: "", seq: this.#seq, time: members.at(-1)?.time ?? 0 };
    const state = { type: "value", data: { members } } as const;
    const nothing = { provides: [], after: null, history: [], stale: false };
    this.#consumer.state({ ...this.#header, ...place, ...nothing, state }, "first");
  }

  changed(instrument: Instrument): void {
    const member = { symbol: instrument.symbol, seq: 0, time: 0, data: instrument, top: NO_TOP };
    this.#emit(member, 0);
  }

  #take(symbol: string, member: Member, p: Publication): void {
    for (const one of membersOf(symbol, member, p)) {
      if (p.type === "value" || this.#channel.kind === "liquidation") this.#emit(one, p.receivedUs);
    }
  }

  #emit(member: MarketMember, receivedUs: number): void {
    const prev = this.#seq;
    this.#seq = (prev ?? 0) + 1;
    const publication: Publication = {
      channel: this.#channel.name,
      kind: this.#channel.kind,
      user: "",
      type: "value",
      data: { members: [member] },
      seq: this.#seq,
      prev,
      time: member.time,
      receivedUs,
    };
    this.#consumer.publication(publication, this.#header);
  }

  #becomesStale(symbol: string, reason: StaleReason): void {
    this.#stale.add(symbol);
    if (this.#stale.size === this.#members.size) this.#consumer.stale(reason);
  }

  #fresh(symbol: string): void {
    if (this.#stale.delete(symbol) && this.#stale.size === this.#members.size - 1) this.#consumer.fresh();
  }
}

/** What a member's publication adds: its value, or each of its items. */
function membersOf(symbol: string, member: Member, { type, data, seq, time }: Publication): MarketMember[] {
  const top = (): BookTicker | null => member.top();
  if (type === "value") return [{ symbol, seq, time, data, top }];
  return type === "items" ? data.map((item) => ({ symbol, seq, time, data: item as Liquidation, top })) : [];
}
