/**
 * Channels made on each node from another channel of the same instrument: rolling windows and average prices from short
 * candles, candles of another time zone's days, and other names for the same values.
 *
 * On the path: follower (of the channel it is made from) -> MAKER -> the made channel's own state.
 * Invariants: each publication of the source channel makes at most one, under its seq; what a maker holds is a function of
 * the candles it saw; made values never go over the bus. At the limit: a window keeps as many candles as it is long; of
 * one that reaches back further than the owner's history what is there counts, and it is partial.
 */
import type { ShardHeader, StateReply } from "../bus/bus.ts";
import type { ChannelConsumer, StateCause } from "../bus/consumer.ts";
import { averageOf, mergeCandles, tickerOf } from "../channel/candle-fold.ts";
import { CandleWindow } from "../channel/candle-window.ts";
import type { Channel, Making } from "../channel/channel.ts";
import type { Interval } from "../channel/kinds.ts";
import { type Spans, spansAt } from "../channel/spans.ts";
import type { Body, Candle, Publication, StaleReason, Value } from "../channel/types.ts";

/** What turns the source channel's bodies into the made one's. */
interface Recipe {
  /** Whatever was before is void: all that the owner's candles make, oldest first. */
  begin(candles: readonly Candle[], time: number): Body | null;
  /** The next publication. Null: nothing to say. */
  next(candles: readonly Candle[], time: number): Body | null;
}

/** Follow `making.from` with what this returns, and `consumer` gets the channel that is made of it. */
export function makeFrom(channel: Channel, making: Making, consumer: ChannelConsumer): ChannelConsumer {
  switch (making.how) {
    case "same":
      return new Renamed(channel, consumer);
    case "window":
      return new Maker(channel, consumer, new WindowRecipe(making.candles, tickerOf));
    case "average":
      return new Maker(channel, consumer, new WindowRecipe(making.candles, fiveMinuteAverage));
    case "span":
      return new Maker(channel, consumer, new SpanRecipe(channel.interval as Interval, making.offsetMs));
  }
}

const fiveMinuteAverage = (window: Candle, tradeTime: number): Value => ({
  interval: "5m",
  price: averageOf(window),
  tradeTime,
});

/** The same publications under another name. */
class Renamed implements ChannelConsumer {
  protected readonly channel: Channel;
  protected readonly consumer: ChannelConsumer;

  constructor(channel: Channel, consumer: ChannelConsumer) {
    this.channel = channel;
    this.consumer = consumer;
  }

  state(reply: StateReply, cause: StateCause): void {
    this.consumer.state({ ...reply, channel: this.channel.name }, cause);
  }

  publication(p: Publication, header: ShardHeader): void {
    this.consumer.publication({ ...p, channel: this.channel.name, kind: this.channel.kind }, header);
  }

  stale(reason: StaleReason): void {
    this.consumer.stale(reason);
  }

  fresh(): void {
    this.consumer.fresh();
  }

  unavailable(code: number, message: string): void {
    this.consumer.unavailable(code, message);
  }
}

class Maker extends Renamed {
  readonly #recipe: Recipe;
  #epoch = "";
  /** What was handed on last. */
  #lastSeq: number | null = null;
  #lastOpenTime = Number.NEGATIVE_INFINITY;

  constructor(channel: Channel, consumer: ChannelConsumer, recipe: Recipe) {
    super(channel, consumer);
    this.#recipe = recipe;
  }

  override state(reply: StateReply, cause: StateCause): void {
    this.#epoch = reply.epoch;
    const closedBefore = cause === "first" ? this.#closedBefore(reply) : [];
    const made = this.#recipe.begin(candlesOf(reply), reply.time);
    // The state of a candles channel is its current candle.
    const state: Body | null = made?.type === "candles" ? { type: "candles", data: made.data.slice(-1) } : made;
    // A maker starts where the owner is; of what closed before, who comes back with `since` is told, and after a heal all.
    const history = cause === "heal" ? this.#closedMeanwhile(made, reply) : cause === "first" ? closedBefore : [];
    this.#told(made, reply.seq);
    super.state({ ...reply, after: null, state, history }, cause);
  }

