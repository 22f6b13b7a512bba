/**
 * Source `jetstream`: one subject of a stream, wildcards allowed.
 *
 * On the path: stream -> session -> JETSTREAM SOURCE -> pipeline. The record's offset is its number in the stream, its
 * value a BrokerRecord with its own subject.
 * Invariants: offsets rise strictly within an epoch and a replay repeats them; whatever happens to server, connection or
 * consumer, reading goes on behind the last record that was handed on; where that cannot be had any more (the stream was
 * made again, its limits removed records, it lost its end) an `epoch` record comes first.
 * At the limit: a busy sink stops the asking for more (pull.ts); what is wrong is tried again for ever.
 */
import { createBackoff } from "../../lib/backoff.ts";
import { type Clock, wallMs } from "../../lib/clock.ts";
import type { NatsLink } from "../../lib/nats.ts";
import type { BrokerRecord, BrokerState } from "../broker.ts";
import type { DeadLetters } from "../nats/dead-letters.ts";
import type { IngestLog } from "../sampled-log.ts";
import type { Offset, RecordSink, Source, SourceState, SourceStatus } from "../source.ts";
import { sleep, turn, untilReady } from "../wait.ts";
import { Wake } from "../wake.ts";
import type { Begin } from "./consumer.ts";
import { keepsForConsumers } from "./place.ts";
import type { Delivery } from "./pull.ts";
import { type JetstreamTimes, Session } from "./session.ts";
import { type StreamChoice, sentenceOf } from "./streams.ts";

export interface JetstreamSourceOptions {
  /** The data source's name. */
  readonly name: string;
  readonly choice: StreamChoice;
  readonly begin: Begin;
  /** Name of its durable consumer while it runs; null: none. */
  readonly claimDurable: () => string | null;
  readonly releaseDurable: (name: string) => void;
  /** Of the stream as it was found. */
  readonly incarnation: string;
  /** It was made again. */
  readonly renewed: (incarnation: string) => void;
  readonly link: NatsLink;
  /** The connection's. */
  readonly state: () => BrokerState;
  readonly deadLetters: DeadLetters;
  readonly times: JetstreamTimes;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: IngestLog;
  /** Aborted when the broker is closed. */
  readonly closed: AbortSignal;
  /** The stream cannot be read, with the reason; null: it can. */
  readonly missing: (reason: string | null) => void;
}

/** Records handed on before the event loop gets its turn and the sink is asked again. */
const BATCH = 256;
const ACKS_BATCH = 1024;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2000;
/** A session that lasted so long was a good one: the next pause is short again. */
const GOOD_MS = 10_000;

export class JetstreamSource implements Source {
  readonly name: string;
  readonly replayable = true;
  readonly #options: JetstreamSourceOptions;
  readonly #wake = new Wake();
  #incarnation: string;
  /** The stream was made again since the checkpoint there is. */
  #isNew = false;
  #running = false;
  #session: Session | null = null;
  /** Why there is none, and since how many attempts. */
  #failure: { readonly error: string; readonly attempt: number; readonly retryAt: number } | null = null;
  /** Number in the stream of what was read last; null: nothing yet. */
  #position: number | null = null;
  #through = 0;
  /** The last session ended because records were gone that were not read yet. */
  #passed = false;
  /** Everything up to this number is stored; null: nothing yet. */
  #committed: number | null = null;
  /** Offset of the last record of this epoch. */
  #offset: Offset | null = null;
  #newest: { readonly time: number; readonly lagMs: number } | null = null;
  #records = 0;
  #sessions = 0;
  #acknowledged = 0;
  readonly #counts = { stalled: 0, gaps: 0 };
  readonly #epochs = { recreated: 0, expired: 0, rewound: 0 };

  constructor(options: JetstreamSourceOptions) {
    this.name = options.name;
    this.#options = options;
    this.#incarnation = options.incarnation;
  }

  get incarnation(): string {
    return this.#incarnation;
  }

