/**
 * A WebSocket client that costs little: whole text frames as bytes, nothing decoded, nothing but text sent.
 *
 * For clients that are many in one process; it does not check what a real client must (RFC 6455): masks are zero, the
 * handshake's answer is only looked at for its status.
 */
import type { Socket } from "bun";

export interface LeanHandlers {
  open(): void;
  /** The bytes are the receiver's own. */
  frame(bytes: Uint8Array): void;
  /** A close frame's code, 1006 without one, or the status of a refused handshake. */
  closed(code: number): void;
}

const END_OF_HEAD = Buffer.from("\r\n\r\n");
const TEXT = 1;
const CLOSE = 8;
const PING = 9;

export class LeanSocket {
  readonly #handlers: LeanHandlers;
  #socket: Socket | null = null;
  /** What came and was not a whole frame. */
  #rest: Buffer = Buffer.alloc(0);
  #open = false;
  #closed = false;

  constructor(port: number, path: string, handlers: LeanHandlers) {
    this.#handlers = handlers;
    const head =
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => {
          this.#socket = socket;
          socket.write(head);
        },
        data: (_socket, data) => this.#take(data),
        close: () => this.#end(1006),
        error: () => this.#end(1006),
      },
    }).catch(() => this.#end(1006));
  }

  send(text: string): void {
    const body = Buffer.from(text);
    const long = body.length > 125;
    const frame = Buffer.alloc((long ? 8 : 6) + body.length);
    frame[0] = 0x80 | TEXT;
    frame[1] = 0x80 | (long ? 126 : body.length);
    if (long) frame.writeUInt16BE(body.length, 2);
    body.copy(frame, long ? 8 : 6);
    this.#socket?.write(frame);
  }

  close(): void {
    this.#closed = true;
    this.#socket?.end();
  }

  #take(data: Buffer): void {
    const bytes = this.#rest.length === 0 ? Buffer.from(data) : Buffer.concat([this.#rest, data]);
    let at = 0;
    if (!this.#open) {
      const end = bytes.indexOf(END_OF_HEAD);
      this.#rest = bytes;
      if (end < 0) return;
      const status = Number(bytes.toString("latin1", 9, 12));
      if (status !== 101) {
        this.#end(status);
        return;
      }
      this.#open = true;
      at = end + 4;
      this.#handlers.open();
    }
    for (;;) {
      const end = this.#frame(bytes, at);
      if (end < 0) break;
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }

  /** Where the frame at `at` ends; -1: it is not all here. */
  #frame(bytes: Buffer, at: number): number {
    if (at + 2 > bytes.length) return -1;
    const short = bytes[at + 1]! & 0x7f;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (at + head > bytes.length) return -1;
    const size = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : bytes.readUInt32BE(at + 6);
    const end = at + head + size;
    if (end > bytes.length) return -1;
    const kind = bytes[at]! & 0xf;
    if (kind === TEXT) this.#handlers.frame(bytes.subarray(at + head, end));
    else if (kind === CLOSE) this.#end(size >= 2 ? bytes.readUInt16BE(at + head) : 1005);
    else if (kind === PING) this.#socket?.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0]));
    return end;
  }

  #end(code: number): void {
    if (this.#closed) return;
    this.close();
    this.#handlers.closed(code);
  }
}
