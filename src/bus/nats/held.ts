/**
 * What is to leave this node, in order: sent and not yet confirmed, then waiting.
 *
 * Invariants: each parcel has a number above all before it; what was sent stays until it is confirmed, so that it can be
 * sent again on the next connection, and counts as sent until then.
 * At the limit: the owner of the line (outbox.ts, stored.ts) takes the oldest message of those that wait out and counts it,
 * whole: what is left of a message that lost a part is of no use to anybody.
 */

/** A message in as many parts as the server wants: a parcel each. */
export interface Message {
  readonly subject: string;
  readonly parts: readonly Uint8Array[];
  /** Publications in it; 0 of HEADs, requests and answers. */
  readonly publications: number;
  readonly keep: boolean;
  readonly at: number;
  readonly id: string;
}

export interface Parcel {
  readonly number: number;
  /** Number of the first parcel of its message. */
  readonly message: number;
  readonly subject: string;
  readonly bytes: Uint8Array;
  /** Publications that end in it; 0 of HEADs, requests and answers, and of all but the last part of a split message. */
  readonly publications: number;
  /** Worth sending on the next connection: publications, not HEADs, requests and answers, which are of their moment. */
  readonly keep: boolean;
  /** Monotonic ms at which it was put in line. */
  readonly at: number;
  /** What names it in the stream; '' where nothing is stored. */
  readonly id: string;
}

export class Line {
  readonly #sent = new Fifo();
  readonly #waiting = new Fifo();
  #numbers = 0;
  /** The newest. */
  #message = -1;

  get length(): number {
    return this.#sent.length + this.#waiting.length;
  }

  get bytes(): number {
    return this.#sent.bytes + this.#waiting.bytes;
  }

  /** Only one message waits, or what is left of it. */
  get isLastWaiting(): boolean {
    return this.#waiting.oldest !== null && this.#waiting.oldest.message === this.#message;
  }

  /** Parcels sent and not confirmed, and their bytes. */
  get sent(): number {
    return this.#sent.length;
  }

  get bytesSent(): number {
    return this.#sent.bytes;
  }

  /** Number of the newest that was ever put in line; -1 before. */
  get newest(): number {
    return this.#numbers - 1;
  }

  /** All with a lower number are confirmed or taken out. */
  get settled(): number {
    return this.#sent.oldest?.number ?? this.#waiting.oldest?.number ?? this.#numbers;
  }

  get oldestSent(): Parcel | null {
    return this.#sent.oldest;
  }

  /** The next to be sent. */
  get oldestWaiting(): Parcel | null {
    return this.#waiting.oldest;
  }

  push({ parts, publications, id, ...same }: Message): void {
    const message = this.#numbers;
    this.#message = message;
    for (const [at, bytes] of parts.entries()) {
      const isLast = at === parts.length - 1;
      const named = { publications: isLast ? publications : 0, id: isLast || id === "" ? id : `${id}#${at}` };
      this.#waiting.push({ ...same, ...named, bytes, message, number: this.#numbers++ });
    }
  }

  /** The next one was sent. */
  send(): void {
    const parcel = this.#waiting.shift();
    if (parcel !== null) this.#sent.push(parcel);
  }

  confirmOldest(): void {
    this.#sent.shift();
  }

  /** Takes out the oldest that was not sent, and what follows of its message; returns the publications that are lost. */
  drop(): number {
    const { oldest } = this.#waiting;
    let publications = 0;
    while (oldest !== null && this.#waiting.oldest?.message === oldest.message) {
      publications += this.#waiting.shift()?.publications ?? 0;
    }
    return publications;
  }

  /** Nothing was sent, as far as anybody knows. What `keep` refuses is taken out. */
  rewind(keep: (parcel: Parcel) => boolean): void {
    const all = [...this.#sent.clear(), ...this.#waiting.clear()];
    for (const parcel of all) if (keep(parcel)) this.#waiting.push(parcel);
  }
}

class Fifo {
  #parcels: Parcel[] = [];
  #start = 0;
  bytes = 0;

  get length(): number {
    return this.#parcels.length - this.#start;
  }

  get oldest(): Parcel | null {
    return this.#parcels[this.#start] ?? null;
  }

  push(parcel: Parcel): void {
    this.#parcels.push(parcel);
    this.bytes += parcel.bytes.length;
  }

  shift(): Parcel | null {
    const { oldest } = this;
    if (oldest === null) return null;
    this.bytes -= oldest.bytes.length;
    this.#start++;
    // Cut off in bulk, so that a shift stays cheap.
    if (this.#start > 512 && this.#start * 2 > this.#parcels.length) {
      this.#parcels = this.#parcels.slice(this.#start);
      this.#start = 0;
    }
    return oldest;
  }

  clear(): Parcel[] {
    const all = this.#parcels.slice(this.#start);
    this.#parcels = [];
    this.#start = 0;
    this.bytes = 0;
    return all;
  }
}
