/** Reads Kafka's wire types from a Buffer, from left to right. Throws RangeError beyond its end. */

export class Bytes {
  readonly buffer: Buffer;
  at: number;

  constructor(buffer: Buffer, at = 0) {
    this.buffer = buffer;
    this.at = at;
  }

  int8(): number {
    return this.buffer.readInt8(this.#pass(1));
  }

  int16(): number {
    return this.buffer.readInt16BE(this.#pass(2));
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#pass(4));
  }

  /** Offsets and times: exact up to 2^53. */
  int64(): number {
    const at = this.#pass(8);
    return this.buffer.readInt32BE(at) * 4_294_967_296 + this.buffer.readUInt32BE(at + 4);
  }

  bigInt64(): bigint {
    return this.buffer.readBigInt64BE(this.#pass(8));
  }

  /** Exact up to 2^53. */
  uvarint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.buffer.readUInt8(this.#pass(1));
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  /** Zigzag. */
  varint(): number {
    const value = this.uvarint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  uuid(): string {
    const at = this.#pass(16);
    const hex = this.buffer.toString("hex", at, at + 16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }

  compactString(): string {
    const length = this.uvarint() - 1;
    const at = this.#pass(Math.max(0, length));
    return this.buffer.toString("utf8", at, at + Math.max(0, length));
  }

  /** The next `length` bytes, not copied. */
  take(length: number): Buffer {
    const at = this.#pass(length);
    return this.buffer.subarray(at, at + length);
  }

  /** Null for a length of -1. */
  varintBytes(): Buffer | null {
    const length = this.varint();
    return length < 0 ? null : this.take(length);
  }

  skip(length: number): void {
    this.#pass(length);
  }

  skipTags(): void {
    for (let count = this.uvarint(); count > 0; count--) {
      this.uvarint();
      this.skip(this.uvarint());
    }
  }

  #pass(length: number): number {
    const at = this.at;
    if (length < 0 || at + length > this.buffer.length) throw new RangeError("the answer is cut short");
    this.at = at + length;
    return at;
  }
}
