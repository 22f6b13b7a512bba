/**
 * The line of publications that the stream is to keep: each message acknowledged by JetStream.
 *
 * On the path: batches -> STORED -> connection -> stream, and by the same message to whoever is subscribed just now.
 * Invariants: messages are sent in order, at most IN_FLIGHT_MAX unacknowledged; one that was not acknowledged is sent
 * again with all behind it, under the same id, so the stream keeps it once; `flushed` settles only when all so far are
 * acknowledged.
 * At the limit: when the line holds more than `bytesMax`, the oldest go, counted, and `flushed` rejects for RECENT_MS, so
 * that no owner believes them stored; before that, `busy` asks sources that can wait to do so.
 */
import { headers, type Msg, type NatsConnection, nuid } from "@nats-io/transport-node";
import type { Clock, Timer } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { NatsBusCounters } from "./counters.ts";
import { Line, type Parcel } from "./held.ts";

export interface StoredOptions {
  readonly clock: Clock;
  readonly counters: NatsBusCounters;
  readonly bytesMax: number;
  /** Makes sure that the stream takes these subjects. */
  readonly ensure: (connection: NatsConnection, subjects: readonly string[]) => Promise<void>;
  /** All subjects that will be stored, if that is known from the start: then no other is ever asked for. */
  readonly everything: string | null;
  /** Why nothing is stored now; once per cause. */
  readonly told: (error: string) => void;
}

const IN_FLIGHT_MAX = 1000;
const IN_FLIGHT_BYTES_MAX = 8 * 1024 * 1024;
/** Without an acknowledgement for so long, what is unacknowledged is sent again. */
const ACK_MS_MAX = 5000;
const RETRY_MS = 500;
/** Longer than an owner's pause between two checkpoints. */
const RECENT_MS = 2500;

interface Waiter {
  readonly number: number;
  readonly resolve: () => void;
  readonly reject: (error: GatewayError) => void;
}

export class Stored {
  readonly #options: StoredOptions;
  readonly #line = new Line();
  readonly #subjects = new Set<string>();
  /** Numbers acknowledged before older ones were. */
  readonly #early = new Set<number>();
  #connection: NatsConnection | null = null;
  /** Where acknowledgements come on this connection; '' while nothing is stored: a user may not be allowed to listen there. */
  #inbox = "";
  #ready = false;
  #preparing = false;
  #retry: Timer | null = null;
  #watch: Timer | null = null;
  #progressAt = 0;
  #lostAt = Number.NEGATIVE_INFINITY;
  #error = "";
  #waiters: Waiter[] = [];
  #room: PromiseWithResolvers<void> | null = null;

  constructor(options: StoredOptions) {
    this.#options = options;
    if (options.everything !== null) this.#subjects.add(options.everything);
  }

  get bytes(): number {
    return this.#line.bytes;
  }

  /** Messages that are not acknowledged. */
  get pending(): number {
    return this.#line.length;
  }

  /** The stream is there and takes what is pushed. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Why nothing can be stored; '' while it can. */
  get error(): string {
    return this.#error;
  }

  /** Null while there is room; else a promise that settles when there is again. */
  busy(): Promise<void> | null {
    if (this.#line.bytes <= this.#options.bytesMax / 2) return null;
    this.#room ??= Promise.withResolvers();
    return this.#room.promise;
  }

  up(connection: NatsConnection): void {
    this.#connection = connection;
    this.#inbox = "";
    if (this.#subjects.size > 0) this.#prepare();
  }

  down(): void {
    this.#connection = null;
    this.#stop();
  }

  /** One message, in parts if it is larger than the server takes. */
  push(subject: string, parts: readonly Uint8Array[], publications: number, id: string): void {
    const { clock, everything } = this.#options;
    if (everything === null && !this.#subjects.has(subject)) {
      this.#subjects.add(subject);
      this.#ready = false;
      this.#prepare();
    }
    this.#line.push({ subject, parts, publications, keep: true, at: clock.monotonicMs(), id: headerText(id) });
    this.#pump();
    this.#shed();
  }

  /** Settles when all so far is in the stream. Rejects with BUS_NOT_STORED if something is not. */
  flushed(): Promise<void> {
    const { clock } = this.#options;
    if (clock.monotonicMs() - this.#lostAt < RECENT_MS) return Promise.reject(notStored("some were dropped"));
    if (this.#line.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel();
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
      };
      const waiter: Waiter = {
        number: this.#line.newest,
        resolve: () => {
          end();
          resolve();
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      const timer = clock.after(ACK_MS_MAX, () =>
        waiter.reject(notStored(this.#error || `no acknowledgement within ${ACK_MS_MAX} ms`)),
      );
      this.#waiters.push(waiter);
    });
  }

  close(): void {
    this.#stop();
    for (const waiter of [...this.#waiters]) waiter.reject(notStored("the bus of this node is closed"));
  }

  // --- the stream -------------------------------------------------------------------------------------------------

  /** Asks for the stream and then sends; again and again until it works. */
  #prepare(): void {
    const connection = this.#connection;
    if (this.#preparing || connection === null || connection.isClosed()) return;
    if (this.#inbox === "") this.#listen(connection);
    this.#preparing = true;
    const asked = [...this.#subjects];
    this.#options.ensure(connection, asked).then(
      () => this.#prepared(connection, asked.length),
      (error: unknown) => this.#unprepared(connection, error),
    );
  }

  #listen(connection: NatsConnection): void {
    this.#inbox = `_INBOX.${nuid.next()}`;
    connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#acknowledged(message);
      },
    });
  }

  #prepared(connection: NatsConnection, subjects: number): void {
    this.#preparing = false;
    if (this.#connection !== connection || this.#subjects.size > subjects) {
      this.#prepare();
      return;
    }
    this.#error = "";
    this.#ready = true;
    this.#pump();
  }

  #unprepared(connection: NatsConnection, error: unknown): void {
    this.#preparing = false;
    if (this.#connection !== connection) this.#prepare();
    else this.#stall(`the stream cannot be had: ${error instanceof Error ? error.message : String(error)}`);
  }

  /** Nothing is sent until the stream was asked for again; then everything unacknowledged is. */
  #stall(error: string): void {
    if (error !== this.#error) this.#options.told(error);
    this.#error = error;
    this.#stop();
    this.#retry = this.#options.clock.after(RETRY_MS, () => {
      this.#retry = null;
      this.#prepare();
    });
  }

  #stop(): void {
    this.#ready = false;
    this.#retry?.cancel();
    this.#retry = null;
    this.#watch?.cancel();
    this.#watch = null;
    this.#options.counters.storedAgain += this.#line.sent;
    this.#early.clear();
    this.#line.rewind(() => true);
  }

