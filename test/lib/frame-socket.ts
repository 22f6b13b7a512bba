/** A WebSocket client of tests: counts what comes, remembers how it ended, and answers questions by their id. */
import { waitFor } from "./wait.ts";

/** A JSON object as it came. */
export type Frame = Readonly<Record<string, unknown>>;

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

export abstract class FrameSocket {
  readonly socket: WebSocket;
  /** How the other side or we ended it; null while it is open. */
  closed: Closed | null = null;
  /** Frames received. */
  received = 0;
  readonly #waiting = new Map<unknown, (reply: Frame) => void>();
  #nextId = 1;

  protected constructor(url: string) {
    // Whose certificate it is, is asked where it matters.
    this.socket = new WebSocket(url, { tls: { rejectUnauthorized: false } });
    this.socket.onmessage = ({ data }) => this.#take(data);
    this.socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
    };
  }

  protected async opened(): Promise<void> {
    await waitFor(
      () => this.socket.readyState !== WebSocket.CONNECTING,
      () => `a connection to ${this.socket.url}`,
    );
    if (this.socket.readyState !== WebSocket.OPEN) throw new Error(`${this.socket.url} refused the connection`);
  }

  /** Text as it is, or an object as JSON. */
  send(command: unknown): void {
    this.socket.send(typeof command === "string" || command instanceof Uint8Array ? command : JSON.stringify(command));
  }

  /** Sends a command under a fresh id; resolves with its reply, which may be an error. */
  async ask(command: Frame): Promise<Frame> {
    const id = this.#nextId++;
    let reply: Frame | null = null;
    this.#waiting.set(id, (frame) => {
      reply = frame;
    });
    this.send({ id, ...command });
    await waitFor(
      () => reply !== null || this.closed !== null,
      () => `a reply to ${JSON.stringify(command)}`,
    );
    this.#waiting.delete(id);
    if (reply === null)
      throw new Error(`closed ${JSON.stringify(this.closed)} instead of a reply to ${JSON.stringify(command)}`);
    return reply;
  }

  /** How the server closes it. */
  async untilClosed(ms?: number): Promise<Closed> {
    await waitFor(() => this.closed !== null, "the server closes the session", ms);
    return this.closed as Closed;
  }

  close(): void {
    this.socket.close(1000);
  }

  protected abstract push(frame: Frame, text: string): void;

  /** What a frame without a taker is: a reply, or something pushed. */
  protected abstract isReply(frame: Frame): boolean;

  /** A reply was taken by whoever asked; a client may learn from it first. */
  protected replied(_reply: Frame): void {
    // Nothing to learn unless a dialect says so.
  }

  #take(data: unknown): void {
    this.received++;
    if (typeof data !== "string") throw new Error("a binary frame: everything is sent as text");
    const frame = JSON.parse(data) as Frame;
    if (!this.isReply(frame)) {
      this.push(frame, data);
      return;
    }
    this.replied(frame);
    const waiting = this.#waiting.get(frame.id);
    if (waiting === undefined) this.push(frame, data);
    else waiting(frame);
  }
}
