/** A bare TCP client for the edge's tests: bad handshakes, and a WebSocket that can stop reading. */
import { connect, type Socket } from "node:net";
import { libc } from "../../../load/slow.ts";
import { until } from "./harness.ts";

/** The kernel keeps no more than this for a client that has stopped reading; by itself it would take megabytes. */
const RECEIVE_BUFFER = 64 * 1024;

export interface RawSocket {
  readonly socket: Socket;
  /** Everything received so far. */
  text(): string;
  bytes(): Buffer;
  /** ms after connecting, or null while it is open. */
  closedAfterMs(): number | null;
}

export function rawSocket(port: number, first: string | Uint8Array): RawSocket {
  const start = performance.now();
  const chunks: Buffer[] = [];
  let closed: number | null = null;
  const socket = connect(port, "127.0.0.1", () => {
    const { fd } = (socket as unknown as { readonly _handle: { readonly fd: number } })._handle;
    libc()?.setReceiveBuffer(fd, RECEIVE_BUFFER);
    socket.write(first);
  });
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  // A reset is a close like any other here.
  socket.on("error", () => undefined);
  socket.on("close", () => {
    closed = performance.now() - start;
  });
  const bytes = () => Buffer.concat(chunks);
  return { socket, bytes, text: () => bytes().toString("latin1"), closedAfterMs: () => closed };
}

export const upgradeOf = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/** An upgraded connection. */
export async function rawWebSocket(port: number, path: string): Promise<RawSocket> {
  const raw = rawSocket(port, upgradeOf(path));
  await until(() => raw.text().includes("\r\n\r\n"), "the raw client is upgraded");
  return raw;
}

/** One masked client frame; opcode 1 text, 2 binary, 8 close, 9 ping. */
export function clientFrame(opcode: number, payload: string): Uint8Array {
  const body = Buffer.from(payload);
  const extended = body.length < 126 ? 0 : body.length < 65536 ? 2 : 8;
  const frame = Buffer.alloc(6 + extended + body.length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (extended === 0 ? body.length : extended === 2 ? 126 : 127);
  if (extended === 2) frame.writeUInt16BE(body.length, 2);
  if (extended === 8) frame.writeBigUInt64BE(BigInt(body.length), 2);
  // The mask is zero: the bytes stand as they are.
  body.copy(frame, 6 + extended);
  return frame;
}

/** Payloads of the server's complete frames, in order, with their opcodes. */
export function serverFrames(raw: RawSocket): { opcode: number; payload: Buffer }[] {
  const all = raw.bytes();
  const frames: { opcode: number; payload: Buffer }[] = [];
  let at = all.indexOf("\r\n\r\n") + 4;
  while (at + 2 <= all.length) {
    const short = all[at + 1]! & 0x7f;
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
    if (at + 2 + extended > all.length) break;
    const size =
      extended === 0 ? short : extended === 2 ? all.readUInt16BE(at + 2) : Number(all.readBigUInt64BE(at + 2));
    const start = at + 2 + extended;
    if (start + size > all.length) break;
    frames.push({ opcode: all[at]! & 0x0f, payload: all.subarray(start, start + size) });
    at = start + size;
  }
  return frames;
}

/** Code of the server's close frame, or null. */
export function closeCode(raw: RawSocket): number | null {
  const close = serverFrames(raw).find(({ opcode }) => opcode === 8);
  return close === undefined || close.payload.length < 2 ? null : close.payload.readUInt16BE(0);
}
