/**
 * Sessions that read slowly on purpose: their sockets are paused, and a few bytes at a time are taken out of the kernel.
 *
 * A socket that is just paused and resumed would swallow all that the kernel holds in one gulp; so `recv` is called with
 * what the session may have now. Linux only: elsewhere, and with TLS, it is gulps, as far apart as the rate wants.
 *
 * Invariants: over time a session reads no more than its rate; one tick of the process serves all of them.
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import type { Session } from "./session.ts";

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const MSG_DONTWAIT = 0x40;
/** What one `recv` takes at most. */
const readBytesMax = 64 * 1024;
/** A session that could not read for a while does not make up for more than this. */
const allowanceSeconds = 2;

interface Libc {
  recv(fd: number, buffer: Uint8Array, length: number): number;
  setReceiveBuffer(fd: number, bytes: number): void;
}

let known: Libc | null | undefined;

/** null where there is no Linux libc to be had. */
export function libc(): Libc | null {
  if (known === undefined) known = process.platform === "linux" ? open() : null;
  return known;
}

function open(): Libc | null {
  const { i32, u64, i64, u32 } = FFIType;
  const pointer = FFIType.ptr;
  for (const name of ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]) {
    try {
      const { symbols } = dlopen(name, {
        recv: { args: [i32, pointer, u64, i32], returns: i64 },
        setsockopt: { args: [i32, i32, i32, pointer, u32], returns: i32 },
      });
      const value = new Int32Array(1);
      return {
        recv: (fd, buffer, length) => Number(symbols.recv(fd, ptr(buffer), length, MSG_DONTWAIT)),
        setReceiveBuffer(fd, bytes) {
          value[0] = bytes;
          symbols.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, ptr(value), 4);
        },
      };
    } catch (error) {
      // Another libc: the next name, or none.
      if (!(error instanceof Error)) throw error;
    }
  }
  return null;
}

interface Reader {
  /** Bytes it may read now; below zero after a gulp. */
  allowance: number;
  /** The session's at the last tick. */
  bytes: number;
}

export class SlowReaders {
  readonly #readers = new Map<Session, Reader>();
  readonly #bufferBytes: number | null;
  readonly #gulps: boolean;
  readonly #buffer = Buffer.allocUnsafe(readBytesMax);

  /** `gulps`: their sockets cannot be read from beside Bun. `bufferBytes`: their SO_RCVBUF; null: the system's. */
  constructor(bufferBytes: number | null, gulps: boolean) {
    this.#bufferBytes = bufferBytes;
    this.#gulps = gulps || libc() === null;
  }

  get size(): number {
    return this.#readers.size;
  }

  add(session: Session): void {
    const { client } = session;
    if (client === null) return;
    this.#readers.set(session, { allowance: 0, bytes: session.bytes });
    const { fd } = client;
    if (fd !== null && this.#bufferBytes !== null) libc()?.setReceiveBuffer(fd, this.#bufferBytes);
    client.pause();
  }

  delete(session: Session): void {
    this.#readers.delete(session);
  }

  /** `bytesPerSecond`: what each may read. */
  tick(seconds: number, bytesPerSecond: number): void {
    for (const [session, reader] of this.#readers) {
      const read = session.bytes - reader.bytes;
      reader.bytes = session.bytes;
      reader.allowance += seconds * bytesPerSecond - read;
      reader.allowance = Math.min(reader.allowance, allowanceSeconds * bytesPerSecond + 1);
      if (reader.allowance < 1) continue;
      if (this.#gulps) session.client?.gulp();
      else this.#sip(session, Math.floor(reader.allowance));
    }
  }

  #sip({ client }: Session, most: number): void {
    const fd = client?.fd ?? null;
    if (client === null || fd === null) return;
    const count = libc()!.recv(fd, this.#buffer, Math.min(readBytesMax, most));
    // 0: the other side closed it. Below: there is nothing, or an error that the next call shows as the end.
    if (count === 0) client.ended("connection lost");
    if (count > 0) client.feed(this.#buffer.subarray(0, count));
  }
}
