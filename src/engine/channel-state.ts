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
import { BookState } from "./family/book.ts";
import { CandlesState } from "./family/candles.ts";
import type { FamilyState, Segment } from "./family/family.ts";
import { gapSegment, ItemsState } from "./family/items.ts";
import { ValueState } from "./family/value.ts";
import { History } from "./history.ts";
import { Rung, type RungPorts } from "./rung.ts";
import type { Topic } from "./topics.ts";

/** Publications kept per channel. Books need enough for lap repair, items for `since`. */
const HISTORY_MAX = { book: 2000, items: 1000, candles: 1000, value: 1 } as const;
/** Sessions of a dialect without a word for staleness are closed after this long (DESIGN 10). */
const STALE_CLOSE_MS = 5000;

export interface ChannelPorts extends Omit<RungPorts, "epoch" | "flushedBinance" | "conflated" | "broken"> {
  control(control: Control): void;
  /** The rung has something unsent: flush it at its next instant. */
  dirty(rung: Rung): void;
}

/** The answer to a joiner or to a lapped worker. */
export interface Answer {
  readonly frames: readonly string[];
  readonly seq: number | null;
  /** Everything after the asked position is in the frames. */
  readonly exact: boolean;
}

export class ChannelState implements ChannelConsumer, BookFeed {
  readonly channel: Channel;
  readonly rungs = new Map<Period, Rung>();
  header: ShardHeader = { version: 0, shard: "", token: 0, epoch: "" };
  provides: readonly Kind[] = [];
  seq: number | null = null;
  time = 0;
  ready = false;
  staleReason: StaleReason | null = null;
  /** Best bid and ask for spot tickers; set by the engine while it holds the book for them. */
  top: () => BookTicker | null = () => null;
  /** Cached REST bodies; cleared whenever they could fall behind a Binance stream. */
  readonly depthCache = new Map<number, { at: number; body: DepthBody }>();

  readonly #ports: ChannelPorts;
  readonly #family: FamilyState;
  readonly #history: History;
  readonly #listeners = new Set<BookListener>();
  #whenReady: ((failure: { code: number; message: string } | null) => void)[] = [];
  /** Seqs at or below it belong to an older epoch. */
  #epochFloor = -1;
  #staleTimer: { cancel(): void } | null = null;
  /** Rungs that owe their sessions the gap of a new epoch, with the last seq of the old one. */
  readonly #owed = new Map<Rung, number>();

  constructor(channel: Channel, ports: ChannelPorts) {
    this.channel = channel;
    this.#ports = ports;
    this.#history = new History(HISTORY_MAX[channel.family]);
    this.#family = this.#makeFamily();
  }

  // --- what the follower says -------------------------------------------------------------------------------------