  status(): SourceStatus {
    return {
      state: this.#state(),
      lagMs: this.#lagMs(),
      lagRecords: this.#session === null ? null : this.#session.pull.pending + this.#session.pull.waiting,
      records: this.#records,
      reconnects: Math.max(0, this.#sessions - 1),
      counts: {
        ...this.#counts,
        ...this.#epochs,
        acknowledged: this.#acknowledged + (this.#session?.acks.sent ?? 0),
        ...this.#options.deadLetters.counts,
      },
    };
  }

  madeAnew(): void {
    this.#isNew = true;
  }

  deadLetter(value: unknown, reason: string): void {
    this.#options.deadLetters.send(value, reason);
  }

  commit(offset: Offset): void {
    this.#committed = offset;
    this.#session?.acks.commit(offset);
    this.#wake.call();
  }

  async run(sink: RecordSink, from: Offset | null, signal: AbortSignal, position?: string | null): Promise<void> {
    const { closed, link, claimDurable, releaseDurable } = this.#options;
    const either = AbortSignal.any([signal, closed]);
    this.#offset = from;
    this.#position = from ?? numberOf(position) ?? (this.#isNew ? 0 : null);
    this.#committed = this.#position;
    this.#through = 0;
    this.#passed = false;
    this.#running = true;
    const durable = claimDurable();
    const watching = link.watch({
      up: () => undefined,
      down: (reason) => this.#session?.pull.break(`the connection was lost: ${reason}`),
    });
    either.addEventListener("abort", this.#wake.call);
    try {
      await this.#readOn(sink, durable, either);
    } finally {
      either.removeEventListener("abort", this.#wake.call);
      watching.close();
      if (durable !== null) releaseDurable(durable);
      this.#running = false;
      this.#failure = null;
    }
  }

  /** Session after session, until aborted. */
  async #readOn(sink: RecordSink, durable: string | null, signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#options;
    const backoff = createBackoff(RETRY_MIN_MS, RETRY_MAX_MS, random);
    while (!signal.aborted) {
      let error: string;
      const session = await this.#open(durable, signal);
      if (session instanceof Session) {
        const since = clock.monotonicMs();
        try {
          error = await this.#read(session, sink, signal);
        } finally {
          this.#end(session);
        }
        if (clock.monotonicMs() - since > GOOD_MS) backoff.reset();
      } else error = session;
      if (signal.aborted) return;
      const pauseMs = backoff.next();
      if (error !== this.#failure?.error) log.warn("stream is not read", { source: this.name, ...this.#where, error });
      this.#failure = { error, attempt: backoff.attempts, retryAt: wallMs(clock) + Math.ceil(pauseMs) };
      await sleep(clock, pauseMs, signal);
    }
  }

  get #where(): Readonly<Record<string, unknown>> {
    const { subject, stream } = this.#options.choice;
    return { subject, ...(stream === null ? {} : { stream }) };
  }

  /** A session, or why there is none. */
  async #open(durable: string | null, signal: AbortSignal): Promise<Session | string> {
    const { link, choice, begin, clock, times, missing } = this.#options;
    try {
      const connection = await link.connected(signal);
      const session = await Session.open(
        { connection, choice, begin, durable, clock, times, wake: this.#wake.call },
        {
          incarnation: this.#incarnation,
          position: this.#position,
          through: this.#through,
          passed: this.#passed,
          committed: this.#committed,
          isKept: (stream) => durable !== null && keepsForConsumers(stream),
        },
      );
      missing(null);
      return session;
    } catch (cause) {
      if (signal.aborted) return "aborted";
      const { message } = sentenceOf(cause, choice);
      // Without a connection nobody knows what the stream is like.
      if (link.connection !== null) missing(message);
      return message;
    }
  }

  /** Until the session is broken and all it gave is handed on; returns why it ended. */
  async #read(session: Session, sink: RecordSink, signal: AbortSignal): Promise<string> {
    const { place, pull } = session;
    if (signal.aborted) return "aborted";
    if (place.broken !== null) {
      await untilReady(sink, signal);
      if (signal.aborted) return "aborted";
      this.#begin(session, sink);
    }
    this.#position = session.began;
    this.#session = session;
    this.#sessions++;
    this.#failure = null;
    while (!signal.aborted) {
      await untilReady(sink, signal);
      if (signal.aborted) break;
      const empty = this.#hand(session, sink);
      const more = session.acknowledge(ACKS_BATCH);
      if (empty && pull.broken !== null) return pull.broken;
      if (empty && !more) await this.#wake.wait();
      else await turn();
    }
    return "aborted";
  }

  /** Hands on one batch; true when nothing is left. */
  #hand(session: Session, sink: RecordSink): boolean {
    for (let i = 0; i < BATCH; i++) {
      const next = session.pull.take();
      if (next === null) {
        this.#mark(session, sink);
        return true;
      }
      this.#take(session, next, sink);
    }
    return false;
  }

