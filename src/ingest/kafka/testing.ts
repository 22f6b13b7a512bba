/** Batches as a broker would send them, for tests without one. */
import { type CompressionAlgorithmValue, createRecordsBatch } from "@platformatic/kafka";

export interface BatchOptions {
  readonly first?: number;
  readonly compression?: CompressionAlgorithmValue;
  readonly producer?: bigint;
  readonly transactional?: boolean;
  /** A control batch: `commit` or `abort`. */
  readonly control?: "commit" | "abort";
}

export function batch(values: readonly (string | null)[], options: BatchOptions = {}): Buffer {
  const { first = 0, compression = "none", producer = -1n, transactional = false, control } = options;
  const marker = Buffer.from([0, 0, 0, control === "commit" ? 1 : 0]);
  const messages = (control === undefined ? values : [""]).map((value, at) => ({
    topic: "t",
    timestamp: BigInt(1000 + at),
    value: (value === null ? undefined : Buffer.from(value)) as Buffer,
    ...(control === undefined ? {} : { key: marker }),
  }));
  const bytes = Buffer.from(createRecordsBatch(messages, { compression, producerId: producer }).buffer);
  bytes.writeBigInt64BE(BigInt(first), 0);
  const attributes = bytes.readInt16BE(21) | (transactional || control ? 0x10 : 0) | (control ? 0x20 : 0);
  bytes.writeInt16BE(attributes, 21);
  return bytes;
}

/** Compaction: a batch keeps its span of offsets, and of its records the last only. */
export function compacted(first: number, span: number, value: string): Buffer {
  const bytes = batch([value], { first });
  bytes.writeInt32BE(span - 1, 23);
  return bytes;
}
