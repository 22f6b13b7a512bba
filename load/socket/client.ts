/**
 * A lean WebSocket client over raw TCP or TLS, made to exist 18,000 times in one process.
 *
 * On the path: node -> CLIENT -> session.
 * Invariants: one set of callbacks for all clients, no timer of its own, no copy of what it receives; pings are answered;
 * `closed` is called exactly once for every `connect`, whatever happened, with 1006 if the server said no code.
 * At the limit: bytes that the socket does not take wait (commands are small); a handshake answer over 16 KiB is refused.
 */
import { createHash, randomBytes } from "node:crypto";
import { clientFrame, closeFrame, FrameReader, type FrameSink, OPCODE } from "./frames.ts";

export interface Target {
  readonly hostname: string;
  readonly port: number;
  /** As the request line names it, with its query. */
  readonly path: string;
  /** Of the Host header. */
  readonly host: string;
  readonly tls: Bun.TLSOptions | null;
}

export interface ClientListener {
  /** So many bytes came; called before what they hold is handed on. */
  received(bytes: number): void;
  opened(): void;
  /** Bytes are only good during the call. */
  text(bytes: Buffer, from: number, to: number): void;
  ping(): void;
  /** `opened` tells whether there was a WebSocket; without one, `reason` is why not. */
  closed(code: number, reason: string, opened: boolean): void;
  /** The server broke the WebSocket protocol; `closed` follows. */
  fault(sentence: string): void;
}

/** The nonce only shows that a WebSocket server answers: one for all is enough. */
const KEY = randomBytes(16).toString("base64");
const ACCEPT = createHash("sha1").update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
const headBytesMax = 16 * 1024;

const requests = new WeakMap<Target, Buffer>();

function requestOf(target: Target): Buffer {
  const known = requests.get(target);
  if (known !== undefined) return known;
  const request = Buffer.from(
    `GET ${target.path} HTTP/1.1\r\nHost: ${target.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${KEY}\r\nSec-WebSocket-Version: 13\r\nUser-Agent: tidegate-load\r\n\r\n`,
  );
  requests.set(target, request);
  return request;
}

type State = "connecting" | "handshake" | "open" | "closed";

export class Client implements FrameSink {
  readonly #listener: ClientListener;
  readonly #reader = new FrameReader();
  #socket: Bun.Socket<Client> | null = null;
  #state: State = "connecting";
  /** Of the answer to the handshake, while it is not whole. */
  #head: Buffer | null = null;
  /** Not taken by the socket yet. */
  #waiting: Buffer | null = null;
  readonly #target: Target;
  #gulping = false;

