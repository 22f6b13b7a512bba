/**
 * Messages larger than the server takes, sent in parts and put together again.
 *
 * On the path: outbox -> PARTS -> wire -> PARTS -> reader. A part is an envelope whose body is binary: sender, number of
 * its message, number of the part and of the parts (4 bytes each), then the bytes.
 * Invariants: the parts of one sender come in order, some of them again after a reconnect; a message is handed on when
 * its last part is there; one that lost a part, whichever, is counted once.
 * At the limit: of each sender and subject one message is put together at a time, and all together hold `bytesMax`; what
 * lost a part, or is too large, is dropped and counted, and healed as any lost message is. Of LINES_MAX senders and subjects
 * it is known which message ended last; what is left of an older one counts as one more.
 */
import { seal, sortOf } from "../envelope.ts";

const HEAD_BYTES = 4 + 4 * 4;
const BYTES_MAX = 64 * 1024 * 1024;
const LINES_MAX = 10_000;

/** Who speaks: `sender` is drawn at random, `message` counts. Both are whole numbers below 2^32. */
export interface PartOf {
  readonly sender: number;
  readonly message: number;
}

/** The message itself if it fits in `most` bytes, else its parts. */
export function split(bytes: Uint8Array, most: number, { sender, message }: PartOf, version: number): Uint8Array[] {
  if (bytes.length <= most) return [bytes];
  const room = most - HEAD_BYTES;
  const count = Math.ceil(bytes.length / room);
  const envelope = seal("part", "", version);
  return Array.from({ length: count }, (_, at) => {
    const content = bytes.subarray(at * room, (at + 1) * room);
    const part = Buffer.allocUnsafe(HEAD_BYTES + content.length);
    part.set(envelope, 0);
    part.writeUInt32BE(sender, 4);
    part.writeUInt32BE(message, 8);
    part.writeUInt32BE(at, 12);
    part.writeUInt32BE(count, 16);
    part.set(content, HEAD_BYTES);
    return part;
  });
}

interface Pending {
  readonly message: number;
  readonly count: number;
  readonly parts: Uint8Array[];
  bytes: number;
}

export class Whole {
  /** By subject and sender. */
  readonly #pending = new Map<string, Pending>();
  /** The message that ended last, whole or not: parts of it that come after that say nothing new. */
  readonly #ended = new Map<string, number>();
  readonly #incomplete: () => void;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(incomplete: () => void, bytesMax: number = BYTES_MAX) {
    this.#incomplete = incomplete;
    this.#bytesMax = bytesMax;
  }

  /** The whole message, or null while parts are missing. */
  take(subject: string, bytes: Uint8Array): Uint8Array | null {
    if (sortOf(bytes) !== "part") return bytes;
    if (bytes.length < HEAD_BYTES) {
      this.#incomplete();
      return null;
    }
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const key = `${subject} ${view.readUInt32BE(4)}`;
    const [message, at, count] = [view.readUInt32BE(8), view.readUInt32BE(12), view.readUInt32BE(16)];
    const pending = this.#begun(key, message, at, count);
    // Sent again: it is there already.
    if (pending === null || at < pending.parts.length) return null;
    if (pending.count !== count || pending.parts.length !== at) {
      this.#giveUp(key, pending);
      return null;
    }
    // A window on what was received with it: keeping that is cheaper than copying twice.
    pending.parts.push(bytes.subarray(HEAD_BYTES));
    pending.bytes += bytes.length;
    this.#bytes += bytes.length;
    if (pending.parts.length === count) {
      this.#forget(key, pending);
      return Buffer.concat(pending.parts);
    }
    for (const [oldest, other] of this.#pending) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#giveUp(oldest, other);
    }
    return null;
  }

  /** Nothing more comes on these subjects for now. */
  clear(): void {
    for (const [key, pending] of this.#pending) this.#giveUp(key, pending);
  }

  /** The message that a part belongs to; null if that has lost its beginning. */
  #begun(key: string, message: number, at: number, count: number): Pending | null {
    const old = this.#pending.get(key);
    if (old?.message === message) return old;
    if (old !== undefined) this.#giveUp(key, old);
    if (at === 0) {
      const pending = { message, count, parts: [], bytes: 0 };
      this.#pending.set(key, pending);
      return pending;
    }
    if (this.#ended.get(key) !== message) {
      this.#end(key, message);
      this.#incomplete();
    }
    return null;
  }

  #giveUp(key: string, pending: Pending): void {
    this.#forget(key, pending);
    this.#incomplete();
  }

  #forget(key: string, pending: Pending): void {
    this.#pending.delete(key);
    this.#bytes -= pending.bytes;
    this.#end(key, pending.message);
  }

  #end(key: string, message: number): void {
    this.#ended.delete(key);
    if (this.#ended.size >= LINES_MAX) this.#ended.delete(this.#ended.keys().next().value ?? "");
    this.#ended.set(key, message);
  }
}
