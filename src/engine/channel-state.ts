/**
 * One channel with interest on this node: its state, its history and its rungs.
 *
 * On the path: follower (or a book it is derived from) -> CHANNEL STATE -> rungs -> ring.
 * Invariants: publications are taken in chain order; every publication reaches every rung; what a rung has flushed and what
 * it still holds always add up to the state.
 * At the limit: history is a bounded cache; where it does not reach back, answers.ts says what the asker is told.
 */
import type { ShardHeader, StateReply, Subscription } from "../bus/bus.ts";
import type { ChannelConsumer } from "../bus/consumer.ts";
import type { Channel } from "../channel/channel.ts";
import type { Pace } from "../channel/topic-settings.ts";
import type { BookTicker, Kind, Publication, StaleReason } from "../channel/types.ts";
import { assert } from "../lib/errors.ts";
import { ERRORS } from "../protocol/codes.ts";
import { type Control, type Rung as Period, rungNotFaster } from "../ring/messages.ts";
import { Answers, type Standing } from "./answers.ts";
import { Burst } from "./burst.ts";
import { count } from "./counters.ts";
import type { DepthBody } from "./depth.ts";
import type { BookListener, DerivedFrom } from "./derived.ts";
import { EpochGaps } from "./epoch-gaps.ts";
import { AllMarketState } from "./family/all-market.ts";
import { BookState } from "./family/book.ts";
import { CandlesState } from "./family/candles.ts";
import type { FamilyState } from "./family/family.ts";
import { ItemsState } from "./family/items.ts";
import { ValueState } from "./family/value.ts";
import type { History } from "./history.ts";
import { Notices } from "./notices.ts";
import { Rung, type RungPorts } from "./rung.ts";
import { Staleness } from "./staleness.ts";
import type { Topic } from "./topics.ts";
import { type OwnerPatience, Waiters, type WhenReady } from "./waiters.ts";

export interface ChannelPorts extends Omit<RungPorts, "epoch" | "flushedBinance" | "conflated" | "broken"> {
  control(control: Control): void;
  /** The rung has something unsent: flush it at its next instant. */
  dirty(rung: Rung): void;
  /** Everybody who waited for the state has been called. */
  settled(): void;
  readonly patience: OwnerPatience;
  readonly history: History;
  /** What the topic's settings say of its flushes. */
  readonly pace: Pace | null;
}

export class ChannelState implements ChannelConsumer, DerivedFrom, Standing {
  readonly channel: Channel;
  readonly rungs = new Map<Period, Rung>();
  header: ShardHeader = { version: 0, shard: "", token: 0, epoch: "" };
  provides: readonly Kind[] = [];
  seq: number | null = null;
  time = 0;
  freshSeq = -1;
  readonly epochGaps = new EpochGaps();
  readonly answers: Answers;
  /** Best bid and ask for spot tickers; set by the engine while it holds the book for them. */
  top: () => BookTicker | null = () => null;
  /** Calls back once that book is known, or known not to be had. */
  whenTop: (call: () => void) => Subscription = (call) => {
    call();
    return { close: () => undefined };
  };
  /** Cached REST bodies; cleared whenever they could fall behind a Binance stream. */
  readonly depthCache = new Map<number, { at: number; body: DepthBody }>();

  readonly #ports: ChannelPorts;
  readonly #family: FamilyState;
  readonly #history: History;
  readonly #listeners = new Set<BookListener>();
  readonly #waiters: Waiters;
  readonly #staleness: Staleness;
  readonly #notices: Notices;

