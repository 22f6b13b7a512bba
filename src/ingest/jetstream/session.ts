/**
 * One consumer that is read from, from its making to its end, and the looks at the stream beside it.
 *
 * On the path: stream -> SESSION (pull) -> source. Invariant: a session only ends; going on is the source's matter.
 * Found out here: a server that is silent, a consumer that is gone, a stream made again, limits that pass us by, and a
 * consumer that gives nothing though the stream moves.
 */

import { DeliverPolicy, type JetStreamManager, type StreamInfo } from "@nats-io/jetstream";
import { createInbox, type NatsConnection, type Subscription } from "@nats-io/transport-node";
import type { Clock } from "../../lib/clock.ts";
import { sleep } from "../wait.ts";
import { Acks } from "./acks.ts";
import { type Begin, type MadeConsumer, makeConsumer, removeConsumer } from "./consumer.ts";
import { incarnationOf, keepsForConsumers, type Place, placeOf, type Read } from "./place.ts";
import { BATCH_BYTES, BEAT_MS, Pull } from "./pull.ts";
import { apiPrefix, findStream, managerOf, type StreamChoice } from "./streams.ts";

export interface SessionOptions {
  readonly connection: NatsConnection;
  readonly choice: StreamChoice;
  readonly begin: Begin;
  /** Null: a consumer that vanishes. */
  readonly durable: string | null;
  readonly clock: Clock;
  readonly wake: () => void;
  readonly times: JetstreamTimes;
}

export interface JetstreamTimes {
  /** How often the stream, and a consumer that gives nothing, are looked at. */
  readonly lookMs: number;
}

export const TIMES: JetstreamTimes = { lookMs: 5000 };

/** No beat for so long: the server, or the way to it, is dead. */
const SILENT_MS_MAX = 3.5 * BEAT_MS;
const TICK_MS = 250;
/** A jump of the numbers is looked into so soon: limits that remove faster than this look like a loss. */
const SUSPECT_MS = 1000;
/** So many records of other subjects behind our last one are worth a mark. */
const MARK_RECORDS = 1000;

export class Session {
  readonly place: Place;
  readonly incarnation: string;
  readonly acks: Acks;
  readonly pull: Pull;
  readonly #options: SessionOptions;
  readonly #manager: JetStreamManager;
  readonly #consumer: MadeConsumer;
  readonly #stream: string;
  readonly #ended = new AbortController();
  readonly #subscription: Subscription;
  readonly #isKept: boolean;
  #passed = false;
  #stalled = false;
  #through = 0;
  #mark: number | null = null;

  /** Finds the stream, judges where to go on, and makes the consumer. Rejects with a reason. */
  static async open(options: SessionOptions, read: Read): Promise<Session> {
    const { connection, choice, begin, durable } = options;
    const manager = await managerOf(connection, choice.domain);
    const stream = await findStream(manager, choice);
    const place = placeOf(stream, read);
    const committed = place.broken === null ? read.committed : place.position;
    const position = durable === null ? place.position : committed;
    const consumer = await makeConsumer(manager, { stream, subject: choice.subject, position, begin, durable });
    const acks = new Acks(consumer.acks, committed ?? 0);
    return new Session(options, manager, place, consumer, acks, stream);
  }