  #take(session: Session, { seq, topic, value, time, receivedUs, reply }: Delivery, sink: RecordSink): void {
    session.acks.handed(seq, reply);
    this.#records++;
    this.#position = seq;
    this.#offset = seq;
    this.#newest = { time, lagMs: Math.max(0, wallMs(this.#options.clock) - time) };
    const record: BrokerRecord = { topic, key: null, value, time };
    sink.accept({ type: "data", offset: seq, receivedUs, value: record });
  }

  /**
   * A record that only moves the position: on a stream of many subjects a quiet one would fall behind what the stream
   * keeps, and nobody could tell later that nothing of it was lost.
   */
  #mark(session: Session, sink: RecordSink): void {
    const mark = session.takeMark();
    if (mark === null || mark <= (this.#position ?? 0) || mark <= (this.#offset ?? -1)) return;
    this.#records++;
    this.#position = mark;
    this.#offset = mark;
    sink.accept({ type: "clock", offset: mark, receivedUs: this.#options.clock.wallUs(), time: 0 });
  }

  /** What comes does not continue what was read: a new epoch. */
  #begin(session: Session, sink: RecordSink): void {
    const { place } = session;
    if (place.broken === null) return;
    const { cause, sentence } = place.broken;
    const { clock, log } = this.#options;
    this.#epochs[cause]++;
    log.warn(`a new epoch begins: ${sentence}`, { source: this.name, ...this.#where });
    const offset = (this.#offset ?? -1) + 1;
    this.#records++;
    this.#offset = null;
    this.#through = 0;
    this.#passed = false;
    this.#incarnation = session.incarnation;
    this.#options.renewed(session.incarnation);
    this.#committed = place.position;
    sink.accept({ type: "epoch", offset, receivedUs: clock.wallUs(), position: String(place.position) });
  }

  #end(session: Session): void {
    this.#session = null;
    this.#acknowledged += session.acks.sent;
    this.#through = Math.max(this.#through, session.through);
    this.#passed = session.passed;
    if (session.pull.gap) this.#counts.gaps++;
    if (session.stalled) this.#counts.stalled++;
    session.close();
  }

  #state(): SourceState {
    if (!this.#running) return { name: "idle" };
    if (this.#session !== null && this.#session.pull.broken === null) return { name: "connected" };
    const state = this.#options.state();
    if (state.name !== "connected") return state;
    const { error = "", attempt = 0, retryAt = wallMs(this.#options.clock) } = this.#failure ?? {};
    return { name: "connecting", attempt: attempt + 1, retryAt, error };
  }

  /** While nothing waits in the stream it stands at what the last record had. */
  #lagMs(): number | null {
    if (this.#newest === null) return null;
    const behind = this.#session === null || this.#session.pull.pending > 0 || !this.#session.pull.empty;
    return behind ? Math.max(0, wallMs(this.#options.clock) - this.#newest.time) : this.#newest.lagMs;
  }
}

const numberOf = (position: string | null | undefined): number | null =>
  position !== null && position !== undefined && /^\d{1,15}$/.test(position) ? Number(position) : null;
