/**
 * One WebSocket from its making to its end, and the heartbeat on it.
 *
 * On the path: socket -> CONNECTION -> client.
 * Invariants: `closed` is called exactly once, and never after `drop`; nothing of a dropped socket is heard any more.
 * At the limit: a socket that does not open within `openMsMax`, or on which nothing came for `silenceMsMax` although we
 * asked, is given up without waiting for the other side.
 */
import type { Clock } from "./clock.ts";
import type { SocketConstructor, SocketLike } from "./socket.ts";

export interface ConnectionLimits {
  readonly openMsMax: number;
  readonly pingMs: number;
  readonly silenceMsMax: number;
}

export interface ConnectionListener {
  opened(connection: Connection): void;
  /** null: a frame that is no text. */
  frame(connection: Connection, text: string | null): void;
  /** On every heartbeat. */
  beat(connection: Connection): void;
  /** `code` 1006: without a close frame. */
  closed(connection: Connection, code: number, reason: string): void;
}

const OPEN = 1;
const PING = '{"op":"ping"}';
const LOST = 1006;

export class Connection {
  /** When it opened; null before that. */
  openedMs: number | null = null;
  readonly #socket: SocketLike;
  readonly #clock: Clock;
  readonly #limits: ConnectionLimits;
  readonly #listener: ConnectionListener;
  #heardMs = 0;
  /** Of the first ping since something was heard. */
  #pingedMs = 0;
  #over = false;
  #cancel: () => void;
  #error = "";

  constructor(
    Socket: SocketConstructor,
    url: string,
    clock: Clock,
    limits: ConnectionLimits,
    listener: ConnectionListener,
  ) {
    this.#clock = clock;
    this.#limits = limits;
    this.#listener = listener;
    const socket = new Socket(url);
    this.#socket = socket;
    this.#cancel = clock.after(limits.openMsMax, () => this.#giveUp(`not open within ${limits.openMsMax} ms`));
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }: { data: unknown }) => this.#heard(data);
    socket.onerror = (event: unknown) => {
      this.#error = messageOf(event);
    };
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => this.#closed(code, reason);
  }

  send(text: string): void {
    if (!this.#over && this.#socket.readyState === OPEN) this.#socket.send(text);
  }

  /** Closes it and hears nothing more of it. */
  drop(reason = ""): void {
    this.#finish();
    try {
      this.#socket.close(1000, reason);
    } catch (error) {
      // Browsers refuse to close what has not opened with a code; then it closes without one.
      if (!(error instanceof Error)) throw error;
      this.#socket.close();
    }
  }

  /** Ends it at once, as if the other side had gone. */
  #giveUp(reason: string): void {
    if (this.#over) return;
    this.drop();
    this.#listener.closed(this, LOST, reason);
  }

  /** It does not work: the listener hears that it is closed. */
  fail(reason: string): void {
    this.#giveUp(reason);
  }

  #opened(): void {
    if (this.#over) return;
    this.#cancel();
    const now = this.#clock.nowMs();
    this.openedMs = now;
    this.#heardMs = now;
    this.#pingedMs = now;
    this.#arm(this.#limits.pingMs);
    this.#listener.opened(this);
  }

  #heard(data: unknown): void {
    if (this.#over) return;
    this.#heardMs = this.#clock.nowMs();
    this.#listener.frame(this, typeof data === "string" ? data : null);
  }

  #closed(code: number, reason: string): void {
    if (this.#over) return;
    this.#finish();
    const why = this.#error || (code === LOST ? "connection lost" : `closed ${code} ${reason}`.trim());
    this.#listener.closed(this, code, why);
  }

  #arm(ms: number): void {
    this.#cancel = this.#clock.after(ms, () => this.#beat());
  }

  /** Silence counts from the first unanswered ping: a browser may have slept through the time before. */
  #beat(): void {
    const { pingMs, silenceMsMax } = this.#limits;
    const now = this.#clock.nowMs();
    const isAnswered = this.#heardMs >= this.#pingedMs;
    const leftMs = isAnswered ? pingMs : this.#pingedMs + silenceMsMax - pingMs - now;
    if (leftMs <= 0) {
      this.#giveUp(`nothing came for ${Math.round(now - this.#heardMs)} ms`);
      return;
    }
    if (isAnswered) this.#pingedMs = now;
    this.send(PING);
    this.#arm(Math.min(pingMs, isAnswered ? silenceMsMax - pingMs : leftMs));
    this.#listener.beat(this);
  }

  #finish(): void {
    this.#over = true;
    this.#cancel();
    const socket = this.#socket;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    // An error without a listener is thrown by the package ws.
    socket.onerror = () => undefined;
  }
}

/** Bun and ws say what is wrong, browsers do not. */
function messageOf(event: unknown): string {
  if (typeof event !== "object" || event === null || !("message" in event)) return "";
  return String(event.message).replace(/^WebSocket connection to '.*' failed: /, "");
}
