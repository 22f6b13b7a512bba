/**
 * The outbox of the NATS bus: what other nodes are to hear, given to the server as fast as it takes it.
 *
 * On the path: batches, heads, asking -> OUTBOX -> connection.
 * Invariants: everything leaves in the order it came; no more than `windowBytes` are with the server unconfirmed (it
 * confirms by answering a ping), so a server that hangs cannot fill this node's memory; after a reconnect publications
 * that were not confirmed are sent again (receivers drop what they have), HEADs, requests and answers are not.
 * At the limit: of messages that wait, the oldest go when they are older than `heldMsMax` or all hold more than
 * `heldBytesMax`; the newest stays however large it is, else an answer of that size would never leave. Publications that
 * go are counted and healed by the followers.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Clock, Timer } from "../../lib/clock.ts";
import type { NatsBusCounters } from "./counters.ts";
import { Line, type Parcel } from "./held.ts";

export interface OutboxOptions {
  readonly clock: Clock;
  readonly counters: NatsBusCounters;
  readonly heldBytesMax: number;
  readonly heldMsMax: number;
  readonly windowBytes: number;
  /** The library would not take a message. */
  readonly refused: (error: unknown) => void;
}

/** Bytes, or ms, after which the server is asked to confirm. */
const CONFIRM_BYTES = 64 * 1024;
const CONFIRM_MS = 20;
/** A server that does not confirm for so long keeps nobody waiting: plain NATS promises nothing anyway. */
const FLUSH_MS_MAX = 1000;

interface Waiter {
  /** Number of the entry whose confirmation settles it. */
  readonly number: number;
  readonly settle: () => void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #line = new Line();
  #connection: NatsConnection | null = null;
  #waiters: Waiter[] = [];
  /** Sent since the server was asked last. */
  #unasked = 0;
  #asking = false;
  #lastSent = -1;
  #timer: Timer | null = null;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Bytes that wait or are unconfirmed. */
  get bytes(): number {
    return this.#line.bytes;
  }

  up(connection: NatsConnection): void {
    this.#connection = connection;
    this.#asking = false;
    this.#unasked = 0;
    this.#expire();
    this.#pump();
  }

  down(): void {
    this.#connection = null;
    this.#timer?.cancel();
    this.#timer = null;
    this.#line.rewind(({ keep }) => keep);
    this.#settle(true);
  }

  /** One message, in parts if it is larger than the server takes. */
  push(subject: string, parts: readonly Uint8Array[], publications: number, keep: boolean): void {
    if (this.#connection === null && !keep) return;
    const at = this.#options.clock.monotonicMs();
    this.#line.push({ subject, parts, publications, keep, at, id: "" });
    this.#pump();
    this.#expire();
  }

  /** Settles when the server has everything put in line so far; after FLUSH_MS_MAX, or without a connection, it settles too. */
  flushed(): Promise<void> {
    if (this.#line.length === 0 || this.#connection === null) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        timer.cancel();
        resolve();
      };
      const waiter: Waiter = { number: this.#line.newest, settle };
      const timer = this.#options.clock.after(FLUSH_MS_MAX, () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        resolve();
      });
      this.#waiters.push(waiter);
      this.#ask();
    });
  }

  #pump(): void {
    const connection = this.#connection;
    if (connection === null) return;
    for (;;) {
      const parcel = this.#line.oldestWaiting;
      if (parcel === null || (this.#line.bytesSent > 0 && this.#isFull(parcel))) break;
      if (connection.isClosed()) break;
      if (this.#send(connection, parcel)) {
        this.#line.send();
        this.#lastSent = parcel.number;
      } else this.#options.counters.dropped += this.#line.drop();
    }
    if (this.#line.sent === 0) return;
    if (this.#unasked >= CONFIRM_BYTES || this.#line.oldestWaiting !== null) this.#ask();
    else this.#timer ??= this.#options.clock.after(CONFIRM_MS, () => this.#ask());
  }

  #isFull({ bytes }: Parcel): boolean {
    return this.#line.bytesSent + bytes.length > this.#options.windowBytes;
  }

  /** False if the library would not take it. */
  #send(connection: NatsConnection, { subject, bytes, publications }: Parcel): boolean {
    const { counters } = this.#options;
    try {
      connection.publish(subject, bytes);
    } catch (error) {
      // A server that takes less than the one before: what was split for that is too large for this one.
      this.#options.refused(error);
      return false;
    }
    this.#unasked += bytes.length;
    counters.messagesOut++;
    counters.bytesOut += bytes.length;
    counters.publicationsOut += publications;
    return true;
  }

  /** Asks the server to confirm what it was sent; one question at a time. */
  #ask(): void {
    this.#timer?.cancel();
    this.#timer = null;
    const connection = this.#connection;
    if (connection === null || this.#asking || connection.isClosed()) return;
    this.#asking = true;
    this.#unasked = 0;
    const upTo = this.#lastSent;
    connection.flush().then(
      () => this.#connection === connection && this.#confirmed(upTo),
      // The connection is gone: `down` follows.
      () => undefined,
    );
  }

  #confirmed(upTo: number): void {
    this.#asking = false;
    while ((this.#line.oldestSent?.number ?? Number.POSITIVE_INFINITY) <= upTo) this.#line.confirmOldest();
    this.#settle(false);
    this.#pump();
    if (this.#waiters.length > 0) this.#ask();
  }

  #settle(all: boolean): void {
    const done = this.#waiters.filter(({ number }) => all || number < this.#line.settled);
    if (done.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => !done.includes(waiter));
    for (const { settle } of done) settle();
  }

  /** Drops what waited too long or is too much. */
  #expire(): void {
    const { clock, heldBytesMax, heldMsMax, counters } = this.#options;
    const oldestMs = clock.monotonicMs() - heldMsMax;
    for (;;) {
      const oldest = this.#line.oldestWaiting;
      const isTooMuch = this.#line.bytes > heldBytesMax && !this.#line.isLastWaiting;
      if (oldest === null || !(isTooMuch || oldest.at < oldestMs)) break;
      counters.dropped += this.#line.drop();
    }
    this.#settle(false);
  }
}
