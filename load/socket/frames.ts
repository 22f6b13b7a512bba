/**
 * WebSocket frames as a client sees them (RFC 6455): reads what the server sends, writes what it may be sent.
 *
 * On the path: socket -> FRAMES -> client.
 * Invariants: a message that came whole in one read is handed on as a place in that read's bytes, nothing is copied; a
 * reader holds no bytes while there is nothing half read, and copies what is just once, however small the pieces. What a
 * server must not send (masked frames, reserved bits and opcodes, control frames in parts or over 125 bytes) is a fault,
 * never skipped.
 * At the limit: a message over `messageBytesMax` is a fault.
 */

export const OPCODE = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Bytes are only good during the call. */
export interface FrameSink {
  text(bytes: Buffer, from: number, to: number): void;
  ping(payload: Buffer): void;
  pong(): void;
  /** 1005: the server gave no code. */
  goodbye(code: number, reason: string): void;
  /** What the server must not send; nothing is read after it. */
  fault(sentence: string): void;
}

const messageBytesMax = 16 * 1024 * 1024;
/** Room that half a frame gets at least. */
const restBytesMin = 64;
const EMPTY = Buffer.alloc(0);

export class FrameReader {
  /** Holds a frame that is not whole yet, in its first `#held` bytes. */
  #rest: Buffer | null = null;
  #held = 0;
  /** Bytes that frame has, or, while that is not known, that say it. */
  #needed = 0;
  /** A message whose last frame has not come yet. */
  #parts: Buffer[] | null = null;
  #ended = false;

  /** Hands on every whole message in the bytes so far. `chunk` is not kept. */
  read(chunk: Buffer, sink: FrameSink): void {
    if (this.#ended) return;
    if (this.#rest === null) this.#readAll(chunk, sink);
    else {
      this.#append(this.#rest, chunk);
      if (this.#held >= this.#needed) this.#readAll(this.#rest.subarray(0, this.#held), sink);
    }
  }

  #readAll(bytes: Buffer, sink: FrameSink): void {
    let at = 0;
    while (!this.#ended) {
      const next = this.#frame(bytes, at, sink);
      if (next === at) break;
      at = next;
    }
    const left = this.#ended ? 0 : bytes.length - at;
    this.#held = left;
    if (left === 0) this.#rest = null;
    else {
      const rest = Buffer.allocUnsafe(Math.max(this.#needed, left, restBytesMin));
      bytes.copy(rest, 0, at);
      this.#rest = rest;
    }
  }

  #append(rest: Buffer, chunk: Buffer): void {
    const length = this.#held + chunk.length;
    if (length > rest.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, rest.length * 2));
      rest.copy(larger, 0, 0, this.#held);
      this.#rest = larger;
    }
    chunk.copy(this.#rest ?? rest, this.#held);
    this.#held = length;
  }

  /** Reads one frame at `at`; returns where the next one begins, `at` itself if this one is not whole. */
  #frame(bytes: Buffer, at: number, sink: FrameSink): number {
    const left = bytes.length - at;
    this.#needed = 2;
    if (left < 2) return at;
    const first = bytes[at]!;
    const second = bytes[at + 1]!;
    let length = second & 127;
    let head = 2;
    if (length === 126) {
      this.#needed = 4;
      if (left < 4) return at;
      length = bytes.readUInt16BE(at + 2);
      head = 4;
    } else if (length === 127) {
      this.#needed = 10;
      if (left < 10) return at;
      length = bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6);
      head = 10;
    }
    const opcode = first & 15;
    const wrong = this.#wrong(first, second, opcode, length);
    if (wrong !== null) {
      this.#fail(wrong, sink);
      return at;
    }
    this.#needed = head + length;
    if (left < this.#needed) return at;
    const from = at + head;
    const to = from + length;
    if (first === (0x80 | OPCODE.text)) sink.text(bytes, from, to);
    else if (opcode >= OPCODE.close) this.#control(opcode, bytes.subarray(from, to), sink);
    else this.#part(first >= 0x80, opcode, bytes.subarray(from, to), sink);
    return to;
  }

  #wrong(first: number, second: number, opcode: number, length: number): string | null {
    if ((first & 0x70) !== 0) return "a frame with reserved bits set";
    if (second >= 0x80) return "a masked frame";
    if (length > messageBytesMax) return `a frame of ${length} bytes`;
    if (opcode >= OPCODE.close) {
      if (opcode > OPCODE.pong) return `a frame with opcode ${opcode}`;
      if (first < 0x80) return "a control frame in parts";
      return length > 125 ? `a control frame of ${length} bytes` : null;
    }
    if (opcode > OPCODE.binary) return `a frame with opcode ${opcode}`;
    if (opcode === OPCODE.binary) return "a binary frame";
    const begins = opcode !== OPCODE.more;
    if (begins && this.#parts !== null) return "a new message inside another one";
    if (!begins && this.#parts === null) return "a continuation of nothing";
    return null;
  }

  #part(last: boolean, opcode: number, payload: Buffer, sink: FrameSink): void {
    if (opcode !== OPCODE.more) this.#parts = [];
    const parts = this.#parts!;
    parts.push(Buffer.from(payload));
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length > messageBytesMax) this.#fail(`a message of ${length} bytes`, sink);
    else if (last) {
      this.#parts = null;
      sink.text(Buffer.concat(parts), 0, length);
    }
  }

  #control(opcode: number, payload: Buffer, sink: FrameSink): void {
    if (opcode === OPCODE.ping) sink.ping(payload);
    else if (opcode === OPCODE.pong) sink.pong();
    else if (payload.length === 1) this.#fail("a close frame with half a code", sink);
    else this.#goodbye(payload, sink);
  }

  #goodbye(payload: Buffer, sink: FrameSink): void {
    const code = payload.length === 0 ? 1005 : payload.readUInt16BE(0);
    if (payload.length > 0 && !isCloseCode(code)) {
      this.#fail(`a close frame with code ${code}`, sink);
      return;
    }
    this.#ended = true;
    sink.goodbye(code, payload.toString("utf8", 2));
  }

  #fail(sentence: string, sink: FrameSink): void {
    this.#ended = true;
    sink.fault(sentence);
  }
}

/** Codes that may be on the wire. */
const isCloseCode = (code: number): boolean =>
  (code >= 3000 && code <= 4999) || (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code));

/** A client's frame: masked, as it must be. */
export function clientFrame(opcode: number, payload: Uint8Array = EMPTY): Buffer {
  const { length } = payload;
  const head = length < 126 ? 2 : length < 65536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(head + 4 + length);
  frame[0] = 0x80 | opcode;
  if (head === 2) frame[1] = 0x80 | length;
  else if (head === 4) {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 0x80 | 127;
    frame.writeUInt32BE(Math.floor(length / 2 ** 32), 2);
    frame.writeUInt32BE(length % 2 ** 32, 6);
  }
  const mask = head;
  frame.writeUInt32BE(Math.floor(Math.random() * 2 ** 32), mask);
  for (let i = 0; i < length; i++) frame[mask + 4 + i] = payload[i]! ^ frame[mask + (i & 3)]!;
  return frame;
}

export const textFrame = (text: string): Buffer => clientFrame(OPCODE.text, Buffer.from(text));

export function closeFrame(code: number): Buffer {
  const payload = Buffer.allocUnsafe(2);
  payload.writeUInt16BE(code, 0);
  return clientFrame(OPCODE.close, payload);
}
