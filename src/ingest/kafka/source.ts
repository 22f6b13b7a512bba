/**
 * Source of one partition of a Kafka topic.
 *
 * On the path: feed -> decoder -> SOURCE -> shard. Offsets are Kafka's own: they rise and need not be dense.
 * Invariants: one loop hands on; nothing after an abort; a new epoch where Kafka's numbers begin again (the topic was made
 * anew), jump (retention passed us, the log was cut) or stop meaning the same channels (regrouped partitions).
 * At the limit: a busy sink lets its feed run full, and the partition is left out of the fetches until there is room.
 */
import { type Backoff, createBackoff } from "../../lib/backoff.ts";
import { type Clock, wallMs } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { IngestLog } from "../sampled-log.ts";
import type { Offset, RecordSink, Source, SourceState, SourceStatus } from "../source.ts";
import { sleep, untilReady } from "../wait.ts";
import { Wake } from "../wake.ts";
import { type Decoded, Decoder } from "./decoder.ts";
import type { Feed, FeedPlace } from "./feed.ts";
import type { Pace } from "./pace.ts";
import type { OffsetReset } from "./properties.ts";
import { KafkaRecord } from "./record.ts";

export interface Trouble {
  readonly attempt: number;
  readonly retryAt: number;
  readonly error: string;
}

/** What a source needs of its broker. */
export interface SourcePorts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: IngestLog;
  readonly pace: Pace;
  readonly reset: OffsetReset;
  readonly committedOnly: boolean;
  /** From now on the place is fetched, as soon as the feed is started. */
  attach(place: FeedPlace, incarnation: string, wake: () => void): Feed;
  detach(feed: Feed): void;
  /** Settles when the partition may be begun (regroup.ts). */
  admitted(place: FeedPlace, signal: AbortSignal): Promise<void>;
  /** The partition was added to its topic while we ran. */
  isAdded(place: FeedPlace): boolean;
  contested(topic: string): void;
  /** Earliest or end offset of the partition; rejects with GatewayError. */
  offsetOf(place: FeedPlace, which: "earliest" | "latest"): Promise<number>;
  /** Why nothing can come; null if all is well. */
  troubleOf(feed: Feed): Trouble | null;
  reconnect(feed: Feed, why: string): void;
  commit(place: FeedPlace, next: number): void;
  deadLetter(record: KafkaRecord, reason: string): void;
  readonly topicId: string;
  /** The broker is closed. */
  readonly signal: AbortSignal;
}

/** Records handed on before the sink is asked again. */
const BATCH = 256;
/** Between looks at the clock. */
const LOOK_EVERY = 16;
const ASK_FIRST_MS = 200;
const ASK_MAX_MS = 5000;

export class KafkaSource implements Source {
  readonly name: string;
  readonly replayable = true;
  readonly #place: FeedPlace;
  readonly #ports: SourcePorts;
  readonly #wake = new Wake();
  readonly #counts: Record<string, number> = {};
  /** Of finding where to go on; a record ends it. */
  readonly #ranges: Backoff;
  #incarnation: string;
  #feed: Feed | null = null;
  #decoder: Decoder | null = null;
  #ended: SourceState = { name: "idle" };
  /** While offsets are asked for. */
  #asking: Trouble | null = null;
  /** The topic was made anew since the checkpoint there is. */
  #isNew = false;
  /** Of the last record handed on in this epoch. */
  #last: Offset | null = null;
  #records = 0;
  #reconnects = 0;
  #receivedUs = 0;
  #newestMs: number | null = null;

  constructor(name: string, place: FeedPlace, ports: SourcePorts) {
    this.name = name;
    this.#place = place;
    this.#ports = ports;
    this.#incarnation = ports.topicId;
    this.#ranges = createBackoff(ASK_FIRST_MS, ASK_MAX_MS, ports.random);
  }

  get incarnation(): string {
    return this.#incarnation;
  }

  madeAnew(): void {
    this.#isNew = true;
  }

  commit(offset: Offset): void {
    this.#ports.commit(this.#place, offset + 1);
  }

  deadLetter(value: unknown, reason: string): void {
    if (value instanceof KafkaRecord) this.#ports.deadLetter(value, reason);
  }

