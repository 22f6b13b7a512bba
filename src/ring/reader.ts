/**
 * Ring reader: one edge worker's view of the ring, record by record.
 *
 * On the path: writer -> shared memory -> READER -> edge worker's hub.
 * Invariants: nothing copied out is used before the check that it was not overwritten meanwhile; records addressed to
 * other workers are skipped unread; no allocation per record but its text.
 * At the limit: overtaken by the writer, `read` says "lapped" once and goes on at the tail.
 */
import { assert } from "../lib/errors.ts";
import {
  FLAG_ASCII,
  HEADER_UNITS,
  mapRing,
  ReaderWord,
  type RingMemory,
  readerWord,
  type StringBytes,
  Word,
} from "./layout.ts";
import { RecordKind } from "./messages.ts";
import type { RingReader, RingReaderOptions, RingRecord } from "./ring.ts";

const KIND_MAX = Math.max(...Object.values(RecordKind));
const SCRATCH_BYTES = 64 * 1024;

const scratchOf = (bytes: number): StringBytes => Buffer.allocUnsafeSlow(bytes) as Buffer as StringBytes;

/** Attaches worker number `worker` at the tail: what was written before is not seen. */
export function createRingReader(shared: SharedArrayBuffer, worker: number, _options: RingReaderOptions): RingReader {
  return new SharedRingReader(mapRing(shared), worker);
}

class SharedRingReader implements RingReader {
  readonly #memory: RingMemory;
  readonly #worker: number;
  readonly #word: number;
  /** Next record to read, and the tail as last seen: equal means look again. */
  #position = 0;
  #tail = 0;
  #scratch = scratchOf(SCRATCH_BYTES);
  #waiting: Promise<void> | null = null;
  readonly #record: RingRecord = {
    kind: RecordKind.PAD,
    flags: 0,
    worker: 0,
    topic: 0,
    request: 0,
    seq: 0,
    receivedUs: 0,
    text: "",
  };

  constructor(memory: RingMemory, worker: number) {
    assert(worker >= 0 && worker < memory.readersMax, "the ring was made for this worker");
    this.#memory = memory;
    this.#worker = worker;
    this.#word = readerWord(worker);
    this.attach();
  }

  attach(): void {
    this.#jumpToTail();
    Atomics.store(this.#memory.control, this.#word + ReaderWord.LIVE, 1);
  }

  detach(): void {
    Atomics.store(this.#memory.control, this.#word + ReaderWord.LIVE, 0);
  }

  beat(): void {
    Atomics.add(this.#memory.control, this.#word + ReaderWord.BEATS, 1);
  }

  read(): RingRecord | "lapped" | null {
    const { control, words, doubles, capacityUnits, recordUnitsMax } = this.#memory;
    for (;;) {
      const at = this.#position;
      if (at === this.#tail) {
        this.#tail = Atomics.load(control, Word.TAIL) >>> 0;
        if (at === this.#tail) return null;
      }
      // Until #overtaken has said no, everything read here may be bytes of a later lap: bound it before using it.
      const unit = at & (capacityUnits - 1);
      const size = words[unit * 2]! >>> 0;
      const head = words[unit * 2 + 1]!;
      const kind = head & 0xff;
      const units = kind === RecordKind.PAD ? size >>> 3 : HEADER_UNITS + Math.ceil(size / 8);
      if (kind > KIND_MAX || units === 0 || units > recordUnitsMax || unit + units > capacityUnits) {
        assert(this.#overtaken(at, at), "a record that was not overwritten has a known kind and a length in bounds");
        return this.#lapped();
      }
      const worker = head >>> 16;
      const next = (at + units) >>> 0;
      if (kind === RecordKind.PAD || (kind === RecordKind.DIRECT && worker !== this.#worker)) {
        if (this.#overtaken(at, next)) return this.#lapped();
        this.#position = next;
        continue;
      }
      const record = this.#record;
      record.kind = kind as RecordKind;
      record.flags = (head >>> 8) & 0xff & ~FLAG_ASCII;
      record.worker = worker;
      record.topic = words[unit * 2 + 2]! >>> 0;
      record.request = words[unit * 2 + 3]! >>> 0;
      record.seq = doubles[unit + 2]!;
      record.receivedUs = doubles[unit + 3]!;
      record.text = this.#text((unit + HEADER_UNITS) * 8, size, (head >>> 8) & FLAG_ASCII);
      if (this.#overtaken(at, next)) return this.#lapped();
      this.#position = next;
      return record;
    }
  }

  wait(): Promise<void> {
    // One waiter at most, however often a caller that was woken otherwise asks again.
    if (this.#waiting !== null) return this.#waiting;
    // Registers only if nothing was made visible since the last empty read: no wake is missed in between.
    const result = Atomics.waitAsync(this.#memory.control, Word.TAIL, this.#position | 0);
    if (!result.async) return Promise.resolve();
    this.#waiting = result.value.then(() => {
      this.#waiting = null;
    });
    return this.#waiting;
  }

  /** The payload's own copy. ASCII becomes a string in one pass over the shared bytes; anything else is copied first. */
  #text(start: number, size: number, ascii: number): string {
    if (size === 0) return "";
    if (ascii !== 0) return this.#memory.bytes.latin1Slice(start, start + size);
    if (size > this.#scratch.length) this.#scratch = scratchOf(2 ** Math.ceil(Math.log2(size)));
    this.#memory.bytes.copy(this.#scratch, 0, start, start + size);
    return this.#scratch.utf8Slice(0, size);
  }

  /** After copying from `start`: was any of it overwritten? The store first keeps the copy before the load. */
  #overtaken(start: number, next: number): boolean {
    const { control, capacityUnits } = this.#memory;
    Atomics.store(control, this.#word + ReaderWord.POSITION, next | 0);
    return (Atomics.load(control, Word.TAIL_INTENT) - start) >>> 0 > capacityUnits;
  }

  #lapped(): "lapped" {
    this.#jumpToTail();
    return "lapped";
  }

  #jumpToTail(): void {
    this.#tail = Atomics.load(this.#memory.control, Word.TAIL) >>> 0;
    this.#position = this.#tail;
    Atomics.store(this.#memory.control, this.#word + ReaderWord.POSITION, this.#position | 0);
  }
}
