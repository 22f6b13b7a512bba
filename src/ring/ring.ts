/**
 * The faces of the ring: one writer (the engine), many readers (one per edge worker).
 *
 * Layout and memory order: layout.ts. Records hold up to 1/8 of the ring; positions are unsigned 32-bit numbers of
 * 8-byte units and wrap safely.
 */
import type { RecordKind } from "./messages.ts";

export interface RingWriter {
  /** Appends one record; never waits. Throws GatewayError if the payload is over `recordBytesMax`. */
  write(kind: RecordKind, fields: RecordFields, payload: string): void;
  /** Makes everything written visible and wakes the readers: once per batch. */
  notify(): void;
  readonly recordBytesMax: number;
  readonly capacityBytes: number;
  /** Bytes written so far (may wrap at 2^53): for pacing. */
  readonly written: number;
  /** How far the slowest live reader is behind, in bytes. */
  lagBytes(): number;
}

/** The writer's view of its readers, for the worker watchdog. */
export interface RingReaders {
  /** How often the worker has beaten (may wrap at 2^32): compare with an earlier answer. */
  beats(worker: number): number;
  /** The worker is dead: it no longer counts as the slowest. A new reader of the same number attaches again. */
  removeReader(worker: number): void;
}

export interface RecordFields {
  readonly flags?: number;
  /** DIRECT: the worker it is for. */
  readonly worker?: number;
  /** Topic number; TICK: the mask. */
  readonly topic?: number;
  readonly request?: number;
  readonly seq?: number;
  readonly receivedUs?: number;
}

/** One record as a reader sees it: a reused object, valid until the next `read`. `text` is decoded from a copy. */
export interface RingRecord {
  kind: RecordKind;
  flags: number;
  worker: number;
  topic: number;
  request: number;
  seq: number;
  receivedUs: number;
  text: string;
}

export interface RingReaderOptions {
  /** Where a new reader stands: only what is written from now on. */
  readonly startAt: "tail";
}

export interface RingReader {
  /** The next record, null if there is none, or "lapped": records were lost and the reader now stands at the tail. */
  read(): RingRecord | "lapped" | null;
  /** Settles when there is something to read. */
  wait(): Promise<void>;
  /** Raises this worker's sign of life. */
  beat(): void;
  /** Counts as a live reader from now on, at the tail (done at creation). */
  attach(): void;
  /** No longer counts as a live reader. */
  detach(): void;
}
