/**
 * One channel with interest on this node: its state, its history and its rungs.
 *
 * On the path: follower (or a derived feed) -> CHANNEL STATE -> rungs -> ring.
 * Invariants: publications are taken in chain order; every publication reaches every rung; what a rung has flushed and what
 * it still holds always add up to the state.
 * At the limit: history is a bounded cache; where it does not reach back, the asker is told (gap, snapshot, close 1012).
 */
import type { ShardHeader, StateReply, Subscription } from "../bus/bus.ts";
import type { ChannelConsumer } from "../bus/consumer.ts";
import type { Channel } from "../channel/channel.ts";
import type { BookTicker, Kind, Position, Publication, StaleReason } from "../channel/types.ts";
import { assert } from "../lib/errors.ts";
import { CLOSES, ERRORS } from "../protocol/codes.ts";
import type { Stamp } from "../protocol/encoder.ts";
import type { Control, Rung as Period } from "../ring/messages.ts";
import { count } from "./counters.ts";
import type { DepthBody } from "./depth.ts";
import type { BookFeed, BookListener } from "./derived.ts";
import { AllMarketState } from "./family/all-market.ts";
import { BookState } from "./family/book.ts";
import { CandlesState } from "./family/candles.ts";
import type { FamilyState, Segment } from "./family/family.ts";
import { gapSegment, ItemsState } from "./family/items.ts";
import { ValueState } from "./family/value.ts";
import { History } from "./history.ts";
import { Rung, type RungPorts } from "./rung.ts";
import { Staleness } from "./staleness.ts";
import type { Topic } from "./topics.ts";

/** Publications kept per channel. Books need enough for lap repair, items for `since`. */
const HISTORY_MAX = { book: 2000, items: 1000, candles: 1000, value: 1 } as const;
export interface ChannelPorts extends Omit<RungPorts, "epoch" | "flushedBinance" | "conflated" | "broken"> {
  control(control: Control): void;
  /** The rung has something unsent: flush it at its next instant. */
  dirty(rung: Rung): void;
  /** Everybody who waited for the state has been called. */
  settled(): void;
}

/** The answer to a joiner or to a lapped worker. */
export interface Answer {
  readonly frames: readonly string[];
  readonly seq: number | null;
  /** Everything after the asked position is in the frames. */
  readonly exact: boolean;
}

interface Failure {
  readonly code: number;
  readonly message: string;
}
type WhenReady = (failure: Failure | null) => void;

export class ChannelState implements ChannelConsumer, BookFeed {
  readonly channel: Channel;
  readonly rungs = new Map<Period, Rung>();
  header: ShardHeader = { version: 0, shard: "", token: 0, epoch: "" };
  provides: readonly Kind[] = [];
  seq: number | null = null;
  time = 0;
  ready = false;
  /** Best bid and ask for spot tickers; set by the engine while it holds the book for them. */
  top: () => BookTicker | null = () => null;
  /** Cached REST bodies; cleared whenever they could fall behind a Binance stream. */
  readonly depthCache = new Map<number, { at: number; body: DepthBody }>();

  readonly #ports: ChannelPorts;
  readonly #family: FamilyState;
  readonly #history: History;
  readonly #listeners = new Set<BookListener>();
  readonly #whenReady = new Set<WhenReady>();
  /** Why it is not ready, once that was said. */
  #failure: Failure | null = null;
  /** Seqs at or below it belong to an older epoch. */
  #epochFloor = -1;
  readonly #staleness: Staleness;
  /** Where the channel stood when it was last stale: who has no more than that may still show it as stale. */
  #freshSeq = -1;
  /** Rungs that owe their sessions the gap of a new epoch, with the last seq of the old one. */
  readonly #owed = new Map<Rung, number>();
  /** Rungs that have told it and flushed nothing since, with the end of that gap. */
  readonly #announced = new Map<Rung, number>();

  constructor(channel: Channel, ports: ChannelPorts) {
    this.channel = channel;
    this.#ports = ports;
    this.#history = new History(HISTORY_MAX[channel.family]);
    this.#family = this.#makeFamily();
    this.#staleness = new Staleness(ports.clock, (reason) => this.#closeStale(reason));
  }

  get staleReason(): StaleReason | null {
    return this.#staleness.reason;
  }

  // --- what the follower says -------------------------------------------------------------------------------------

