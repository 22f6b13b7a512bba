/**
 * Record batches as a broker stores them: finding their ends without decoding, and decoding one record after the other.
 *
 * On the path: fetch -> BATCHES -> source. Invariants: values are views of the fetched bytes, nothing is copied (unless a
 * batch is compressed); offsets within a batch rise but need not be dense (compaction).
 */
import { compressionsAlgorithmsByBitmask } from "@platformatic/kafka";
import { Bytes } from "./bytes.ts";

const HEAD_BYTES = 61;
const LENGTH_AT = 8;
/** Offset and length are not counted in a batch's length. */
const BEFORE_LENGTH = 12;
const MAGIC = 2;
const COMPRESSION_BITS = 0b111;
const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

export interface BatchHead {
  /** Where it begins in the bytes, and where the next one does. */
  readonly at: number;
  readonly behind: number;
  readonly first: number;
  readonly last: number;
  readonly attributes: number;
  readonly firstTime: number;
  readonly maxTime: number;
  readonly producer: bigint;
  readonly records: number;
}

/** The head of the batch that begins at `at`; null if it is not whole any more. */
export function batchAt(buffer: Buffer, at: number): BatchHead | null {
  if (at + BEFORE_LENGTH > buffer.length) return null;
  const behind = at + BEFORE_LENGTH + buffer.readInt32BE(at + LENGTH_AT);
  if (behind > buffer.length) return null;
  if (behind < at + HEAD_BYTES) throw new RangeError("a batch is shorter than its head");
  const bytes = new Bytes(buffer, at);
  const first = bytes.int64();
  bytes.skip(8); // length, leader's epoch
  const magic = bytes.int8();
  if (magic !== MAGIC) throw new RangeError(`records are in the format ${magic}, which Kafka wrote before 0.11`);
  bytes.skip(4); // checksum: that of the connection and the broker's own are trusted
  const attributes = bytes.int16();
  const last = first + bytes.int32();
  const firstTime = bytes.int64();
  const maxTime = bytes.int64();
  const producer = bytes.bigInt64();
  bytes.skip(6);
  return { at, behind, first, last, attributes, firstTime, maxTime, producer, records: bytes.int32() };
}

/** The offset behind the last whole batch; null if there is none. */
export function offsetBehind(buffer: Buffer): number | null {
  let behind: number | null = null;
  for (let head = batchAt(buffer, 0); head !== null; head = batchAt(buffer, head.behind)) behind = head.last + 1;
  return behind;
}

export const isControl = (head: BatchHead): boolean => (head.attributes & CONTROL) !== 0;
export const isTransactional = (head: BatchHead): boolean => (head.attributes & TRANSACTIONAL) !== 0;

/** Whether a control batch says that its producer's transaction was aborted. */
export function isAbortMarker(buffer: Buffer, head: BatchHead): boolean {
  const records = new BatchRecords(buffer, head);
  // Key of a control record: version, then type (0 = abort).
  return records.next() && records.key !== null && records.key.length >= 4 && records.key.readInt16BE(2) === 0;
}

/** Goes through the records of one batch. */
export class BatchRecords {
  readonly head: BatchHead;
  offset = -1;
  time = 0;
  key: Buffer | null = null;
  value: Buffer | null = null;
  readonly #bytes: Bytes;
  #left: number;

  constructor(buffer: Buffer, head: BatchHead) {
    this.head = head;
    this.#left = head.records;
    const body = buffer.subarray(head.at + HEAD_BYTES, head.behind);
    const compression = head.attributes & COMPRESSION_BITS;
    if (compression === 0) {
      this.#bytes = new Bytes(body);
      return;
    }
    const algorithm = compressionsAlgorithmsByBitmask[compression];
    if (algorithm === undefined) throw new RangeError(`compression ${compression} is not known`);
    this.#bytes = new Bytes(algorithm.decompressSync(body));
  }

  /** Moves on to the next record; false behind the last. */
  next(): boolean {
    if (this.#left <= 0) return false;
    this.#left--;
    const bytes = this.#bytes;
    const length = bytes.varint();
    const behind = bytes.at + length;
    bytes.skip(1); // attributes: none are defined
    const timeDelta = bytes.varint();
    const { head } = this;
    this.time = (head.attributes & LOG_APPEND_TIME) === 0 ? head.firstTime + timeDelta : head.maxTime;
    this.offset = head.first + bytes.varint();
    this.key = bytes.varintBytes();
    this.value = bytes.varintBytes();
    // Headers are not read.
    bytes.at = behind;
    return true;
  }
}