  // --- messages ---------------------------------------------------------------------------------------------------

  #pump(): void {
    const connection = this.#connection;
    if (connection === null || !this.#ready) return;
    const { clock } = this.#options;
    for (;;) {
      const parcel = this.#line.oldestWaiting;
      if (parcel === null || this.#line.sent >= IN_FLIGHT_MAX || connection.isClosed()) break;
      if (this.#line.bytesSent > 0 && this.#line.bytesSent + parcel.bytes.length > IN_FLIGHT_BYTES_MAX) break;
      if (this.#line.sent === 0) this.#progressAt = clock.monotonicMs();
      if (this.#send(connection, parcel)) this.#line.send();
      else this.#lose();
    }
    if (this.#line.sent > 0) this.#watch ??= clock.after(ACK_MS_MAX, () => this.#look());
  }

  /** False if the library would not take it: then it never will. */
  #send(connection: NatsConnection, { number, subject, bytes, publications, id }: Parcel): boolean {
    const { counters, told } = this.#options;
    const named = headers();
    named.set("Nats-Msg-Id", id);
    try {
      connection.publish(subject, bytes, { reply: `${this.#inbox}.${number}`, headers: named });
    } catch (error) {
      // A server that takes less than the one before: what was split for that is too large for this one.
      told(error instanceof Error ? error.message : String(error));
      return false;
    }
    counters.messagesOut++;
    counters.bytesOut += bytes.length;
    counters.publicationsOut += publications;
    return true;
  }

  /** Whether acknowledgements still come. */
  #look(): void {
    this.#watch = null;
    if (this.#line.sent === 0) return;
    const silentMs = this.#options.clock.monotonicMs() - this.#progressAt;
    if (silentMs >= ACK_MS_MAX) this.#stall(`no acknowledgement of the stream for ${ACK_MS_MAX} ms`);
    else this.#watch = this.#options.clock.after(ACK_MS_MAX - silentMs, () => this.#look());
  }

  #acknowledged(message: Msg): void {
    const { counters, clock } = this.#options;
    const number = Number(message.subject.slice(this.#inbox.length + 1));
    const refusal = refusalIn(message);
    if (refusal !== null) {
      // One refusal stands for all that were sent behind it.
      if (this.#ready) this.#stall(refusal);
      return;
    }
    this.#progressAt = clock.monotonicMs();
    counters.stored++;
    if (message.data.length < 200 && Buffer.from(message.data).includes('"duplicate":true')) counters.storedBefore++;
    if (number >= this.#line.settled) this.#early.add(number);
    this.#confirm();
    this.#pump();
  }

  #confirm(): void {
    for (;;) {
      const oldest = this.#line.oldestSent;
      if (oldest === null || !this.#early.delete(oldest.number)) break;
      this.#line.confirmOldest();
    }
    this.#settle();
  }

  #settle(): void {
    const { settled, bytes } = this.#line;
    for (const waiter of [...this.#waiters]) if (waiter.number < settled) waiter.resolve();
    if (this.#room !== null && bytes < this.#options.bytesMax / 4) {
      this.#room.resolve();
      this.#room = null;
    }
  }

  #shed(): void {
    while (this.#line.bytes > this.#options.bytesMax && this.#line.oldestWaiting !== null) this.#lose();
  }

  /** The oldest message that waits is not stored any more. */
  #lose(): void {
    const { counters, clock } = this.#options;
    counters.dropped += this.#line.drop();
    this.#lostAt = clock.monotonicMs();
    for (const waiter of [...this.#waiters]) waiter.reject(notStored("some were dropped"));
    this.#settle();
  }
}

/** What the server has against a message; null if it is stored. */
function refusalIn({ data, headers: status }: Msg): string | null {
  if (status?.code === 503) return "no stream takes it, or JetStream is off";
  if (data.length === 0) return `the server answers ${status?.description ?? "nothing"}`;
  if (!Buffer.from(data).includes('"error"')) return null;
  return `the stream refuses it: ${Buffer.from(data).toString("utf8").slice(0, 200)}`;
}

/** A header's value is one line of printable text. */
const headerText = (id: string): string => (/^[\x21-\x7e]*$/.test(id) ? id : encodeURIComponent(id.toWellFormed()));

const notStored = (why: string): GatewayError =>
  new GatewayError("BUS_NOT_STORED", `publications are not in the stream: ${why}`);
