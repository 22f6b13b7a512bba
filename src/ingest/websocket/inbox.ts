/**
 * A socket's inbox: the frames that arrived and were not handed on yet.
 *
 * On the path: socket -> INBOX -> source. Invariants: frames keep their order; those that came before the close are still
 * taken after it.
 * At the limit: reading is paused at HIGH_BYTES and goes on when half of it is left; what arrives all the same may fill
 * FULL_BYTES, then the connection is dropped, which is told as any lost connection.
 */
import type { Clock } from "../../lib/clock.ts";

export const HIGH_BYTES = 8 * 1024 * 1024;
export const FULL_BYTES = 128 * 1024 * 1024;
/** A frame is never less than this, however short its text. */
const FRAME_BYTES = 64;

export interface Frame {
  readonly text: string;
  readonly receivedUs: number;
}

export interface TlsOptions {
  /** PEM of the authorities that are trusted instead of the system's. */
  readonly ca?: string;
}

/** Bun's client has more than the standard's face. */
type BunSocket = WebSocket & { terminate(): void; pause(): void; resume(): void };
type MakeSocket = new (url: string, options: { tls?: TlsOptions }) => BunSocket;

export class Inbox {
  readonly #socket: BunSocket;
  readonly #wake: () => void;
  #frames: Frame[] = [];
  #at = 0;
  #bytes = 0;
  #paused = false;
  #open = false;
  #closed: string | null = null;

  /** `wake` is called whenever something happened: opened, a frame, closed. */
  constructor(url: string, tls: TlsOptions | null, clock: Pick<Clock, "wallUs">, wake: () => void) {
    this.#wake = wake;
    const socket = new (WebSocket as unknown as MakeSocket)(url, tls === null ? {} : { tls });
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#open = true;
      wake();
    };
    socket.onmessage = ({ data }: MessageEvent) => {
      const text = typeof data === "string" ? data : new TextDecoder().decode(data as ArrayBuffer);
      this.#arrived({ text, receivedUs: clock.wallUs() });
    };
    socket.onerror = (event: Event) => {
      const message = "message" in event && typeof event.message === "string" ? event.message : "it failed";
      this.#closed ??= message.replace(/^WebSocket connection to '[^']*' failed: /, "");
    };
    socket.onclose = ({ code, reason }: CloseEvent) => {
      this.#closed ??= `closed with ${code}${reason === "" ? "" : ` ${reason}`}`;
      this.#open = false;
      wake();
    };
    this.#socket = socket;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Why there will be no more frames; null while there may be. */
  get closed(): string | null {
    return this.#closed;
  }

  get empty(): boolean {
    return this.#at === this.#frames.length;
  }

  send(text: string): void {
    if (this.#open) this.#socket.send(text);
  }

  /** The oldest frame not taken yet. */
  take(): Frame | null {
    const frame = this.#frames[this.#at];
    if (frame === undefined) return null;
    this.#at++;
    this.#bytes -= frame.text.length + FRAME_BYTES;
    if (this.#at === this.#frames.length) {
      this.#frames = [];
      this.#at = 0;
    } else if (this.#at >= 1024 && this.#at * 2 > this.#frames.length) {
      this.#frames = this.#frames.slice(this.#at);
      this.#at = 0;
    }
    if (this.#paused && this.#bytes < HIGH_BYTES / 2) {
      this.#paused = false;
      this.#socket.resume();
    }
    return frame;
  }

  /** Drops the connection at once, and what was not taken. */
  terminate(reason: string): void {
    this.#closed ??= reason;
    this.#open = false;
    this.#frames = [];
    this.#at = 0;
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null;
    // An error after the end concerns nobody, but without a listener it would be thrown.
    socket.onerror = () => undefined;
    socket.terminate();
  }

  #arrived(frame: Frame): void {
    this.#frames.push(frame);
    this.#bytes += frame.text.length + FRAME_BYTES;
    if (this.#bytes > HIGH_BYTES && !this.#paused) {
      this.#paused = true;
      this.#socket.pause();
    }
    if (this.#bytes > FULL_BYTES) this.terminate("its frames came faster than they were taken");
    this.#wake();
  }
}