  /** What the maker would have said of the owner's history: where candles closed, and last how it ends. */
  #closedBefore({ history }: StateReply): Publication[] {
    const { name, kind } = this.channel;
    const publications: Publication[] = [];
    this.#recipe.begin([], 0);
    for (const p of history) {
      const body = p.type === "candles" ? this.#recipe.next(p.data, p.time) : null;
      if (body?.type !== "candles" || !(p === history.at(-1) || body.data.some(({ closed }) => closed))) continue;
      const prev = publications.at(-1)?.seq ?? history[0]?.prev ?? null;
      publications.push({ ...p, ...body, channel: name, kind, prev });
    }
    return publications;
  }

  /** A closed candle is never skipped: those since the one that was open when we last spoke. */
  #closedMeanwhile(made: Body | null, { seq, time }: StateReply): Publication[] {
    if (made?.type !== "candles" || seq === null || this.#lastSeq === null || seq <= this.#lastSeq) return [];
    const data = made.data.filter(({ closed, openTime }) => closed && openTime >= this.#lastOpenTime);
    if (data.length === 0) return [];
    const { name, kind } = this.channel;
    return [{ channel: name, kind, user: "", type: "candles", data, seq, prev: this.#lastSeq, time, receivedUs: 0 }];
  }

  #told(body: Body | null, seq: number | null): void {
    this.#lastSeq = seq;
    if (body?.type === "candles") this.#lastOpenTime = body.data.at(-1)?.openTime ?? this.#lastOpenTime;
  }

  override publication(p: Publication, header: ShardHeader): void {
    if (p.type !== "candles") return;
    const isNew = header.epoch !== this.#epoch;
    this.#epoch = header.epoch;
    const body = isNew ? this.#recipe.begin(p.data, p.time) : this.#recipe.next(p.data, p.time);
    if (body === null) return;
    this.#told(body, p.seq);
    super.publication({ ...p, ...body } as Publication, header);
  }
}

/** All candles the owner keeps, oldest first, the current one last. */
function candlesOf(reply: StateReply): Candle[] {
  const byTime = new Map<number, Candle>();
  for (const p of reply.history)
    if (p.type === "candles") for (const candle of p.data) byTime.set(candle.openTime, candle);
  if (reply.state?.type === "candles") for (const candle of reply.state.data) byTime.set(candle.openTime, candle);
  return [...byTime.values()];
}

/** A value over the current candle and the `#length` spans before it. */
class WindowRecipe implements Recipe {
  readonly #length: number;
  readonly #make: (window: Candle, time: number) => Value;
  /** Of whole candles. */
  readonly #closed = new CandleWindow();
  #current: Candle | null = null;
  /** When the newest trade was seen; a candle that time alone has closed does not move it. */
  #time = 0;
  #lastId = -1;

  constructor(length: number, make: (window: Candle, time: number) => Value) {
    this.#length = length;
    this.#make = make;
  }

  begin(candles: readonly Candle[], time: number): Body | null {
    this.#closed.clear();
    this.#current = null;
    this.#time = time;
    const newest = candles.at(-1);
    if (newest === undefined) return null;
    // The owner keeps more than a window's candles.
    const start = this.#start(newest);
    return this.next(
      candles.filter(({ openTime }) => openTime >= start),
      time,
    );
  }

  next(candles: readonly Candle[], time: number): Body | null {
    for (const candle of candles) this.#put(candle);
    const current = this.#current;
    if (current === null) return null;
    const closed = this.#closed.whole;
    const { lastId } = current.count > 0 ? current : (closed ?? current);
    if (lastId !== this.#lastId) this.#time = time;
    this.#lastId = lastId;
    const window = closed === null ? current : mergeCandles(closed, current);
    const start = this.#start(current);
    // Data that begins later than the window is all there is of it.
    const isShort = window.openTime > start;
    const whole = { ...window, openTime: start, partial: window.partial || isShort };
    return { type: "value", data: this.#make(whole, this.#time) };
  }

  #put(candle: Candle): void {
    const current = this.#current;
    if (current !== null && candle.openTime < current.openTime) return;
    if (current !== null && candle.openTime > current.openTime) {
      this.#closed.push(current);
      this.#closed.dropBefore(this.#start(candle));
    }
    this.#current = candle;
  }

  /** Where the window begins that ends with this candle. */
  #start(current: Candle): number {
    return current.openTime - this.#length * lengthOf(current);
  }
}

const lengthOf = (candle: Candle): number => candle.closeTime + 1 - candle.openTime;

/** Candles of a longer interval whose spans are those of a time zone. */
class SpanRecipe implements Recipe {
  readonly #spans: Spans;
  #index = Number.NaN;
  /** The whole candles of the span as one, and the one that is open. */
  #whole: Candle | null = null;
  #open: Candle | null = null;

  constructor(interval: Interval, offsetMs: number) {
    this.#spans = spansAt(interval, offsetMs);
  }

  begin(candles: readonly Candle[]): Body | null {
    this.#index = Number.NaN;
    this.#whole = null;
    this.#open = null;
    return this.next(candles);
  }

  next(candles: readonly Candle[]): Body | null {
    const made: Candle[] = [];
    for (const candle of candles) {
      const closed = this.#put(candle);
      if (closed !== null) made.push(closed);
    }
    const current = this.#build(false);
    if (current !== null) made.push(current);
    return made.length === 0 ? null : { type: "candles", data: made };
  }

  /** Returns the candle that this one has ended. */
  #put(candle: Candle): Candle | null {
    const index = this.#spans.indexOf(candle.openTime);
    if (index < this.#index) return null;
    let closed: Candle | null = null;
    if (index !== this.#index) {
      closed = this.#build(true);
      this.#index = index;
      this.#whole = null;
    } else if (this.#open !== null && this.#open.openTime < candle.openTime) {
      this.#whole = this.#whole === null ? this.#open : mergeCandles(this.#whole, this.#open);
    }
    this.#open = candle;
    return closed;
  }

  #build(closed: boolean): Candle | null {
    const open = this.#open;
    if (open === null) return null;
    const candle = this.#whole === null ? open : mergeCandles(this.#whole, open);
    const { interval } = this.#spans;
    const openTime = this.#spans.startOf(this.#index);
    const closeTime = this.#spans.startOf(this.#index + 1) - 1;
    return { ...candle, interval, openTime, closeTime, closed, partial: candle.partial || candle.openTime > openTime };
  }
}