  constructor(channel: Channel, ports: ChannelPorts) {
    this.channel = channel;
    this.#ports = ports;
    this.#history = ports.history;
    this.#family = this.#makeFamily();
    this.#waiters = new Waiters(ports.clock, ports.patience, () => ports.settled());
    this.#notices = new Notices(channel.name, this.rungs, ports.control);
    this.#staleness = new Staleness(ports.clock, (reason) => this.#notices.closeStale(reason));
    this.answers = new Answers(this, this.#family, ports.clock);
  }

  /** Its owner has told the state, or nobody knows of an owner. */
  get ready(): boolean {
    return this.#waiters.ready;
  }

  get staleReason(): StaleReason | null {
    return this.#staleness.reason;
  }

  get staleClosed(): boolean {
    return this.#staleness.closed;
  }

  // --- what the follower says -------------------------------------------------------------------------------------

  state(reply: StateReply): void {
    const newEpoch = this.ready && reply.epoch !== this.header.epoch;
    const hadBook = this.channel.family === "book" && (this.seq !== null || this.staleReason !== null);
    if (isMidway(reply))
      for (const rung of this.rungs.values()) if (rung.seq === null) this.#notices.closeBinance(rung);
    if (newEpoch) this.#beginEpoch();
    this.#flushAll();
    this.header = headerOf(reply);
    if (newEpoch) this.#notices.epoch(this.header.epoch);
    this.provides = reply.provides;
    const isFirst = this.ready && !newEpoch && this.seq === null && this.channel.family === "items";
    const start = reply.history[0] ? reply.history[0].prev : reply.seq;
    // Who waits for the first item of the epoch is not to take a later one for it.
    if (isFirst && start !== null) this.epochGaps.lost(start, reply.time, this.rungs.values());
    if (reply.stale && this.channel.family === "book") this.#loadStale();
    else this.#load(reply, this.ready && !newEpoch ? this.seq : null);
    // Until the new epoch has a book, clients still show that of the old one.
    if (newEpoch && hadBook && this.seq === null) this.#becomeStale("source", "reconnect");
    for (const listener of this.#listeners) listener.reset(newEpoch ? "epoch" : this.ready ? "heal" : "first");
    // What is derived from a channel that nobody owns has a state too, of no epoch.
    this.#waiters.settle(null, this.header.epoch !== "");
  }

  #load(reply: StateReply, have: number | null): void {
    const segments = this.#family.load(reply, have);
    this.seq = reply.seq ?? this.seq;
    this.time = reply.time;
    this.#history.load(this.#family.usable(reply.history), reply.seq);
    if (segments[0]) this.epochGaps.tell(segments[0].from, this.time);
    for (const rung of this.rungs.values()) for (const segment of segments) rung.write(segment);
    if (!reply.stale) this.#becomeFresh("both");
    // A derived value of a stale book: it ends when the book's does.
    else if (!this.#becomeStale("bus", "disconnected") && segments.length > 0) this.#notices.stale();
  }

  /** The owner's book is wrong: what clients have stays, and they are told; the snapshot that ends it will follow. */
  #loadStale(): void {
    // The repair will be one of what is known here, which is nobody else's position.
    this.#history.load([], Number.POSITIVE_INFINITY);
    this.#becomeStale("source", "disconnected");
    this.#becomeFresh("bus");
  }

  publication(p: Publication, header: ShardHeader): void {
    if (header.epoch !== this.header.epoch) {
      this.#beginEpoch();
      this.header = headerOf(header);
      this.#notices.epoch(this.header.epoch);
    }
    this.epochGaps.tell(p.seq, this.time);
    count(this.#ports.counters.publications, p.kind);
    const first = this.seq === null;
    this.seq = p.seq;
    this.time = p.time;
    switch (p.type) {
      case "stale":
        this.#history.push(p);
        // What a joiner gets now ends here.
        if (this.channel.family === "book") this.#family.apply(p);
        this.#becomeStale("source", p.data);
        return;
      case "snapshot":
        this.#replaceBook(p);
        break;
      case "delta":
        if (first) this.#firstDelta(p);
        else this.#take(p);
        break;
      case "gap":
        count(this.#ports.counters.gaps, p.data.reason);
        if (this.channel.family === "items") this.#take(p);
        return;
      default:
        this.#take(p);
        this.#becomeFresh("both");
    }
    for (const listener of this.#listeners) listener.changed(p);
  }

  stale(reason: StaleReason): void {
    this.#becomeStale("bus", reason);
  }

  fresh(): void {
    if (this.staleReason === null) return;
    this.#flushAll();
    if (!this.#becomeFresh("bus")) return;
    // Tells native clients that what they have is right again; nothing changes for the others.
    for (const rung of this.rungs.values()) for (const segment of this.#family.whole()) rung.write(segment);
    for (const listener of this.#listeners) listener.fresh();
  }

  unavailable(code: number, message: string): void {
    for (const listener of this.#listeners) listener.unavailable(code, message);
    if (this.ready) this.#becomeStale("bus", "disconnected");
    // Known, but nobody feeds it yet: subscribed at once, its first publication is its snapshot.
    else this.#waiters.settle(code === ERRORS.UNKNOWN_CHANNEL.code ? null : { code, message }, false);
  }

  // --- what the engine asks ---------------------------------------------------------------------------------------

  /** Calls back when the state is known (null), or cannot be had; closing it ends the wait. */
  whenReady(call: WhenReady): Subscription {
    return this.#waiters.when(call);
  }

  /** The same for one who comes back with a position: where no owner was heard of yet, a while later. */
  whenOwned(call: WhenReady): void {
    this.#waiters.whenOwned(call);
  }

  /** The rung of this period, opened at the channel's present position. */
  rung(period: Period): Rung {
    let rung = this.rungs.get(period);
    if (!rung) {
      const ports: RungPorts = {
        ...this.#ports,
        epoch: () => this.header.epoch,
        broken: (topic) => this.#notices.close(topic),
        conflated: (n) => count(this.#ports.counters.conflated, this.channel.kind, n),
        flushedBinance: () => this.depthCache.clear(),
      };
      const { pace } = this.#ports;
      // Only the fastest cadence that the topic allows: who chose a slower one wants no bursts.
      const isPaced = pace !== null && period === rungNotFaster(1000 / pace.perSecond);
      const burst = isPaced ? new Burst(pace, ports.clock) : null;
      rung = new Rung(period, this.#standing(), this.#family.accumulator(), ports, burst);
      this.rungs.set(period, rung);
    }
    return rung;
  }

  /** Where a rung begins: at the channel's seq, but while it is stale where the others stand, who have not seen that. */
  #standing(): number | null {
    if (this.staleReason !== null) for (const { seq } of this.rungs.values()) return seq;
    return this.seq;
  }

  attach(topic: Topic): void {
    this.rung(topic.info.rung).topics.push(topic);
    // A stream that begins now must not meet an older REST snapshot.
    if (topic.info.dialect === "binance") this.depthCache.clear();
  }

  /** Sessions go from one rung to another: if they are owed an epoch's gap, they are owed it there too. */
  moving(from: Period, to: Period): void {
    const [old, target] = [this.rungs.get(from), this.rungs.get(to)];
    if (old && target) this.epochGaps.moving(old, target);
  }

  /** Takes a closed topic off its rung; a rung without topics is closed. */
  detach(topic: Topic): void {
    const rung = this.rungs.get(topic.info.rung);
    if (!rung) return;
    const at = rung.topics.indexOf(topic);
    if (at >= 0) rung.topics.splice(at, 1);
    if (rung.topics.length > 0) return;
    this.rungs.delete(topic.info.rung);
    this.epochGaps.forget(rung);
  }

  get book() {
    assert(this.#family instanceof BookState, `${this.channel.name} is a book`);
    return this.#family.book;
  }

  /** The newest value; null if there is none, or the channel is of another family. */
  get latest(): Publication | null {
    return this.#family instanceof ValueState ? this.#family.latest : null;
  }

  listen(listener: BookListener): Subscription {
    this.#listeners.add(listener);
    const { failure } = this.#waiters;
    if (this.ready) listener.reset("first");
    else if (failure !== null) listener.unavailable(failure.code, failure.message);
    return { close: () => this.#listeners.delete(listener) };
  }

  /** Nobody needs this state for topics or derived channels, or waits for it. */
  get unused(): boolean {
    return this.rungs.size === 0 && this.#listeners.size === 0 && this.#waiters.idle;
  }

  close(): void {
    this.#waiters.close();
    this.#staleness.stop();
    this.#history.close();
  }

  // --- inside -----------------------------------------------------------------------------------------------------

  #makeFamily(): FamilyState {
    if (this.channel.all !== undefined) return new AllMarketState(this.channel.kind);
    switch (this.channel.family) {
      case "book":
        return new BookState(this.#history);
      case "items":
        return new ItemsState(this.#history);
      case "candles":
        return new CandlesState(this.#history);
      case "value":
        return new ValueState(() => this.top());
    }
  }

  /** The ordinary case: state, history, every rung. */
  #take(p: Publication): void {
    this.#family.apply(p);
    if (this.#family.remembers(p)) this.#history.push(p);
    for (const rung of this.rungs.values()) {
      const wasDirty = rung.dirty;
      rung.add(p);
      if (rung.eager) rung.flush();
      else if (!wasDirty) this.#ports.dirty(rung);
    }
  }

  /** A book in the chain: flush what is unsent, then the same snapshot (or repair delta) on every rung. */
  #replaceBook(p: Publication & { type: "snapshot" }): void {
    assert(this.#family instanceof BookState, `snapshot on ${this.channel.name}, which is no book`);
    this.#flushAll();
    const before = this.#family.book;
    const repair = before.diff(p.data);
    const segment = this.#family.replace(p.data, p);
    if (this.#history.covers(p.prev ?? -1)) this.#history.push({ ...p, type: "delta", data: repair });
    else this.#history.load([], p.seq);
    for (const rung of this.rungs.values()) rung.write(segment);
    this.#becomeFresh("both");
  }

  #firstDelta(p: Publication & { type: "delta" }): void {
    assert(this.#family instanceof BookState, `delta on ${this.channel.name}, which is no book`);
    const segment = this.#family.begin(p);
    this.#history.push(p);
    for (const rung of this.rungs.values()) rung.write(segment);
    this.#becomeFresh("both");
  }

  /** Every rung is flushed; who cannot be told of the new epoch is closed; chains start over. */
  #beginEpoch(): void {
    this.#flushAll();
    if (this.header.epoch !== "") this.#ports.counters.epochs++;
    const { family } = this.channel;
    // Also where nothing was flushed: nobody can know whether the epoch that ended had something.
    const isOwed = family === "items" && this.header.epoch !== "";
    this.epochGaps.begin(this.seq, isOwed ? this.rungs.values() : []);
    for (const rung of this.rungs.values()) {
      if (rung.seq !== null && family === "book") this.#notices.closeBinance(rung);
      rung.seq = null;
      rung.tellEpoch = true;
    }
    this.seq = null;
    this.#history.load([], null);
    this.#family.clear();
    this.depthCache.clear();
    this.#becomeFresh("both");
  }

  /** False if it was stale already. */
  #becomeStale(from: "source" | "bus", reason: StaleReason): boolean {
    if (!this.#staleness.begin(from, reason)) return false;
    count(this.#ports.counters.stale, reason);
    this.#flushAll();
    this.#notices.stale();
    for (const listener of this.#listeners) listener.stale(reason);
    return true;
  }

  /** True if it was stale and is no more. */
  #becomeFresh(from: "bus" | "both"): boolean {
    if (!this.#staleness.end(from)) return false;
    this.freshSeq = this.seq ?? this.freshSeq;
    this.#notices.fresh();
    return true;
  }

  #flushAll(): void {
    for (const rung of this.rungs.values()) rung.flush();
  }
}

/**
 * A book that was there before this node heard of it. Who joined in between may have had an older one from another node's
 * REST, and a Binance event with the whole of this one, which names no level that is gone, would seem to continue that.
 */
const isMidway = ({ state, seq, history }: StateReply): boolean =>
  state?.type === "snapshot" && seq !== null && !(history.length === 1 && history[0]!.prev === null);

const headerOf = (h: ShardHeader): ShardHeader => ({
  version: h.version,
  shard: h.shard,
  token: h.token,
  epoch: h.epoch,
});
