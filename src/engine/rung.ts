/**
 * One rung of one channel: a shared stream with its own chain, merged once, encoded once per form, published once.
 *
 * On the path: channel state -> RUNG -> ring. Invariants: `seq` is the seq last flushed, so the next flush's `prev`;
 * every flush reaches all topics of the rung in the same instant.
 */
import type { Publication } from "../channel/types.ts";
import type { Clock } from "../lib/clock.ts";
import { GatewayError } from "../lib/errors.ts";
import type { Stamp } from "../protocol/encoder.ts";
import { Flag, type Rung as Period, RecordKind } from "../ring/messages.ts";
import type { RingWriter } from "../ring/ring.ts";
import type { Burst } from "./burst.ts";
import type { EngineCounters } from "./counters.ts";
import type { Accumulator, Segment } from "./family/family.ts";
import type { Topic } from "./topics.ts";

/** What a rung needs of its surroundings. */
export interface RungPorts {
  readonly ring: RingWriter;
  readonly clock: Clock;
  readonly counters: EngineCounters;
  /** The current epoch of the channel. */
  epoch(): string;
  /** Something was lost on this topic that cannot be said on it: close its sessions. */
  broken(topic: Topic): void;
  conflated(publications: number): void;
  /** Called after a flush that wrote to a Binance topic. */
  flushedBinance(): void;
}

export class Rung {
  readonly period: Period;
  seq: number | null;
  /** The next push carries the epoch. */
  tellEpoch = false;
  readonly topics: Topic[] = [];
  /** The last seq written, of whatever epoch: what is said outside the chain stands behind it. */
  #lastSeq: number;
  readonly #accumulator: Accumulator;
  readonly #ports: RungPorts;
  readonly #burst: Burst | null;

  constructor(
    period: Period,
    seq: number | null,
    accumulator: Accumulator,
    ports: RungPorts,
    burst: Burst | null = null,
  ) {
    this.period = period;
    this.seq = seq;
    this.#lastSeq = seq ?? -1;
    this.tellEpoch = seq === null;
    this.#burst = burst;
    this.#accumulator = accumulator;
    this.#ports = ports;
  }

  get dirty(): boolean {
    return !this.#accumulator.empty;
  }

  /** It flushes at once what comes now, and not at its next instant. */
  get eager(): boolean {
    return this.period === 0 || this.#burst?.ready === true;
  }

  add(publication: Publication): void {
    this.#accumulator.add(publication);
  }

  /** Writes everything unsent as one flush. */
  flush(): void {
    if (this.#accumulator.empty) return;
    this.#burst?.spend();
    for (const segment of this.#accumulator.take()) this.write(segment);
  }

  write(segment: Segment): void {
    const { clock, counters } = this.#ports;
    const at: Stamp = {
      prev: this.seq,
      from: segment.from,
      seq: segment.seq,
      time: segment.time,
      sentUs: clock.wallUs(),
      epoch: this.tellEpoch || segment.whole ? this.#ports.epoch() : null,
    };
    let binance = false;
    for (const topic of this.topics) {
      this.#publish(topic, segment.encode(topic.encoder, at), segment);
      if (topic.info.dialect === "binance") {
        binance = true;
        if (segment.breaks) this.#ports.broken(topic);
      }
    }
    this.tellEpoch = false;
    this.seq = segment.seq;
    this.#lastSeq = segment.seq;
    if (segment.conflated > 0) this.#ports.conflated(segment.conflated);
    counters.flushes++;
    if (binance) this.#ports.flushedBinance();
  }

  /** Writes the same frames to every topic, outside the chain (stale). */
  tell(frames: (topic: Topic) => readonly string[]): void {
    for (const topic of this.topics) this.#publish(topic, frames(topic), null);
  }

  #publish(topic: Topic, frames: readonly string[], segment: Segment | null): void {
    if (frames.length === 0) return;
    const fields = {
      topic: topic.number,
      flags: (frames.length > 1 ? Flag.MANY : 0) | (segment ? 0 : Flag.ASIDE),
      seq: segment ? segment.seq : this.#lastSeq,
      request: segment?.items ?? 0,
      receivedUs: segment ? segment.receivedUs : 0,
    };
    try {
      this.#ports.ring.write(RecordKind.PUBLISH, fields, frames.length > 1 ? frames.join("\n") : frames[0]!);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      // Too big for the ring: nobody on this topic can get it, so they are told by a close.
      this.#ports.counters.oversize++;
      this.#ports.broken(topic);
    }
  }
}