  private constructor(
    options: SessionOptions,
    manager: JetStreamManager,
    place: Place,
    consumer: MadeConsumer,
    acks: Acks,
    stream: StreamInfo,
  ) {
    this.#options = options;
    this.#manager = manager;
    this.#consumer = consumer;
    this.#stream = consumer.info.stream_name;
    this.incarnation = incarnationOf(stream);
    this.#isKept = keepsForConsumers(stream);
    this.place = place;
    this.acks = acks;
    const { connection, choice, clock, wake } = options;
    const inbox = createInbox();
    const next = `${apiPrefix(choice.domain)}.CONSUMER.MSG.NEXT.${this.#stream}.${consumer.name}`;
    this.pull = new Pull(
      {
        ask: (request) => this.#publish(next, JSON.stringify(request), inbox),
        wake,
        look: () => void this.#lookBefore(),
        again: (seq, reply) => {
          this.acks.again(seq, reply);
          wake();
        },
        nowMs: () => clock.monotonicMs(),
        wallUs: () => clock.wallUs(),
      },
      { delivered: 0, received: this.began ?? 0, bytes: Math.max(BATCH_BYTES, 2 * maxPayload(connection)) },
    );
    this.#subscription = connection.subscribe(inbox, {
      callback: (error, message) => (error === null ? this.pull.heard(message) : this.pull.break(error.message)),
    });
    this.pull.ask();
    void this.#watch();
  }

  /** Everything up to here was read before or is not wanted; null: that cannot be said by a number. */
  get began(): number | null {
    if (this.#options.begin.policy === DeliverPolicy.LastPerSubject) return this.place.position;
    return this.place.position ?? this.#consumer.info.delivered.stream_seq;
  }

  /** It ended because the stream's limits removed records that were not read. */
  get passed(): boolean {
    return this.#passed;
  }

  /** It ended because the consumer gave nothing though there was something. */
  get stalled(): boolean {
    return this.#stalled;
  }

  /** Up to this number of the stream nothing more is on our subject; 0: not known. */
  get through(): number {
    return this.#through;
  }

  /** A number of the stream that may be handed on as a mark, so that we do not seem to be far behind; once. */
  takeMark(): number | null {
    const mark = this.#mark;
    this.#mark = null;
    return mark;
  }

  /** Sends acknowledgements that are due; true if more are. */
  acknowledge(most: number): boolean {
    for (const reply of this.acks.take(most)) this.#publish(reply, "");
    return this.acks.due > 0;
  }

  /** A connection that has just ended takes nothing any more; that it has is told a moment later. */
  #publish(subject: string, text: string, reply?: string): void {
    try {
      this.#options.connection.publish(subject, text, reply === undefined ? {} : { reply });
    } catch (error) {
      this.pull.break(error instanceof Error ? error.message : String(error));
    }
  }

  /** Removes what vanishes anyhow, if the server can still be asked. */
  close(): void {
    this.#ended.abort();
    this.pull.break("closed");
    if (this.#options.connection.isClosed()) return;
    this.#subscription.unsubscribe();
    if (this.#consumer.durable) return;
    // If it fails the server removes it later.
    removeConsumer(this.#manager, this.#stream, this.#consumer.name).catch(() => undefined);
  }

  /** Looks at the beats often and at the stream from time to time, until the session ends. */
  async #watch(): Promise<void> {
    const { clock } = this.#options;
    const { lookMs } = this.#options.times;
    const { signal } = this.#ended;
    let lookedMs = clock.monotonicMs();
    while (!signal.aborted && this.pull.broken === null) {
      await sleep(clock, Math.min(TICK_MS, lookMs), signal);
      if (signal.aborted) return;
      if (this.pull.silentMs > SILENT_MS_MAX) await this.#breakIfSilent();
      const dueMs = this.pull.isSuspect ? Math.min(SUSPECT_MS, lookMs) : lookMs;
      if (clock.monotonicMs() < lookedMs + dueMs) continue;
      lookedMs = clock.monotonicMs();
      const suspect = this.pull.takeSuspect();
      try {
        await this.#look(suspect);
      } catch (error) {
        this.pull.giveBack(suspect);
        // While records or beats come, a question that nobody answers is no reason to begin anew.
        if (this.pull.silentMs > BEAT_MS * 2 || this.pull.idleMs > lookMs) {
          this.pull.break(error instanceof Error ? error.message : String(error));
        }
      }
    }
  }

  /** What this thread was too busy to hear is heard first. */
  async #breakIfSilent(): Promise<void> {
    await sleep(this.#options.clock, BEAT_MS / 4, this.#ended.signal);
    const { silentMs } = this.pull;
    if (silentMs > SILENT_MS_MAX) this.pull.break(`the server has said nothing for ${Math.round(silentMs / 1000)} s`);
  }

  /** We did not ask for a while: is what comes next still there? */
  async #lookBefore(): Promise<void> {
    try {
      const info = await this.#manager.streams.info(this.#stream);
      if (incarnationOf(info) !== this.incarnation) this.pull.break(`stream ${this.#stream} was made again`);
      else if (!this.#hasPassed(info.state.first_seq, this.pull.received)) this.pull.goOn();
    } catch (error) {
      this.pull.break(error instanceof Error ? error.message : String(error));
    }
  }

  /** Breaks and says true if the limits have removed something behind `read`. */
  #hasPassed(first: number, read: number): boolean {
    if (this.#isKept || first <= Math.max(read, this.#through) + 1) return false;
    this.#passed = true;
    this.pull.break(`the limits of stream ${this.#stream} have removed records before they were read`);
    return true;
  }

  /** `suspect`: behind this number records may have been removed. */
  async #look(suspect: number | null): Promise<void> {
    const { pull } = this;
    const { clock, times, wake } = this.#options;
    const info = await this.#manager.streams.info(this.#stream);
    if (incarnationOf(info) !== this.incarnation) {
      pull.break(`stream ${this.#stream} was made again`);
      return;
    }
    const { first_seq: first, last_seq: last } = info.state;
    if (suspect !== null && this.#hasPassed(first, suspect)) return;
    if (pull.idleMs < times.lookMs / 2 || this.acks.full) return;
    const { delivered } = pull;
    const consumer = await this.#manager.consumers.info(this.#stream, this.#consumer.name);
    // What was on its way meanwhile says that all is well.
    await sleep(clock, Math.min(BEAT_MS, times.lookMs) / 4, this.#ended.signal);
    if (this.#ended.signal.aborted || pull.delivered !== delivered || pull.broken !== null) return;
    if (consumer.delivered.consumer_seq > delivered || consumer.num_pending > 0) {
      if (pull.idleMs < times.lookMs / 2) return;
      this.#stalled = true;
      pull.break(`the consumer gives nothing, though ${consumer.num_pending || "some"} records wait for it`);
      return;
    }
    this.#through = Math.max(this.#through, last);
    // Past the middle of what the stream keeps its limits would soon pass us.
    const done = Math.max(pull.received, this.place.position ?? 0);
    if (last - done >= MARK_RECORDS && last - done > (last - first) / 2) {
      this.#mark = last;
      wake();
    }
  }
}

const maxPayload = (connection: NatsConnection): number => connection.info?.max_payload ?? 1024 * 1024;
