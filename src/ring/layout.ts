/**
 * The ring's memory: one SharedArrayBuffer of a control block and a power of two of 8-byte units.
 *
 * On the path: engine -> WRITER -> shared memory -> READER -> edge worker; this file is what the two agree on.
 * Invariants: positions count units, wrap at 2^32 and are compared by their difference; a record is contiguous (PAD fills
 * the end of the ring); `tailIntent` never falls, and no byte at or past it was touched since the lap before; `tail` is
 * stored after the bytes before it. Words that different threads write are 128 bytes apart.
 * At the limit: a record over 1/8 of the ring is refused; a reader over one capacity behind is lapped.
 *
 * Memory order. Atomics are sequentially consistent among themselves, but on weakly ordered processors a plain store may
 * become visible before an atomic store that precedes it, and a plain load may happen after an atomic load that follows
 * it. So the writer loads `tailIntent` back between storing it and overwriting, and the reader stores its position
 * between copying and loading `tailIntent`.
 */
import { assert, GatewayError } from "../lib/errors.ts";

/** Units in a record's header: bytes u32, kind u8, flags u8, worker u16, topic u32, request u32, seq f64, receivedUs f64. */
export const HEADER_UNITS = 4;
/** Set by the writer in the flags byte: the payload is ASCII, so a reader may take each byte for a character. */
export const FLAG_ASCII = 0x80;
export const RING_BYTES_DEFAULT = 64 * 1024 * 1024;
export const RING_BYTES_MIN = 64 * 1024;
/** Positions must stay comparable: a capacity is at most half their range. */
export const RING_BYTES_MAX = 2 ** 30;
/** Workers are numbered 0..readersMax-1; the record header has 16 bits for them. */
export const READERS_MAX = 1024;

/** Indexes of 32-bit words in the control block. */
export const Word = {
  MAGIC: 0,
  CAPACITY_UNITS: 1,
  READERS_MAX: 2,
  TAIL_INTENT: 32,
  TAIL: 64,
  READERS: 96,
} as const;
/** Words of one reader, from `readerWord`. */
export const ReaderWord = { LIVE: 0, POSITION: 1, BEATS: 2 } as const;
const READER_WORDS = 32;
const MAGIC = 0x7469_6465;

export const readerWord = (worker: number): number => Word.READERS + worker * READER_WORDS;

/** Bun's own string methods of a Buffer, which its types leave out: no view is allocated per call. */
export interface StringBytes extends Buffer {
  utf8Write(text: string, start: number, bytesMax: number): number;
  utf8Slice(start: number, end: number): string;
  latin1Slice(start: number, end: number): string;
}

/** All views of one ring. */
export interface RingMemory {
  readonly control: Int32Array;
  /** The units as 32-bit words (two each), as doubles and as bytes. */
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly bytes: StringBytes;
  readonly capacityUnits: number;
  readonly recordUnitsMax: number;
  readonly readersMax: number;
}

const controlBytes = (readersMax: number): number => (Word.READERS + readersMax * READER_WORDS) * 4;

export interface RingOptions {
  /** Position of the first record; tests use it to reach the wrap at 2^32. */
  readonly startUnits?: number;
}

/** Memory for a ring of at least `bytes` (rounded up to a power of two) and workers 0..readersMax-1. */
export function createRing(bytes: number, readersMax: number, options: RingOptions = {}): SharedArrayBuffer {
  if (!(bytes >= RING_BYTES_MIN && bytes <= RING_BYTES_MAX)) {
    throw new GatewayError(
      "RING_SIZE",
      `ring size ${bytes} is not between ${RING_BYTES_MIN} and ${RING_BYTES_MAX} bytes`,
    );
  }
  assert(Number.isInteger(readersMax) && readersMax >= 1 && readersMax <= READERS_MAX, "a ring has 1 to 1024 readers");
  const capacityUnits = 2 ** Math.ceil(Math.log2(bytes / 8));
  const shared = new SharedArrayBuffer(controlBytes(readersMax) + capacityUnits * 8);
  const control = new Int32Array(shared, 0, controlBytes(readersMax) / 4);
  control[Word.CAPACITY_UNITS] = capacityUnits;
  control[Word.READERS_MAX] = readersMax;
  control[Word.TAIL_INTENT] = options.startUnits ?? 0;
  control[Word.TAIL] = options.startUnits ?? 0;
  Atomics.store(control, Word.MAGIC, MAGIC);
  return shared;
}

export function mapRing(shared: SharedArrayBuffer): RingMemory {
  const fixed = new Int32Array(shared, 0, Word.READERS);
  assert(Atomics.load(fixed, Word.MAGIC) === MAGIC, "the memory was made by createRing");
  const capacityUnits = fixed[Word.CAPACITY_UNITS]!;
  const readersMax = fixed[Word.READERS_MAX]!;
  const dataStart = controlBytes(readersMax);
  return {
    control: new Int32Array(shared, 0, dataStart / 4),
    words: new Int32Array(shared, dataStart, capacityUnits * 2),
    doubles: new Float64Array(shared, dataStart, capacityUnits),
    bytes: Buffer.from(shared, dataStart, capacityUnits * 8) as Buffer as StringBytes,
    capacityUnits,
    recordUnitsMax: capacityUnits / 8,
    readersMax,
  };
}
