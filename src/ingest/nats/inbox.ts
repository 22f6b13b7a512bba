/**
 * The inbox of a core NATS subscription: what arrived and was not handed on yet. Core NATS cannot be paused.
 *
 * On the path: subscription -> INBOX -> source. Invariants: records keep their order; a loss stands where it happened,
 * behind what came before it and before what came after it; two losses without a record between them are one.
 * At the limit (records or bytes): what arrives is dropped and counted until half of it is taken, and a loss stands there.
 */

export interface Arrival {
  readonly topic: string;
  readonly value: Uint8Array;
  readonly receivedUs: number;
}

/** What came meanwhile is lost and cannot be replayed. */
export const LOSS = "loss";

export interface InboxLimits {
  readonly records: number;
  readonly bytes: number;
}

/** What one record costs beside its payload. */
const RECORD_BYTES = 128;

export class Inbox {
  readonly #limits: InboxLimits;
  #queue: (Arrival | typeof LOSS)[] = [];
  #at = 0;
  #bytes = 0;
  #full = false;
  /** Nothing came since the last loss, or at all. */
  #blank = true;
  #overflows = 0;
  #dropped = 0;

  constructor(limits: InboxLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#queue.length - this.#at;
  }

  /** Times that it was full. */
  get overflows(): number {
    return this.#overflows;
  }

  /** Records dropped because it was. */
  get dropped(): number {
    return this.#dropped;
  }

  push(arrival: Arrival): void {
    if (this.#full) {
      this.#dropped++;
      return;
    }
    const bytes = arrival.value.length + RECORD_BYTES;
    if (this.size >= this.#limits.records || this.#bytes + bytes > this.#limits.bytes) {
      this.#overflows++;
      this.#dropped++;
      this.lose();
      this.#full = this.size > 0;
      return;
    }
    this.#blank = false;
    this.#bytes += bytes;
    this.#queue.push(arrival);
  }

  /** What comes from here on does not continue what came before. */
  lose(): void {
    if (this.#blank) return;
    this.#blank = true;
    this.#queue.push(LOSS);
  }

  /** The oldest one not taken yet; null if there is none. */
  take(): Arrival | typeof LOSS | null {
    const next = this.#queue[this.#at];
    if (next === undefined) return null;
    this.#at++;
    if (next !== LOSS) this.#bytes -= next.value.length + RECORD_BYTES;
    if (this.#at === this.#queue.length) {
      this.#queue = [];
      this.#at = 0;
    } else if (this.#at >= 1024 && this.#at * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#at);
      this.#at = 0;
    }
    const { records, bytes } = this.#limits;
    if (this.#full && this.size <= records / 2 && this.#bytes <= bytes / 2) this.#full = false;
    return next;
  }
}
