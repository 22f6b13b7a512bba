/**
 * Pulls records from one JetStream consumer, a batch at a time, and checks that none is missing.
 *
 * On the path: subscription on the inbox -> PULL -> source. Invariants: records are taken in the order of the stream, each
 * once; the consumer's own numbers (1, 2, 3, ...) prove that nothing was lost on the way, whatever the stream's numbers do;
 * a jump of the stream's numbers is a `suspect`: other subjects have those between, or its limits have removed them;
 * whatever is odd makes the pull `broken`, and the source goes on with another consumer behind the last record.
 * At the limit: the next batch is asked for when less than half of one waits, so a busy sink stops the reading; at most
 * one and a half batches wait.
 */
import type { Msg, MsgHdrs } from "@nats-io/transport-node";

export const BATCH_RECORDS = 1024;
export const BATCH_BYTES = 8 * 1024 * 1024;
/** Beats come so often while a batch is asked for and nothing is there. */
export const BEAT_MS = 1000;
/** After a longer time without asking the stream is looked at first. */
const FULL_MS_MAX = 50;
const EXPIRES_MS = 15_000;

export interface Delivery {
  readonly seq: number;
  readonly topic: string;
  readonly value: Uint8Array;
  /** When the stream took it, ms. */
  readonly time: number;
  readonly receivedUs: number;
  /** Subject of its acknowledgement. */
  readonly reply: string;
}

/** What the server is asked: the API's own words, times in ns. */
export interface PullRequest {
  readonly batch: number;
  readonly max_bytes?: number;
  readonly expires: number;
  readonly idle_heartbeat: number;
}

export interface PullPorts {
  ask(request: PullRequest): void;
  /** Something happened: a record, or it is broken. */
  wake(): void;
  /** We did not ask for a while: whether the stream still has what comes next is to be looked at before `goOn`. */
  look(): void;
  /** A record that was taken before came again; it is not handed on. */
  again(seq: number, reply: string): void;
  nowMs(): number;
  wallUs(): number;
}

export interface PullStart {
  /** The consumer's number of the last record that it delivered: 0 of a new one. */
  readonly delivered: number;
  /** The stream's number of the last record taken: lower ones are not taken again. */
  readonly received: number;
  /** Bytes of one batch: more than any record has. */
  readonly bytes: number;
}

export class Pull {
  readonly #ports: PullPorts;
  #bytesMax: number | null;
  #queue: Delivery[] = [];
  #at = 0;
  #bytes = 0;
  /** Records still to come of the batch that was asked for; 0: none is. */
  #left = 0;
  /** Records of that batch. */
  #came = 0;
  #delivered: number;
  #received: number;
  /** How many were behind the newest record when it was sent. */
  #pending = 0;
  /** Since when there is no room to ask for more; null: there is. */
  #fullMs: number | null = null;
  #looking = false;
  #suspect: number | null = null;
  #heardMs: number;
  #recordMs: number;
  #broken: string | null = null;
  #gap = false;

  constructor(ports: PullPorts, { delivered, received, bytes }: PullStart) {
    this.#ports = ports;
    this.#delivered = delivered;
    this.#received = received;
    this.#bytesMax = bytes;
    this.#heardMs = this.#recordMs = ports.nowMs();
  }

  /** Why this consumer is not to be read from any more; what waits is good. */
  get broken(): string | null {
    return this.#broken;
  }

  /** It is broken because records did not arrive. */
  get gap(): boolean {
    return this.#gap;
  }

  get empty(): boolean {
    return this.#at === this.#queue.length;
  }

  /** Records that came and were not taken yet. */
  get waiting(): number {
    return this.#queue.length - this.#at;
  }

  get delivered(): number {
    return this.#delivered;
  }

  get received(): number {
    return this.#received;
  }

  get pending(): number {
    return this.#pending;
  }

  get isSuspect(): boolean {
    return this.#suspect !== null;
  }

  /** The number before the first jump that may hide removed records; null: there was none since it was asked last. */
  takeSuspect(): number | null {
    const suspect = this.#suspect;
    this.#suspect = null;
    return suspect;
  }

  /** It could not be looked into. */
  giveBack(suspect: number | null): void {
    this.#suspect = suspect ?? this.#suspect;
  }

  /** How long the server has not said a word though it was asked; 0 while it is not asked. */
  get silentMs(): number {
    return this.#left === 0 ? 0 : this.#ports.nowMs() - this.#heardMs;
  }

  /** How long no record has come though a batch is asked for. */
  get idleMs(): number {
    return this.#left === 0 ? 0 : this.#ports.nowMs() - this.#recordMs;
  }

