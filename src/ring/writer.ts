/**
 * Ring writer: appends the engine's records to the shared memory and wakes the edge workers once per batch.
 *
 * On the path: engine -> WRITER -> shared memory -> reader. Only one thread ever holds a writer of a ring.
 * Invariants: `tailIntent` is past every byte before it is overwritten; never waits, never looks at readers to write.
 * At the limit: a payload over `recordBytesMax` throws RING_RECORD_TOO_BIG and writes nothing; slow readers are lapped.
 */
import { assert, GatewayError } from "../lib/errors.ts";
import { FLAG_ASCII, HEADER_UNITS, mapRing, ReaderWord, type RingMemory, readerWord, Word } from "./layout.ts";
import { RecordKind } from "./messages.ts";
import type { RecordFields, RingReaders, RingWriter } from "./ring.ts";

/** Up to here three bytes per UTF-16 unit are reserved; longer payloads are measured first. */
const GUESS_BYTES_MAX = 3072;
/** `tailIntent` runs this far ahead, so that most records need not move it. */
const INTENT_STEP_UNITS = 8192;

const unitsOf = (payloadBytes: number): number => HEADER_UNITS + ((payloadBytes + 7) >>> 3);

export function createRingWriter(shared: SharedArrayBuffer): RingWriter & RingReaders {
  return new SharedRingWriter(mapRing(shared));
}

class SharedRingWriter implements RingWriter, RingReaders {
  readonly recordBytesMax: number;
  readonly capacityBytes: number;
  readonly #memory: RingMemory;
  readonly #intentStep: number;
  /** Where the next record goes; `tail` follows at notify. */
  #head: number;
  #tail: number;
  #intent: number;
  #written = 0;

  constructor(memory: RingMemory) {
    this.#memory = memory;
    this.capacityBytes = memory.capacityUnits * 8;
    this.recordBytesMax = (memory.recordUnitsMax - HEADER_UNITS) * 8;
    this.#intentStep = Math.min(INTENT_STEP_UNITS, memory.capacityUnits / 16);
    this.#tail = Atomics.load(memory.control, Word.TAIL) >>> 0;
    this.#head = this.#tail;
    this.#intent = Atomics.load(memory.control, Word.TAIL_INTENT) >>> 0;
  }

  get written(): number {
    return this.#written;
  }

  write(kind: RecordKind, fields: RecordFields, payload: string): void {
    assert(kind !== RecordKind.PAD, "PAD records are the ring's own");
    const { words, doubles, bytes } = this.#memory;
    const room = this.#place(payload);
    const unit = this.#head & (this.#memory.capacityUnits - 1);
    const start = (unit + HEADER_UNITS) * 8;
    const size = payload.length === 0 ? 0 : bytes.utf8Write(payload, start, room);
    const flags = (fields.flags ?? 0) | (size === payload.length ? FLAG_ASCII : 0);
    words[unit * 2] = size;
    words[unit * 2 + 1] = kind | (flags << 8) | ((fields.worker ?? 0) << 16);
    words[unit * 2 + 2] = fields.topic ?? 0;
    words[unit * 2 + 3] = fields.request ?? 0;
    doubles[unit + 2] = fields.seq ?? 0;
    doubles[unit + 3] = fields.receivedUs ?? 0;
    this.#advance(unitsOf(size));
    // A batch too long for one wake: readers must be able to start before it laps them.
    if ((this.#head - this.#tail) >>> 0 > this.#memory.capacityUnits / 4) this.notify();
  }

  notify(): void {
    if (this.#tail === this.#head) return;
    this.#tail = this.#head;
    Atomics.store(this.#memory.control, Word.TAIL, this.#head | 0);
    Atomics.notify(this.#memory.control, Word.TAIL);
  }

  lagBytes(): number {
    const { control, capacityUnits, readersMax } = this.#memory;
    let lag = 0;
    for (let worker = 0; worker < readersMax; worker++) {
      const word = readerWord(worker);
      if (Atomics.load(control, word + ReaderWord.LIVE) === 0) continue;
      const behind = (this.#head - Atomics.load(control, word + ReaderWord.POSITION)) >>> 0;
      // Over a capacity it is lapped and will jump to the tail: there is nothing left to spare it.
      if (behind <= capacityUnits && behind > lag) lag = behind;
    }
    return lag * 8;
  }

  beats(worker: number): number {
    return Atomics.load(this.#memory.control, this.#readerWord(worker) + ReaderWord.BEATS) >>> 0;
  }

  removeReader(worker: number): void {
    Atomics.store(this.#memory.control, this.#readerWord(worker) + ReaderWord.LIVE, 0);
  }

  #readerWord(worker: number): number {
    assert(worker >= 0 && worker < this.#memory.readersMax, "the ring was made for this worker");
    return readerWord(worker);
  }

  /** Makes contiguous room for the payload at `#head`, padding to the ring's start if need be; returns its bytes. */
  #place(payload: string): number {
    const { capacityUnits } = this.#memory;
    let room = payload.length * 3;
    if (room > GUESS_BYTES_MAX) room = this.#measure(payload);
    const left = capacityUnits - (this.#head & (capacityUnits - 1));
    if (unitsOf(room) > left) {
      room = Buffer.byteLength(payload);
      if (unitsOf(room) > left) this.#pad(left);
    }
    this.#reserve(unitsOf(room));
    return room;
  }

  #measure(payload: string): number {
    const size = Buffer.byteLength(payload);
    if (size > this.recordBytesMax) {
      throw new GatewayError(
        "RING_RECORD_TOO_BIG",
        `a record of ${size} bytes is over the ring's ${this.recordBytesMax}: make the ring larger`,
      );
    }
    return size;
  }

  #pad(units: number): void {
    this.#reserve(units);
    const word = (this.#head & (this.#memory.capacityUnits - 1)) * 2;
    this.#memory.words[word] = units * 8;
    this.#memory.words[word + 1] = RecordKind.PAD;
    this.#advance(units);
  }

  /** Announces that the bytes up to `units` past the head may change from now on. */
  #reserve(units: number): void {
    const end = (this.#head + units) >>> 0;
    if (((end - this.#intent) | 0) <= 0) return;
    this.#intent = (end + this.#intentStep) >>> 0;
    Atomics.store(this.#memory.control, Word.TAIL_INTENT, this.#intent | 0);
    // Nothing written later may be seen before that store (layout.ts, memory order).
    Atomics.load(this.#memory.control, Word.TAIL_INTENT);
  }

  #advance(units: number): void {
    this.#head = (this.#head + units) >>> 0;
    this.#written += units * 8;
  }
}