  constructor(target: Target, listener: ClientListener) {
    this.#target = target;
    this.#listener = listener;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** null while it is not connected. */
  get fd(): number | null {
    const fd = (this.#socket as { fd?: number } | null)?.fd;
    return fd === undefined || fd < 0 ? null : fd;
  }

  connect(localAddress: string | null): void {
    const { hostname, port, tls } = this.#target;
    const options = { hostname, port, data: this as Client, socket: HANDLERS };
    const local = localAddress === null ? {} : { localAddress };
    // The rejection says what `connectError` says; where there was no such call, it is the only word.
    Bun.connect<Client>({ ...options, ...local, ...(tls === null ? {} : { tls }) }).catch((error: unknown) => {
      this.#end(1006, reasonOf(error))?.terminate();
    });
  }

  send(frame: Buffer): void {
    if (this.#state === "open") this.#write(frame);
  }

  /** Says goodbye and is gone: what the server has still to say is not waited for. */
  close(code = 1000): void {
    if (this.#state === "closed") return;
    if (this.#state === "open") this.#write(closeFrame(code));
    this.#end(code, "closed by this side")?.end();
  }

  /** As if the network was gone: no goodbye. */
  drop(reason = "dropped by this side"): void {
    this.#end(1006, reason)?.terminate();
  }

  pause(): void {
    this.#socket?.pause();
  }

  /** Reads once, then pauses again. */
  gulp(): void {
    this.#gulping = true;
    this.#socket?.resume();
  }

  arrived(chunk: Buffer): void {
    if (this.#gulping) {
      this.#gulping = false;
      this.#socket?.pause();
    }
    this.feed(chunk);
  }

  /** Bytes from the socket, however they were read. */
  feed(chunk: Buffer): void {
    this.#listener.received(chunk.length);
    if (this.#state === "open") this.#reader.read(chunk, this);
    else if (this.#state === "handshake") this.#shake(chunk);
  }

  /** The other side is gone. */
  ended(reason: string): void {
    this.#end(1006, reason)?.terminate();
  }

  // ---- FrameSink

  text(bytes: Buffer, from: number, to: number): void {
    if (this.#state === "open") this.#listener.text(bytes, from, to);
  }

  ping(payload: Buffer): void {
    this.#listener.ping();
    this.send(clientFrame(OPCODE.pong, payload));
  }

  pong(): void {
    // We send no pings: an unasked pong means nothing (RFC 6455, 5.5.3).
  }

  goodbye(code: number, reason: string): void {
    if (this.#state !== "open") return;
    this.#write(closeFrame(code === 1005 ? 1000 : code));
    this.#end(code, reason)?.end();
  }

  fault(sentence: string): void {
    if (this.#state === "closed") return;
    this.#listener.fault(sentence);
    this.close(1002);
  }

  // ---- the socket

  connected(socket: Bun.Socket<Client>): void {
    if (this.#state === "closed") {
      socket.terminate();
      return;
    }
    this.#socket = socket;
    this.#state = "handshake";
    socket.setNoDelay(true);
    this.#write(requestOf(this.#target));
  }

  refused(error: Error): void {
    this.#end(1006, reasonOf(error))?.terminate();
  }

  drained(): void {
    const rest = this.#waiting;
    if (rest === null) return;
    this.#waiting = null;
    this.#write(rest);
  }

  #write(bytes: Buffer): void {
    if (this.#waiting !== null) {
      this.#waiting = Buffer.concat([this.#waiting, bytes]);
      return;
    }
    const written = Math.max(0, this.#socket?.write(bytes) ?? 0);
    if (written < bytes.length) this.#waiting = Buffer.from(bytes.subarray(written));
  }

  #shake(chunk: Buffer): void {
    const bytes = this.#head === null ? chunk : Buffer.concat([this.#head, chunk]);
    const end = bytes.indexOf("\r\n\r\n");
    if (end < 0) {
      this.#head = Buffer.from(bytes);
      if (bytes.length > headBytesMax) this.#refuse("the answer to the handshake is too long");
      return;
    }
    this.#head = null;
    const head = bytes.toString("latin1", 0, end);
    const wrong = wrongAnswer(head);
    if (wrong !== null) {
      this.#refuse(wrong);
      return;
    }
    this.#state = "open";
    this.#listener.opened();
    if (end + 4 < bytes.length) this.#reader.read(bytes.subarray(end + 4), this);
  }

  #refuse(reason: string): void {
    this.#end(1006, reason)?.terminate();
  }

  /** Returns the socket, to be closed: its own callbacks come then, and find everything over. */
  #end(code: number, reason: string): Bun.Socket<Client> | null {
    const socket = this.#socket;
    if (this.#state === "closed") return null;
    const opened = this.#state === "open";
    this.#state = "closed";
    this.#socket = null;
    this.#head = null;
    this.#waiting = null;
    this.#listener.closed(code, reason, opened);
    return socket;
  }
}

/** Why the head of an answer is not that of a WebSocket; null: it is. */
function wrongAnswer(head: string): string | null {
  const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1];
  if (status !== "101") return status === undefined ? "not HTTP" : `HTTP ${status}`;
  const accept = /\r\nsec-websocket-accept:[ \t]*([^\r\n]*)/i.exec(head)?.[1]?.trim();
  return accept === ACCEPT ? null : "wrong Sec-WebSocket-Accept";
}

const reasonOf = (error: unknown): string =>
  error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : String(error);

const HANDLERS: Bun.SocketHandler<Client> = {
  open: (socket) => socket.data.connected(socket),
  data: (socket, chunk) => socket.data.arrived(chunk),
  drain: (socket) => socket.data.drained(),
  close: (socket) => socket.data.ended("connection lost"),
  end: (socket) => socket.data.ended("connection lost"),
  error: (socket, error) => socket.data.refused(error),
  connectError: (socket, error) => socket.data?.refused(error),
};