  state(reply: StateReply, cause: "first" | "epoch" | "heal"): void {
    const newEpoch = this.ready && reply.epoch !== this.header.epoch;
    if (newEpoch) this.#beginEpoch();
    this.#flushAll();
    const segments = this.#family.load(reply, this.ready && !newEpoch ? this.seq : null);
    this.header = headerOf(reply);
    this.provides = reply.provides;
    this.seq = reply.seq ?? this.seq;
    this.time = reply.time;
    this.#history.load(reply.history, reply.seq);
    if (this.#owed.size > 0 && segments[0]) this.#tellEpochGap(segments[0].from);
    for (const rung of this.rungs.values()) for (const segment of segments) rung.write(segment);
    if (reply.stale) this.staleReason ??= "disconnected";
    else this.#becomeFresh();
    for (const listener of this.#listeners) listener.reset(newEpoch ? "epoch" : this.ready ? "heal" : "first");
    if (cause === "first" || !this.ready) this.#settle(null);
  }

  publication(p: Publication, header: ShardHeader): void {
    if (header.epoch !== this.header.epoch) {
      this.#beginEpoch();
      this.header = headerOf(header);
    }
    if (this.#owed.size > 0) this.#tellEpochGap(p.seq);
    count(this.#ports.counters.publications, p.kind);
    const first = this.seq === null;
    this.seq = p.seq;
    this.time = p.time;
    switch (p.type) {
      case "stale":
        this.#history.push(p);
        this.#becomeStale(p.data);
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
        if (this.staleReason !== null) this.#becomeFresh();
    }
    for (const listener of this.#listeners) listener.changed(p);
  }

  stale(reason: StaleReason): void {
    this.#becomeStale(reason);
  }

  fresh(): void {
    if (this.staleReason === null) return;
    this.#flushAll();
    this.#becomeFresh();
    // Tells native clients that what they have is right again; nothing changes for the others.
    for (const rung of this.rungs.values()) for (const segment of this.#family.whole()) rung.write(segment);
    for (const listener of this.#listeners) listener.fresh();
  }

  unavailable(code: number, message: string): void {
    for (const listener of this.#listeners) listener.unavailable(code, message);
    if (this.ready) this.#becomeStale("disconnected");
    // Known, but nobody feeds it yet: subscribed at once, its first publication is its snapshot.
    else this.#settle(code === ERRORS.UNKNOWN_CHANNEL.code ? null : { code, message });
  }

  // --- what the engine asks ---------------------------------------------------------------------------------------

  /** Calls back when the state is known (null), or cannot be had. */
  whenReady(call: (failure: { code: number; message: string } | null) => void): void {
    if (this.ready) call(null);
    else this.#whenReady.push(call);
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

  /** Takes a closed topic off its rung; a rung without topics is closed. */
  detach(topic: Topic): void {
    const rung = this.rungs.get(topic.info.rung);
    if (!rung) return;
    const at = rung.topics.indexOf(topic);
    if (at >= 0) rung.topics.splice(at, 1);
    if (rung.topics.length > 0) return;
    this.rungs.delete(topic.info.rung);
    this.#owed.delete(rung);
  }

  /** What a joiner of `topic` gets: everything, or what follows `since`. */
  join(topic: Topic, since: Position | null): Answer {
    const rung = this.rung(topic.info.rung);
    const start = this.#family.startsAtFlush ? rung.seq : this.seq;
    if (start === null) return { frames: this.#staleFrames(topic), seq: null, exact: false };
    if (since === null || since.seq > start) return this.#answer(topic, this.#family.whole(), null, start, false);
    if (since.epoch !== this.header.epoch) return this.#otherEpoch(topic, since.seq, start);
    const { segments, exact } = this.#family.since(since.seq, start);
    return this.#answer(topic, segments, since.seq, start, exact);
  }

  /** What brings a worker that saw `topic` up to `seen` to the rung's present position; null if nothing can. */
  catchUp(topic: Topic, seen: number): Answer | null {
    const rung = this.rung(topic.info.rung);
    if (rung.seq === null) return { frames: this.#staleFrames(topic), seq: null, exact: true };
    const wordless =
      topic.info.dialect === "binance" && (topic.info.family === "book" || topic.info.family === "items");
    if (seen <= this.#epochFloor) return wordless ? null : this.#otherEpoch(topic, seen, rung.seq);
    const { segments, exact } = this.#family.since(seen, rung.seq);
    if (!exact && topic.info.dialect === "binance" && this.channel.family !== "value") return null;
    return this.#answer(topic, segments, seen, rung.seq, exact);
  }

  get book() {
    assert(this.#family instanceof BookState, `${this.channel.name} is a book`);
    return this.#family.book;
  }

  listen(listener: BookListener): Subscription {
    this.#listeners.add(listener);
    if (this.ready) listener.reset("first");
    return { close: () => this.#listeners.delete(listener) };
  }

  /** Nobody needs this state for topics or derived channels. */
  get unused(): boolean {
    return this.rungs.size === 0 && this.#listeners.size === 0;
  }

  close(): void {
    this.#staleTimer?.cancel();
  }

  // --- inside -----------------------------------------------------------------------------------------------------

  #makeFamily(): FamilyState {
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
    this.#history.push({ ...p, type: "delta", data: repair });
    for (const rung of this.rungs.values()) rung.write(segment);
    this.#becomeFresh();
  }

  #firstDelta(p: Publication & { type: "delta" }): void {
    assert(this.#family instanceof BookState, `delta on ${this.channel.name}, which is no book`);
    const segment = this.#family.begin(p);
    this.#history.push(p);
    for (const rung of this.rungs.values()) rung.write(segment);
  }

  /** Lossless rungs hear of the epoch's gap right before its first publication, which says where the gap ends. */
  #tellEpochGap(firstSeq: number): void {
    for (const [rung, seq] of this.#owed) {
      rung.write(gapSegment(seq, firstSeq - 1, this.time, { missed: null, reason: "epoch" }));
      rung.seq = null;
      rung.tellEpoch = true;
    }
    this.#owed.clear();
  }

  /** Every rung is flushed; who cannot be told of the new epoch is closed; chains start over. */
  #beginEpoch(): void {
    this.#flushAll();
    this.#ports.counters.epochs++;
    const { family } = this.channel;
    for (const rung of this.rungs.values()) {
      if (rung.seq !== null && family === "items") this.#owed.set(rung, this.#owed.get(rung) ?? rung.seq);
      if (rung.seq !== null && family === "book") {
        for (const topic of rung.topics) if (topic.info.dialect === "binance") this.#closeTopic(topic);
      }
      rung.seq = null;
      rung.tellEpoch = true;
    }
    this.#epochFloor = this.seq ?? this.#epochFloor;
    this.seq = null;
    this.#history.load([], null);
    this.#family.clear();
    this.depthCache.clear();
    this.#becomeFresh();
  }

  #becomeStale(reason: StaleReason): void {
    if (this.staleReason !== null) return;
    this.staleReason = reason;
    count(this.#ports.counters.stale, reason);
    this.#flushAll();
    for (const rung of this.rungs.values()) {
      rung.tell((topic) => topic.encoder.stale());
      this.#controlBinance(rung, (topic) => ({ do: "stale", topic: topic.number }));
    }
    this.#staleTimer = this.#ports.clock.after(STALE_CLOSE_MS, () => {
      for (const rung of this.rungs.values()) {
        this.#controlBinance(rung, (topic) => ({
          do: "closeStale",
          topic: topic.number,
          code: CLOSES.RESTART.code,
          reason: `${this.channel.name} is stale: ${reason}`,
        }));
      }
    });
    for (const listener of this.#listeners) listener.stale(reason);
  }

  #becomeFresh(): void {
    if (this.staleReason === null) return;
    this.staleReason = null;
    this.#staleTimer?.cancel();
    this.#staleTimer = null;
    for (const rung of this.rungs.values())
      this.#controlBinance(rung, (topic) => ({ do: "fresh", topic: topic.number }));
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

  #settle(failure: { code: number; message: string } | null): void {
    this.ready = failure === null;
    const waiting = this.#whenReady;
    this.#whenReady = [];
    for (const call of waiting) call(failure);
  }

  /** The asker's position belongs to an older epoch: lossless kinds hear of the gap, the others start over. */
  #otherEpoch(topic: Topic, seen: number, start: number): Answer {
    if (this.channel.family !== "items") return this.#answer(topic, this.#family.whole(), null, start, false);
    const known = this.#family.since(-1, start).segments;
    const end = Math.max(seen, (known[0]?.from ?? start + 1) - 1);
    const gap = gapSegment(seen, end, this.time, { missed: null, reason: "epoch" });
    return this.#answer(topic, [gap, ...known.filter((s) => !s.breaks)], seen, start, false);
  }

  #answer(topic: Topic, segments: readonly Segment[], after: number | null, start: number, exact: boolean): Answer {
    const frames: string[] = [];
    let prev = after;
    for (const segment of segments) {
      const at: Stamp = {
        prev,
        from: segment.from,
        seq: segment.seq,
        time: segment.time,
        sentUs: this.#ports.clock.wallUs(),
        epoch: exact ? null : this.header.epoch,
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