  break(reason: string): void {
    if (this.#broken !== null) return;
    this.#broken = reason;
    this.#left = 0;
    this.#ports.wake();
  }

  /** Asks for a batch if none is on its way and there is room. */
  ask(): void {
    if (this.#broken !== null || this.#left > 0 || this.#looking) return;
    const now = this.#ports.nowMs();
    if (this.waiting > BATCH_RECORDS / 2 || this.#bytes > BATCH_BYTES / 2) {
      this.#fullMs ??= now;
      return;
    }
    if (this.#fullMs !== null && now - this.#fullMs > FULL_MS_MAX) {
      this.#looking = true;
      this.#ports.look();
      return;
    }
    this.#goOn();
  }

  /** The stream still has what comes next. */
  goOn(): void {
    if (!this.#looking || this.#broken !== null) return;
    this.#goOn();
  }

  #goOn(): void {
    this.#looking = false;
    this.#fullMs = null;
    this.#left = BATCH_RECORDS;
    this.#came = 0;
    this.#heardMs = this.#recordMs = this.#ports.nowMs();
    this.#ports.ask({
      batch: BATCH_RECORDS,
      ...(this.#bytesMax === null ? {} : { max_bytes: this.#bytesMax }),
      expires: EXPIRES_MS * 1e6,
      idle_heartbeat: BEAT_MS * 1e6,
    });
  }

  /** The oldest record not taken yet; null if there is none. */
  take(): Delivery | null {
    const next = this.#queue[this.#at];
    if (next === undefined) return null;
    this.#at++;
    this.#bytes -= next.value.length;
    if (this.#at === this.#queue.length) {
      this.#queue = [];
      this.#at = 0;
    }
    this.ask();
    return next;
  }

  /** What came on the inbox. */
  heard(message: Pick<Msg, "subject" | "data" | "reply" | "headers">): void {
    if (this.#broken !== null) return;
    this.#heardMs = this.#ports.nowMs();
    if (message.reply?.startsWith("$JS.ACK.")) this.#record(message.subject, message.data, message.reply);
    else this.#word(message.headers);
  }

  #record(topic: string, value: Uint8Array, reply: string): void {
    const { seq, consumerSeq, timeMs, pending } = parseReply(reply);
    if (consumerSeq !== this.#delivered + 1) {
      this.#missing(consumerSeq - 1);
      return;
    }
    if (seq > this.#received + 1 && this.#received > 0) this.#suspect ??= this.#received;
    this.#delivered = consumerSeq;
    this.#pending = pending;
    this.#came++;
    this.#recordMs = this.#heardMs;
    if (this.#left > 0) this.#left--;
    if (seq <= this.#received) this.#ports.again(seq, reply);
    else {
      this.#received = seq;
      this.#bytes += value.length;
      this.#queue.push({ seq, topic, value, time: timeMs, receivedUs: this.#ports.wallUs(), reply });
    }
    this.ask();
    this.#ports.wake();
  }

  /** A word of the server itself. */
  #word(headers: MsgHdrs | undefined): void {
    const code = headers?.code ?? 0;
    const text = headers?.description ?? "";
    if (code === 100) this.#beat(headers);
    else if (code === 404 || code === 408) this.#over();
    else if (code === 409 && /exceeds maxbytes/i.test(text)) {
      // A record greater than a whole batch: without that limit it comes.
      if (this.#came === 0) this.#bytesMax = null;
      this.#over();
    } else if (code === 409 && /batch completed/i.test(text)) this.#over();
    else this.break(code === 503 ? "the consumer is gone" : `the server says: ${code} ${text}`);
  }

  /** A beat says what the consumer has delivered. */
  #beat(headers: MsgHdrs | undefined): void {
    const delivered = Number(headers?.get("Nats-Last-Consumer") || Number.NaN);
    if (delivered > this.#delivered) this.#missing(delivered);
  }

  #missing(last: number): void {
    this.#gap = true;
    this.break(`records ${this.#delivered + 1} to ${last} of the consumer did not arrive`);
  }

  #over(): void {
    this.#left = 0;
    this.ask();
  }
}

/** `$JS.ACK.<stream>.<consumer>.<n>.<seq>.<consumer seq>.<ns>.<pending>`, or with domain and account in front of these. */
export function parseReply(reply: string): { seq: number; consumerSeq: number; timeMs: number; pending: number } {
  const parts = reply.split(".");
  const at = parts.length >= 11 ? 7 : 5;
  return {
    seq: Number(parts[at]),
    consumerSeq: Number(parts[at + 1]),
    // Nanoseconds have more digits than a number holds.
    timeMs: Number((parts[at + 2] ?? "").slice(0, -6)),
    pending: Number(parts[at + 3]),
  };
}
