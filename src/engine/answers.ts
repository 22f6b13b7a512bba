/**
 * Answers of one channel: what a joiner, one who resumes, or a worker that the ring has lapped gets of it.
 *
 * On the path: engine (join, lap) -> ANSWERS -> ring (DIRECT).
 * Invariants: an answer ends where its topic's stream stands, or beyond it where that is harmless; nothing of a lossless
 * kind at or below the asker's position is in it; what cannot be brought is said first (gap), or the state starts over.
 * At the limit: history is a bounded cache; where it does not reach back, `exact` is false.
 */
import type { ShardHeader } from "../bus/bus.ts";
import type { Channel } from "../channel/channel.ts";
import type { Position, StaleReason } from "../channel/types.ts";
import type { Clock } from "../lib/clock.ts";
import type { Stamp } from "../protocol/encoder.ts";
import type { Rung as Period } from "../ring/messages.ts";
import type { EpochGaps } from "./epoch-gaps.ts";
import type { FamilyState, Segment } from "./family/family.ts";
import { gapSegment } from "./family/items.ts";
import type { Rung } from "./rung.ts";
import type { Topic } from "./topics.ts";

export interface Answer {
  readonly frames: readonly string[];
  readonly seq: number | null;
  /** Everything after the asked position is in the frames. */
  readonly exact: boolean;
}

/** What is needed of a channel's state. */
export interface Standing {
  readonly channel: Channel;
  readonly header: ShardHeader;
  /** Null: nothing was published in this epoch. */
  readonly seq: number | null;
  readonly time: number;
  readonly staleReason: StaleReason | null;
  /** Binance sessions that saw it turn stale were closed for it. */
  readonly staleClosed: boolean;
  /** Where the channel stood when it was last stale: who has no more than that may still show it as stale. */
  readonly freshSeq: number;
  readonly epochGaps: EpochGaps;
  rung(period: Period): Rung;
}

export class Answers {
  readonly #state: Standing;
  readonly #family: FamilyState;
  readonly #clock: Clock;

  constructor(state: Standing, family: FamilyState, clock: Clock) {
    this.#state = state;
    this.#family = family;
    this.#clock = clock;
  }

  /** What a joiner of `topic` gets: everything, or what follows `since`. */
  join(topic: Topic, since: Position | null): Answer {
    const { header, seq } = this.#state;
    const rung = this.#state.rung(topic.info.rung);
    const { startsAtFlush } = this.#family;
    // Who comes from a faster rung is ahead of this one: it catches up, for everybody.
    const isAhead = since?.epoch === header.epoch && since.seq > (rung.seq ?? -1) && since.seq <= (seq ?? -1);
    if (startsAtFlush && isAhead) rung.flush();
    // A Binance book has no snapshot in its stream: its next event begins where the rung stands.
    const isAtRung = startsAtFlush || (topic.info.dialect === "binance" && topic.info.family === "book");
    const start = isAtRung ? rung.seq : seq;
    if (start === null) return { frames: this.#staleFrames(topic), seq: null, exact: false };
    if (since !== null && since.epoch !== header.epoch) return this.#otherEpoch(topic, since.seq, start);
    if (since === null || since.seq > start) return this.#answer(topic, this.#family.whole(), null, start, false);
    const { segments, exact } = this.#family.since(since.seq, start);
    return this.#answer(topic, segments, since.seq, start, exact);
  }

  /** What brings a worker that saw `topic` up to `seen` to the rung's present position; null if nothing can. */
  catchUp(topic: Topic, seen: number): Answer | null {
    const state = this.#state;
    const rung = state.rung(topic.info.rung);
    const { dialect, family } = topic.info;
    const isBinance = dialect === "binance";
    // Whoever saw it turn stale was closed for it, but this worker may not have heard.
    if (isBinance && state.staleClosed) return null;
    // Who has seen nothing may have missed an epoch as well.
    const isOld = seen <= state.epochGaps.floor;
    if (isOld && isBinance && (family === "book" || family === "items")) return null;
    if (rung.seq === null) return this.#unflushed(topic, rung, isOld ? seen : null);
    if (seen === 0 && family === "book" && !isBinance)
      return this.#answer(topic, this.#family.whole(), null, rung.seq, false);
    if (isOld) return this.#otherEpoch(topic, seen, rung.seq);
    const { segments, exact } = this.#family.since(seen, rung.seq);
    if (isBinance && (segments.some((s) => s.breaks) || (!exact && family !== "value"))) return null;
    const mayShowStale = !isBinance && state.staleReason === null && seen <= state.freshSeq;
    if (mayShowStale && (family === "book" || segments.length === 0)) {
      return this.#answer(topic, this.#family.whole(), null, rung.seq, false);
    }
    return this.#answer(topic, segments, seen > 0 ? seen : null, rung.seq, exact);
  }

  /** Nothing of this epoch was flushed yet. Who has not even the last of the old one hears of it; the rest is still owed. */
  #unflushed(topic: Topic, rung: Rung, seen: number | null): Answer {
    const { epochGaps, time } = this.#state;
    const owed = epochGaps.owed(rung);
    const end = owed ?? epochGaps.announced(rung) ?? -1;
    if (seen === null || end <= seen) return { frames: this.#staleFrames(topic), seq: seen, exact: true };
    const gap = gapSegment(seen, end, time, { missed: null, reason: "epoch" });
    return this.#answer(topic, [gap], seen, end, owed !== undefined);
  }

  /** The asker's position belongs to another epoch: lossless kinds hear of the gap, the others start over. */
  #otherEpoch(topic: Topic, seen: number, start: number): Answer {
    const { family } = topic.info;
    const { segments, exact } = this.#family.since(-1, start);
    // Candles that closed in the new epoch are not skipped.
    if (family === "candles") return this.#answer(topic, segments, null, start, false);
    if (family !== "items") return this.#answer(topic, this.#family.whole(), null, start, false);
    // If not all of the epoch is kept, that begins with a gap of its own.
    const known = exact ? segments : segments.slice(1);
    const end = (known[0]?.from ?? start + 1) - 1;
    // Another node's numbering may be ahead of this one's: the gap ends where this one goes on all the same.
    const gap = gapSegment(Math.min(seen, end - 1), end, this.#state.time, { missed: null, reason: "epoch" });
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
        sentUs: this.#clock.wallUs(),
        epoch: exact && !segment.whole && after !== null ? null : this.#state.header.epoch,
      };
      frames.push(...segment.encode(topic.encoder, at));
      prev = segment.seq;
    }
    frames.push(...this.#staleFrames(topic));
    return { frames, seq: Math.max(start, segments.length > 0 ? prev! : start), exact };
  }

  #staleFrames(topic: Topic): readonly string[] {
    return this.#state.staleReason === null ? [] : topic.encoder.stale();
  }
}
