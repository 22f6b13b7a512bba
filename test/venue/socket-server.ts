/**
 * A WebSocket and HTTP server by hand, over plain TCP or TLS, for tests: it can do what a well-behaved server cannot.
 *
 * It can break off in the middle of a frame, answer no ping, refuse the handshake, or take a connection and say nothing.
 */
import { createHash } from "node:crypto";
import { createServer as createTcp, type Server, type Socket } from "node:net";
import { createServer as createTls } from "node:tls";
import type { Certificate } from "./certificate.ts";

export interface SocketHandler {
  opened(session: ServerSession): void;
  received(session: ServerSession, text: string): void;
  closed(session: ServerSession): void;
  /** A plain GET; null is 404. */
  get(path: string): Reply | null | Promise<Reply | null>;
}

export interface Reply {
  readonly status: number;
  readonly body: string;
}

const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

export class ServerSession {
  readonly path: string;
  readonly #socket: Socket;
  /** Nothing is sent any more, not even pongs; the connection stays. */
  silent = false;

  constructor(path: string, socket: Socket) {
    this.path = path;
    this.#socket = socket;
  }

  get open(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  send(text: string): void {
    this.write(TEXT, Buffer.from(text));
  }

  /** Sends only the first part of a frame and then cuts the connection. */
  sendPart(text: string, part: number): void {
    const frame = encode(TEXT, Buffer.from(text));
    const bytes = Math.max(1, Math.floor(frame.length * part));
    this.#socket.write(frame.subarray(0, bytes), () => this.cut());
  }

  ping(): void {
    this.write(PING, Buffer.from("alive"));
  }

  close(code: number, reason: string): void {
    const body = Buffer.alloc(2 + Buffer.byteLength(reason));
    body.writeUInt16BE(code);
    body.write(reason, 2);
    this.write(CLOSE, body);
    this.#socket.end();
  }

  /** Ends without a word. */
  cut(): void {
    this.#socket.destroy();
  }

  write(opcode: number, body: Buffer): void {
    if (!this.silent && this.open) this.#socket.write(encode(opcode, body));
  }
}

export class SocketServer {
  /** New connections get this HTTP status instead of an upgrade; 0: they are cut before a word. */
  refuse: number | null = null;
  /** Handshakes are read and not answered. */
  mute = false;
  /** Sockets accepted, refused ones too. */
  accepted = 0;
  readonly sessions = new Set<ServerSession>();
  readonly #handler: SocketHandler;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #tls: boolean;

  private constructor(handler: SocketHandler, certificate: Certificate | null) {
    this.#handler = handler;
    this.#tls = certificate !== null;
    const accept = (socket: Socket): void => this.#accept(socket);
    this.#server = certificate === null ? createTcp(accept) : createTls(certificate, accept);
  }

  static async start(handler: SocketHandler, certificate: Certificate | null = null, port = 0): Promise<SocketServer> {
    const server = new SocketServer(handler, certificate);
    await new Promise<void>((resolve, reject) => {
      server.#server.once("error", reject);
      server.#server.listen(port, "127.0.0.1", resolve);
    });
    return server;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the server does not listen");
    return address.port;
  }

  get ws(): string {
    return `${this.#tls ? "wss" : "ws"}://127.0.0.1:${this.port}`;
  }

  get http(): string {
    return `${this.#tls ? "https" : "http"}://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    this.accepted++;
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    if (this.refuse === 0) {
      socket.destroy();
      return;
    }
    let head = Buffer.alloc(0);
    const read = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0 || this.mute) return;
      socket.off("data", read);
      this.#answer(socket, head.toString("latin1", 0, end), head.subarray(end + 4));
    };
    socket.on("data", read);
  }

  #answer(socket: Socket, head: string, rest: Buffer): void {
    const path = /^GET (\S+)/.exec(head)?.[1] ?? "/";
    const key = /^sec-websocket-key: *(\S+)/im.exec(head)?.[1];
    if (key === undefined) {
      void this.#get(socket, path);
      return;
    }
    if (this.refuse !== null) {
      socket.end(`HTTP/1.1 ${this.refuse} Refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
      return;
    }
    const accept = createHash("sha1")
      .update(key + MAGIC)
      .digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
    );
    const session = new ServerSession(path, socket);
    this.sessions.add(session);
    socket.on("close", () => {
      this.sessions.delete(session);
      this.#handler.closed(session);
    });
    this.#handler.opened(session);
    const decoder = new Decoder((opcode, body) => {
      if (opcode === TEXT) this.#handler.received(session, body.toString());
      else if (opcode === PING) session.write(PONG, body);
      else if (opcode === CLOSE) socket.end(encode(CLOSE, body));
    });
    decoder.push(rest);
    socket.on("data", (chunk: Buffer) => decoder.push(chunk));
  }

  async #get(socket: Socket, path: string): Promise<void> {
    const { status, body } = (await this.#handler.get(path)) ?? { status: 404, body: "" };
    const length = Buffer.byteLength(body);
    socket.end(
      `HTTP/1.1 ${status} X\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n${body}`,
    );
  }
}

function encode(opcode: number, body: Buffer): Buffer {
  const { length } = body;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  if (length < 126) head[1] = length;
  else if (length < 65_536) {
    head[1] = 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, body]);
}

/** Takes a client's masked frames apart. */
class Decoder {
  readonly #frame: (opcode: number, body: Buffer) => void;
  #bytes = Buffer.alloc(0);

  constructor(frame: (opcode: number, body: Buffer) => void) {
    this.#frame = frame;
  }

  push(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (;;) {
      const bytes = this.#bytes;
      if (bytes.length < 2) return;
      const short = bytes[1]! & 127;
      const headLength = (short === 126 ? 4 : short === 127 ? 10 : 2) + 4;
      if (bytes.length < headLength) return;
      const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
      if (bytes.length < headLength + length) return;
      const mask = bytes.subarray(headLength - 4, headLength);
      const body = Buffer.from(bytes.subarray(headLength, headLength + length));
      for (let i = 0; i < length; i++) body[i]! ^= mask[i & 3]!;
      this.#bytes = bytes.subarray(headLength + length);
      this.#frame(bytes[0]! & 15, body);
    }
  }
}