  status(): SourceStatus {
    const { end, behind } = this.#lag();
    return {
      state: this.#state(),
      lagMs: end === null ? null : this.#lagMs(behind),
      lagRecords: behind,
      records: this.#records,
      reconnects: this.#reconnects + (this.#feed?.reconnects ?? 0),
      counts: { ...this.#counts, tombstones: (this.#counts.tombstones ?? 0) + (this.#decoder?.tombstones ?? 0) },
    };
  }

  contested(): void {
    this.#ports.contested(this.#place.topic);
  }

  async run(sink: RecordSink, from: Offset | null, asked: AbortSignal, position?: string | null): Promise<void> {
    const signal = AbortSignal.any([asked, this.#ports.signal]);
    if (signal.aborted) return;
    const { clock, pace } = this.#ports;
    const feed = this.#ports.attach(this.#place, this.#incarnation, this.#wake.call);
    const decoder = new Decoder({
      feed,
      committedOnly: this.#ports.committedOnly,
      nowMs: () => clock.monotonicMs(),
      damaged: (offset, error) => this.#damaged(offset, error),
    });
    this.#feed = feed;
    this.#decoder = decoder;
    this.#last = from;
    signal.addEventListener("abort", this.#wake.call);
    try {
      await this.#ports.admitted(feed, signal);
      // A topic that was made anew since then begins with an epoch, which says where.
      if (feed.empty) await this.#begin(sink, from, position ?? null, signal);
      while (!signal.aborted) {
        await untilReady(sink, signal);
        const turn = pace.turn();
        if (turn !== null) await turn;
        if (signal.aborted) break;
        if (turn !== null && sink.busy() !== null) continue;
        if (this.#work(sink, decoder, signal)) continue;
        if (feed.outOfRange) await this.#findRange(sink, signal);
        else await this.#wake.wait();
      }
      this.#ended = { name: "idle" };
    } catch (error) {
      this.#ended = { name: "failed", reason: error instanceof Error ? error.message : String(error) };
      throw error;
    } finally {
      signal.removeEventListener("abort", this.#wake.call);
      this.#reconnects += feed.reconnects;
      this.#count("tombstones", decoder.tombstones);
      this.#feed = null;
      this.#decoder = null;
      this.#asking = null;
      this.#ports.detach(feed);
    }
  }

  /** Hands on what has come, for as long as the turn allows; false if there was nothing. */
  #work(sink: RecordSink, decoder: Decoder, signal: AbortSignal): boolean {
    const { clock, pace } = this.#ports;
    const since = clock.monotonicMs();
    const deadline = pace.deadline();
    let handed = 0;
    while (handed < BATCH && !signal.aborted) {
      const decoded = decoder.next();
      if (decoded === null) break;
      this.#hand(sink, decoded);
      handed++;
      if (handed % LOOK_EVERY === 0 && clock.monotonicMs() >= deadline) break;
    }
    pace.spent(since);
    return handed > 0;
  }

  #hand(sink: RecordSink, decoded: Decoded): void {
    if (decoded.type === "data") {
      const { record, receivedUs } = decoded;
      this.#receivedUs = Math.max(this.#receivedUs, receivedUs);
      this.#records++;
      this.#last = record.offset;
      this.#ranges.reset();
      if (record.time !== null) this.#newestMs = record.time;
      sink.accept({ type: "data", offset: record.offset, receivedUs: this.#receivedUs, value: record });
    } else if (decoded.type === "corrupt") {
      const { offset, error } = decoded;
      this.#count("damaged batches", 1);
      this.#ports.log.error("kafka: a batch cannot be decoded and is passed over", {
        source: this.name,
        offset,
        error,
      });
      this.#receivedUs = Math.max(this.#receivedUs, decoded.receivedUs);
      this.#records++;
      this.#last = offset;
      sink.accept({ type: "lost", offset, receivedUs: this.#receivedUs });
    } else {
      this.#incarnation = decoded.topicId;
      this.#epoch(sink, decoded.cause, decoded.cause === "recreated" ? 0 : (this.#decoder?.wanted ?? 0));
    }
  }

  /** A new numbering, whose records begin at `next`. */
  #epoch(sink: RecordSink, cause: string, next: number): void {
    const { clock, log } = this.#ports;
    const offset = (this.#last ?? -1) + 1;
    this.#count(`epochs: ${cause}`, 1);
    log.warn("kafka: a new epoch begins", { source: this.name, cause, from: this.#last, next });
    this.#records++;
    this.#last = null;
    this.#receivedUs = Math.max(this.#receivedUs, clock.wallUs());
    const moved = cause === "regrouped" ? { moved: true as const } : {};
    sink.accept({ type: "epoch", offset, receivedUs: this.#receivedUs, position: String(next), ...moved });
    if (cause !== "regrouped") this.#start(next);
  }

  #start(next: number): void {
    this.#decoder?.start(next);
    this.#feed?.start(next, this.#ports.clock.monotonicMs());
  }

  // --- where to begin -------------------------------------------------------------------------------------------

  async #begin(sink: RecordSink, from: Offset | null, position: string | null, signal: AbortSignal): Promise<void> {
    if (from !== null) return this.#start(from + 1);
    if (position !== null && /^\d+$/.test(position)) return this.#start(Number(position));
    const isNew = this.#isNew || this.#ports.isAdded(this.#place);
    const which = isNew ? "earliest" : this.#which("has no checkpoint");
    const next = await this.#ask(which, signal);
    if (next === null) return;
    // The end is where we begin for good: also if this run sees no record and the next one asks for the end again.
    if (which === "latest") this.#epoch(sink, "latest", next);
    else this.#start(next);
  }

  /** The offset we want is not there: retention removed it, or the log is shorter than we know it. */
  async #findRange(sink: RecordSink, signal: AbortSignal): Promise<void> {
    const wanted = this.#decoder?.wanted ?? 0;
    const { topic, partition } = this.#place;
    // Again without a record between: whoever answers contradicts himself.
    if (this.#ranges.attempts > 0) {
      await this.#pause(this.#ranges, `partition ${partition} of topic "${topic}" has no offset ${wanted}`, signal);
    } else this.#ranges.next();
    const earliest = await this.#ask("earliest", signal);
    const latest = earliest === null ? null : await this.#ask("latest", signal);
    if (earliest === null || latest === null || this.#feed?.outOfRange !== true) return;
    if (wanted >= earliest && wanted <= latest) return this.#start(wanted);
    const which = this.#which(`has no offset ${wanted} any more (it has ${earliest} to ${latest})`);
    if (wanted < earliest) this.#epoch(sink, "retention", earliest);
    else this.#epoch(sink, "log cut", which === "latest" ? latest : earliest);
  }

  #which(why: string): "earliest" | "latest" {
    const { reset } = this.#ports;
    if (reset !== "none") return reset;
    const { topic, partition } = this.#place;
    throw new GatewayError(
      "BROKER_OFFSET",
      `partition ${partition} of topic "${topic}" ${why} and auto.offset.reset is none: set it to earliest or latest`,
    );
  }

  /** Null when aborted, or when the topic was made anew meanwhile. */
  async #ask(which: "earliest" | "latest", signal: AbortSignal): Promise<number | null> {
    const { random } = this.#ports;
    const backoff = createBackoff(ASK_FIRST_MS, ASK_MAX_MS, random);
    const ticket = this.#feed?.ticket;
    while (!signal.aborted && this.#feed?.ticket === ticket) {
      try {
        const offset = await this.#ports.offsetOf(this.#place, which);
        this.#asking = null;
        return signal.aborted ? null : offset;
      } catch (error) {
        await this.#pause(backoff, error instanceof Error ? error.message : String(error), signal);
      }
    }
    return null;
  }

  async #pause(backoff: Backoff, error: string, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    const pauseMs = backoff.next();
    this.#asking = { attempt: backoff.attempts, retryAt: wallMs(clock) + Math.ceil(pauseMs), error };
    await sleep(clock, pauseMs, signal);
  }

  // --- state ----------------------------------------------------------------------------------------------------

  #state(): SourceState {
    if (this.#feed === null) return this.#ended;
    const trouble = this.#asking ?? this.#ports.troubleOf(this.#feed);
    return trouble === null ? { name: "connected" } : { name: "connecting", ...trouble };
  }

  #lag(): { end: number | null; behind: number | null } {
    const end = this.#feed?.end ?? null;
    const wanted = this.#decoder?.wanted ?? 0;
    return { end, behind: end === null ? null : Math.max(0, end - wanted) };
  }

  #lagMs(behind: number | null): number | null {
    if (behind === 0) return 0;
    return this.#newestMs === null ? null : Math.max(0, wallMs(this.#ports.clock) - this.#newestMs);
  }

  #damaged(offset: number, error: unknown): void {
    this.#count("damaged answers", 1);
    this.#ports.log.warn("kafka: records cannot be decoded and are fetched again", {
      source: this.name,
      offset,
      error,
    });
    if (this.#feed !== null) this.#ports.reconnect(this.#feed, `records from offset ${offset} on cannot be decoded`);
  }

  #count(name: string, by: number): void {
    if (by > 0) this.#counts[name] = (this.#counts[name] ?? 0) + by;
  }
}