  state(reply: StateReply, cause: "first" | "epoch" | "heal"): void {
    const newEpoch = this.ready && reply.epoch !== this.header.epoch;
    const hadBook = this.channel.family === "book" && (this.seq !== null || this.staleReason !== null);
    if (newEpoch) this.#beginEpoch();
    this.#flushAll();
    this.header = headerOf(reply);
    if (newEpoch) this.#announceEpoch();
    this.provides = reply.provides;
    if (reply.stale && this.channel.family === "book") this.#loadStale();
    else this.#load(reply, this.ready && !newEpoch ? this.seq : null);
    // Until the new epoch has a book, clients still show that of the old one.
    if (newEpoch && hadBook && this.seq === null) this.#becomeStale("source", "reconnect");
    for (const listener of this.#listeners) listener.reset(newEpoch ? "epoch" : this.ready ? "heal" : "first");
    if (cause === "first" || !this.ready) this.#settle(null);
  }

  #load(reply: StateReply, have: number | null): void {
    const segments = this.#family.load(reply, have);
    this.seq = reply.seq ?? this.seq;
    this.time = reply.time;
    this.#history.load(this.#family.usable(reply.history), reply.seq);
    if (this.#owed.size > 0 && segments[0]) this.#tellEpochGap(segments[0].from);
    for (const rung of this.rungs.values()) for (const segment of segments) rung.write(segment);
    if (!reply.stale) this.#becomeFresh("both");
    // A derived value of a stale book: it ends when the book's does.
    else if (!this.#becomeStale("bus", "disconnected") && segments.length > 0) this.#tellStale();
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
      this.#announceEpoch();
    }
    if (this.#owed.size > 0) this.#tellEpochGap(p.seq);
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
    else this.#settle(code === ERRORS.UNKNOWN_CHANNEL.code ? null : { code, message });
  }

  // --- what the engine asks ---------------------------------------------------------------------------------------

  /** Calls back when the state is known (null), or cannot be had; closing it ends the wait. */
  whenReady(call: WhenReady): Subscription {
    if (this.ready || this.#failure !== null) call(this.#failure);
    else this.#whenReady.add(call);
    return { close: () => this.#whenReady.delete(call) };
  }

  /** The rung of this period, opened at the channel's present position. */
  rung(period: Period): Rung {
    let rung = this.rungs.get(period);
    if (!rung) {
      const ports: RungPorts = {
        ...this.#ports,
        epoch: () => this.header.epoch,
        broken: (topic) => this.#closeTopic(topic),
        conflated: (n) => count(this.#ports.counters.conflated, this.channel.kind, n),
        flushedBinance: () => this.depthCache.clear(),
      };
      rung = new Rung(period, this.seq, this.#family.accumulator(), ports);
      this.rungs.set(period, rung);
    }
    return rung;
  }

  attach(topic: Topic): void {
    this.rung(topic.info.rung).topics.push(topic);
    // A stream that begins now must not meet an older REST snapshot.
    if (topic.info.dialect === "binance") this.depthCache.clear();
  }

  /** Sessions go from one rung to another: if they are owed an epoch's gap, they are owed it there too. */
  moving(from: Period, to: Period): void {
    const [old, target] = [this.rungs.get(from), this.rungs.get(to)];
    const owed = old && this.#owed.get(old);
    if (target?.seq === null && owed !== undefined)
      this.#owed.set(target, Math.min(owed, this.#owed.get(target) ?? owed));
  }

  /** Takes a closed topic off its rung; a rung without topics is closed. */
  detach(topic: Topic): void {
    const rung = this.rungs.get(topic.info.rung);
    if (!rung) return;
    const at = rung.topics.indexOf(topic);
    if (at >= 0) rung.topics.splice(at, 1);
    if (rung.topics.length > 0) return;
    this.rungs.delete(topic.info.rung);
    this.#owed.delete(rung);
    this.#announced.delete(rung);
  }

  /** What a joiner of `topic` gets: everything, or what follows `since`. */
  join(topic: Topic, since: Position | null): Answer {
    const rung = this.rung(topic.info.rung);
    const { startsAtFlush } = this.#family;
    // Who comes from a faster rung is ahead of this one: it catches up, for everybody.
    const isAhead = since !== null && since.epoch === this.header.epoch && since.seq > (rung.seq ?? -1);
    if (startsAtFlush && isAhead) rung.flush();
    // A Binance book has no snapshot in its stream: its next event begins where the rung stands.
    const isAtRung = startsAtFlush || (topic.info.dialect === "binance" && topic.info.family === "book");
    const start = isAtRung ? rung.seq : this.seq;
    if (start === null) return { frames: this.#staleFrames(topic), seq: null, exact: false };
    if (since === null || since.seq > start) return this.#answer(topic, this.#family.whole(), null, start, false);
    if (since.epoch !== this.header.epoch) return this.#otherEpoch(topic, since.seq, start);
    const { segments, exact } = this.#family.since(since.seq, start);
    return this.#answer(topic, segments, since.seq, start, exact);
  }

  /** What brings a worker that saw `topic` up to `seen` to the rung's present position; null if nothing can. */
  catchUp(topic: Topic, seen: number): Answer | null {
    const rung = this.rung(topic.info.rung);
    const { dialect, family } = topic.info;
    const isBinance = dialect === "binance";
    // Whoever saw it turn stale was closed for it, but this worker may not have heard.
    if (isBinance && this.#staleness.closed) return null;
    // Who has seen nothing may have missed an epoch as well.
    const isOld = seen <= this.#epochFloor;
    if (isOld && isBinance && (family === "book" || family === "items")) return null;
    if (rung.seq === null) return this.#unflushed(topic, rung, isOld ? seen : null);
    if (seen === 0 && family === "book" && !isBinance)
      return this.#answer(topic, this.#family.whole(), null, rung.seq, false);
    if (isOld) return this.#otherEpoch(topic, seen, rung.seq);
    const { segments, exact } = this.#family.since(seen, rung.seq);
    if (isBinance && (segments.some((s) => s.breaks) || (!exact && family !== "value"))) return null;
    const mayShowStale = !isBinance && this.staleReason === null && seen <= this.#freshSeq;
    if (mayShowStale && (family === "book" || segments.length === 0)) {
      return this.#answer(topic, this.#family.whole(), null, rung.seq, false);
    }
    return this.#answer(topic, segments, seen > 0 ? seen : null, rung.seq, exact);
  }

  /** Nothing of this epoch was flushed yet. Who has not even the last of the old one hears of it; the rest is still owed. */
  #unflushed(topic: Topic, rung: Rung, seen: number | null): Answer {
    const owed = this.#owed.get(rung);
    const end = owed ?? this.#announced.get(rung) ?? -1;
    if (seen === null || end <= seen) return { frames: this.#staleFrames(topic), seq: seen, exact: true };
    const gap = gapSegment(seen, end, this.time, { missed: null, reason: "epoch" });
    return this.#answer(topic, [gap], seen, end, owed !== undefined);
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
    if (this.ready) listener.reset("first");
    else if (this.#failure !== null) listener.unavailable(this.#failure.code, this.#failure.message);
    return { close: () => this.#listeners.delete(listener) };
  }

  /** Nobody needs this state for topics or derived channels, or waits for it. */
  get unused(): boolean {
    return this.rungs.size === 0 && this.#listeners.size === 0 && this.#whenReady.size === 0;
  }

  close(): void {
    this.#staleness.stop();
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
    this.#history.push(p);
    for (const rung of this.rungs.values()) {
      const wasDirty = rung.dirty;
      rung.add(p);
      if (rung.period === 0) rung.flush();
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

  /** The workers' own answers name the new epoch from here on. */
  #announceEpoch(): void {
    const { epoch } = this.header;
    for (const rung of this.rungs.values()) {
      for (const topic of rung.topics) this.#ports.control({ do: "epoch", topic: topic.number, epoch });
    }
  }

  /** Lossless rungs hear of the epoch's gap right before its first publication, which says where the gap ends. */
  #tellEpochGap(firstSeq: number): void {
    for (const [rung, seq] of this.#owed) {
      rung.write(gapSegment(seq, firstSeq - 1, this.time, { missed: null, reason: "epoch" }));
      this.#announced.set(rung, firstSeq - 1);
      rung.seq = null;
      rung.tellEpoch = true;
    }
    this.#owed.clear();
  }

  /** Every rung is flushed; who cannot be told of the new epoch is closed; chains start over. */
  #beginEpoch(): void {
    this.#flushAll();
    if (this.header.epoch !== "") this.#ports.counters.epochs++;
    const { family } = this.channel;
    // Also where nothing was flushed: nobody can know whether the epoch that ended had something.
    const isOwed = family === "items" && this.header.epoch !== "";
    for (const rung of this.rungs.values()) {
      if (isOwed) this.#owed.set(rung, this.#owed.get(rung) ?? rung.seq ?? this.#epochFloor);
      if (rung.seq !== null && family === "book") {
        for (const topic of rung.topics) if (topic.info.dialect === "binance") this.#closeTopic(topic);
      }
      rung.seq = null;
      rung.tellEpoch = true;
    }
    this.#announced.clear();
    this.#epochFloor = this.seq ?? this.#epochFloor;
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
    this.#tellStale();
    for (const listener of this.#listeners) listener.stale(reason);
    return true;
  }

  #tellStale(): void {
    for (const rung of this.rungs.values()) {
      rung.tell((topic) => topic.encoder.stale());
      this.#controlBinance(rung, (topic) => ({ do: "stale", topic: topic.number }));
    }
  }

  /** True if it was stale and is no more. */
  #becomeFresh(from: "bus" | "both"): boolean {
    if (!this.#staleness.end(from)) return false;
    this.#freshSeq = this.seq ?? this.#freshSeq;
    for (const rung of this.rungs.values())
      this.#controlBinance(rung, (topic) => ({ do: "fresh", topic: topic.number }));
    return true;
  }

  #closeStale(reason: StaleReason): void {
    for (const rung of this.rungs.values()) {
      this.#controlBinance(rung, (topic) => ({
        do: "closeStale",
        topic: topic.number,
        code: CLOSES.RESTART.code,
        reason: `${this.channel.name} is stale: ${reason}`,
      }));
    }
  }

  #controlBinance(rung: Rung, control: (topic: Topic) => Control): void {
    for (const topic of rung.topics) if (topic.info.dialect === "binance") this.#ports.control(control(topic));
  }

  #closeTopic(topic: Topic): void {
    const { code, message } = CLOSES.RESTART;
    this.#ports.control({ do: "closeTopic", topic: topic.number, code, reason: `${this.channel.name}: ${message}` });
  }

  #flushAll(): void {
    for (const rung of this.rungs.values()) rung.flush();
  }

  #settle(failure: Failure | null): void {
    this.ready = failure === null;
    this.#failure = failure;
    if (this.#whenReady.size === 0) return;
    // The state counts as used until the last has had its turn.
    for (const call of this.#whenReady) call(failure);
    this.#whenReady.clear();
    this.#ports.settled();
  }

  /** The asker's position belongs to an older epoch: lossless kinds hear of the gap, the others start over. */
  #otherEpoch(topic: Topic, seen: number, start: number): Answer {
    const { segments, exact } = this.#family.since(-1, start);
    // Candles that closed in the new epoch are not skipped.
    if (this.channel.family === "candles") return this.#answer(topic, segments, null, start, false);
    if (this.channel.family !== "items") return this.#answer(topic, this.#family.whole(), null, start, false);
    // If not all of the epoch is kept, that begins with a gap of its own.
    const known = exact ? segments : segments.slice(1);
    const end = Math.max(seen, (known[0]?.from ?? start + 1) - 1);
    const gap = gapSegment(seen, end, this.time, { missed: null, reason: "epoch" });
    return this.#answer(topic, [gap, ...known], seen, start, false);
  }

  #answer(topic: Topic, segments: readonly Segment[], after: number | null, start: number, exact: boolean): Answer {
    const frames: string[] = [];
    let prev = after;
    // Nothing seen yet: a Binance book's events are counted from the first that is in them.
    if (after === null && topic.info.dialect === "binance" && segments[0]) prev = segments[0].from - 1;
    for (const segment of segments) {
      const at: Stamp = {
        prev,
        from: segment.from,
        seq: segment.seq,
        time: segment.time,
        sentUs: this.#ports.clock.wallUs(),
        epoch: exact && !segment.whole && after !== null ? null : this.header.epoch,
      };
      frames.push(...segment.encode(topic.encoder, at));
      prev = segment.seq;
    }
    frames.push(...this.#staleFrames(topic));
    return { frames, seq: Math.max(start, segments.length > 0 ? prev! : start), exact };
  }

  #staleFrames(topic: Topic): readonly string[] {
    return this.staleReason === null ? [] : topic.encoder.stale();
  }
}

const headerOf = (h: ShardHeader): ShardHeader => ({
  version: h.version,
  shard: h.shard,
  token: h.token,
  epoch: h.epoch,
});
