/**
 * Makes records of what a feed has got: in the order of their offsets, from the one that is wanted on.
 *
 * On the path: feed -> DECODER -> source. Invariants: a record is decoded when it is asked for; control records, records of
 * aborted transactions (with isolation.level read_committed), tombstones and what lies before the wanted offset are passed over.
 * At the limit: a batch that cannot be decoded is fetched once more over a new connection; if it is no better then, it is
 * passed over and told as lost.
 */
import { BatchRecords, batchAt, isAbortMarker, isControl, isTransactional } from "./batches.ts";
import type { Feed, Piece } from "./feed.ts";
import type { Aborted } from "./fetch.ts";
import { KafkaRecord } from "./record.ts";

export type Decoded =
  | { readonly type: "data"; readonly record: KafkaRecord; readonly receivedUs: number }
  /** Everything up to `offset` is passed over. */
  | { readonly type: "corrupt"; readonly offset: number; readonly error: unknown; readonly receivedUs: number }
  | { readonly type: "epoch"; readonly cause: "recreated" | "regrouped"; readonly topicId: string };

type Batches = Extract<Piece, { type: "batches" }>;

export interface DecoderPorts {
  readonly feed: Feed;
  readonly committedOnly: boolean;
  readonly nowMs: () => number;
  /** A batch at this offset was damaged: a new connection is wanted. */
  readonly damaged: (offset: number, error: unknown) => void;
}

export class Decoder {
  readonly #ports: DecoderPorts;
  /** Next offset to hand on. */
  #wanted = 0;
  #piece: Batches | null = null;
  /** Where the next batch of the piece begins. */
  #at = 0;
  #records: BatchRecords | null = null;
  /** Aborted transactions of the piece that have not begun, by their first offset, and producers whose have. */
  #aborted: Aborted[] = [];
  readonly #aborting = new Set<bigint>();
  #damagedAt: number | null = null;
  #tombstones = 0;

  constructor(ports: DecoderPorts) {
    this.#ports = ports;
  }

  get wanted(): number {
    return this.#wanted;
  }

  get tombstones(): number {
    return this.#tombstones;
  }

  start(wanted: number): void {
    this.#wanted = wanted;
    this.#leavePiece();
  }

  /** The next thing to hand on; null if nothing has come. */
  next(): Decoded | null {
    for (;;) {
      if (this.#piece === null) {
        const piece = this.#ports.feed.take();
        if (piece === null) return null;
        if (piece.type === "epoch") return piece;
        this.#begin(piece);
      }
      const piece = this.#piece as Batches;
      try {
        const found = this.#records === null ? null : this.#nextOf(this.#records, piece.receivedUs);
        if (found !== null) return found;
        if (!this.#nextBatch(piece)) this.#leavePiece();
      } catch (error) {
        const passed = this.#damage(piece, error);
        if (passed !== null) return passed;
      }
    }
  }

  #begin(piece: Batches): void {
    this.#piece = piece;
    this.#at = 0;
    this.#records = null;
    this.#aborted = [...piece.aborted].sort((a, b) => a.first - b.first);
    this.#aborting.clear();
  }

  #leavePiece(): void {
    if (this.#piece !== null) this.#ports.feed.done(this.#piece.bytes.length);
    this.#piece = null;
    this.#records = null;
  }

  #nextOf(records: BatchRecords, receivedUs: number): Decoded | null {
    const { feed } = this.#ports;
    while (records.next()) {
      const { offset, value } = records;
      if (offset < this.#wanted) continue;
      this.#wanted = offset + 1;
      if (value === null) {
        this.#tombstones++;
        continue;
      }
      const record = new KafkaRecord(feed.topic, feed.partition, offset, records.time, records.key, value);
      return { type: "data", record, receivedUs };
    }
    // What compaction removed behind the last record counts as read.
    this.#wanted = Math.max(this.#wanted, records.head.last + 1);
    this.#records = null;
    return null;
  }

  /** False if the piece has no more. */
  #nextBatch({ bytes }: Batches): boolean {
    const head = batchAt(bytes, this.#at);
    if (head === null) return false;
    this.#at = head.behind;
    for (let one = this.#aborted[0]; one !== undefined && one.first <= head.last; one = this.#aborted[0]) {
      this.#aborting.add(one.producer);
      this.#aborted.shift();
    }
    if (isControl(head)) {
      if (isAbortMarker(bytes, head)) this.#aborting.delete(head.producer);
      this.#wanted = Math.max(this.#wanted, head.last + 1);
    } else if (this.#ports.committedOnly && isTransactional(head) && this.#aborting.has(head.producer)) {
      this.#wanted = Math.max(this.#wanted, head.last + 1);
    } else if (head.last >= this.#wanted) {
      this.#records = new BatchRecords(bytes, head);
    }
    return true;
  }

  /** Null if the batch is fetched again. */
  #damage({ receivedUs }: Batches, error: unknown): Decoded | null {
    const { feed, nowMs, damaged } = this.#ports;
    const from = this.#wanted;
    // A batch is cut out by its head, so the one behind it can be found even if this one is damaged.
    const head = this.#lastHead();
    this.#records = null;
    if (this.#damagedAt !== from || head === null || head.last < from) {
      this.#damagedAt = from;
      this.#leavePiece();
      feed.again(from, nowMs());
      damaged(from, error);
      return null;
    }
    this.#damagedAt = null;
    this.#wanted = head.last + 1;
    return { type: "corrupt", offset: head.last, error, receivedUs };
  }

  #lastHead() {
    const bytes = this.#piece?.bytes;
    if (bytes === undefined) return null;
    for (let head = batchAt(bytes, 0); head !== null; head = batchAt(bytes, head.behind)) {
      if (head.behind === this.#at) return head;
    }
    return null;
  }
}
