/**
 * What is to leave this node, in order: sent and not yet confirmed, then waiting.
 *
 * Invariants: `entries[0]` is the oldest; each has a number one above that of the entry before it; what was sent stays
 * until it is confirmed, so that it can be sent again on the next connection.
 * At the limit: the owner of the line (outbox.ts, stored.ts) takes the oldest out and counts it.
 */
export interface Parcel {
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
  #entries: Parcel[] = [];
  #start = 0;
  /** Number of the oldest entry. */
  #first = 0;
  /** Number of the next to be sent. */
  #next = 0;
  #bytes = 0;
  #bytesSent = 0;

  /** Number of the oldest entry; `end` if there is none. */
  get first(): number {
    return this.#first;
  }

  /** One above the number of the newest entry. */
  get end(): number {
    return this.#first + this.length;
  }

  get length(): number {
    return this.#entries.length - this.#start;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Of what was sent and is not confirmed. */
  get bytesSent(): number {
    return this.#bytesSent;
  }

  get sent(): number {
    return this.#next - this.#first;
  }

  get next(): number {
    return this.#next;
  }

  push(parcel: Parcel): void {
    this.#entries.push(parcel);
    this.#bytes += parcel.bytes.length;
  }

  /** The next to be sent; null if all were. */
  waiting(): Parcel | null {
    return this.#entries[this.#start + this.sent] ?? null;
  }

  markSent(): void {
    this.#bytesSent += this.waiting()?.bytes.length ?? 0;
    this.#next++;
  }

  oldest(): Parcel | null {
    return this.#entries[this.#start] ?? null;
  }

  shift(): Parcel | null {
    const parcel = this.oldest();
    if (parcel === null) return null;
    this.#bytes -= parcel.bytes.length;
    if (this.#next > this.#first) this.#bytesSent -= parcel.bytes.length;
    else this.#next++;
    this.#first++;
    this.#start++;
    if (this.#start > 512 && this.#start * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
    return parcel;
  }

  /** Nothing was sent, as far as anybody knows. What `keep` refuses is taken out. */
  rewind(keep: (parcel: Parcel) => boolean): void {
    const { end } = this;
    this.#entries = this.#entries.slice(this.#start).filter(keep);
    this.#start = 0;
    // Numbers that were given out stay behind: whoever waits for one sees it pass.
    this.#first = end - this.#entries.length;
    this.#next = this.#first;
    this.#bytes = this.#entries.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#bytesSent = 0;
  }
}
