/**
 * Stands in for Bun's server and its WebSockets: publish, subscribe, unsubscribe, send, cork, close and the outbox.
 *
 * Invariants: what is published, sent and subscribed keeps its order; a socket whose outbox would pass `outboxBytesMax`
 * dies with nothing before its last byte skipped, and its `close` handler runs a little later, as in Bun.
 */
import { frameHeadBytes } from "../../src/edge/hub.ts";
import type { Clock, Timer } from "../../src/lib/clock.ts";

/** The far end of a socket. */
export interface Peer {
  receive(frame: string): void;
  closed(code: number, reason: string): void;
}

export interface SocketEvents {
  drain(): void;
  close(code: number, reason: string): void;
}

export class FakeServer {
  readonly #topics = new Map<string, Set<FakeSocket>>();

  publish(name: string, text: string): number {
    let sent = 0;
    for (const socket of this.#topics.get(name) ?? []) sent = Math.max(sent, socket.push(text));
    return sent;
  }

  enter(name: string, socket: FakeSocket): void {
    let sockets = this.#topics.get(name);
    if (sockets === undefined) {
      sockets = new Set();
      this.#topics.set(name, sockets);
    }
    sockets.add(socket);
  }

  leave(name: string, socket: FakeSocket): void {
    this.#topics.get(name)?.delete(socket);
    if (this.#topics.get(name)?.size === 0) this.#topics.delete(name);
  }

  get topics(): number {
    return this.#topics.size;
  }
}

export class FakeSocket {
  readonly #server: FakeServer;
  readonly #peer: Peer;
  readonly #clock: Clock;
  readonly #outboxBytesMax: number;
  readonly #names = new Set<string>();
  #events: SocketEvents | null = null;
  #outbox: string[] = [];
  #outboxBytes = 0;
  #choked = false;
  #trickle: Timer | null = null;
  #dead = false;
  #ended = false;

  constructor(server: FakeServer, peer: Peer, clock: Clock, outboxBytesMax: number) {
    this.#server = server;
    this.#peer = peer;
    this.#clock = clock;
    this.#outboxBytesMax = outboxBytesMax;
  }

  /** Who hears of drains and the close. */
  opened(events: SocketEvents): void {
    this.#events = events;
  }

  get alive(): boolean {
    return !this.#dead;
  }

  // --- what the edge uses -----------------------------------------------------------------------------------------

  send(frame: string): number {
    return this.push(frame);
  }

  subscribe(name: string): void {
    if (this.#dead) return;
    this.#names.add(name);
    this.#server.enter(name, this);
  }

  unsubscribe(name: string): void {
    this.#names.delete(name);
    this.#server.leave(name, this);
  }

  cork(call: () => void): void {
    call();
  }

  getBufferedAmount(): number {
    return this.#outboxBytes;
  }

  ping(): void {
    // The peer answers at once; the world has no silent clients.
  }

  close(code: number, reason: string): void {
    this.#die(code, reason);
    this.#end(code, reason);
  }

  /** What is in the outbox is lost. */
  terminate(): void {
    this.#outbox = [];
    this.#outboxBytes = 0;
    this.close(1006, "");
  }

  // --- what the world does ----------------------------------------------------------------------------------------

  /** Bytes sent, -1: queued, 0: refused. */
  push(frame: string): number {
    if (this.#dead) return 0;
    if (!this.#choked) {
      this.#peer.receive(frame);
      return frame.length;
    }
    const size = frame.length + frameHeadBytes(frame.length);
    if (this.#outboxBytes + size > this.#outboxBytesMax) {
      this.abort();
      return 0;
    }
    this.#outbox.push(frame);
    this.#outboxBytes += size;
    return -1;
  }

  /** The client does not read for a while, or reads only so many bytes every 20 ms. */
  choke(bytes = 0): void {
    this.#choked = true;
    this.#trickle?.cancel();
    if (bytes > 0) this.#drip(bytes, 0);
  }

  unchoke(): void {
    if (!this.#choked) return;
    this.#choked = false;
    this.#trickle?.cancel();
    this.#flush();
    if (!this.#dead) this.#events?.drain();
  }

  /** Whole frames, as far as the bytes go; what is left of them counts next time. */
  #drip(bytes: number, left: number): void {
    this.#trickle = this.#clock.after(20, () => {
      let room = Math.min(left, bytes) + bytes;
      let taken = 0;
      while (!this.#dead && this.#outbox.length > 0 && this.#outbox[0]!.length <= room) {
        const frame = this.#outbox.shift()!;
        room -= frame.length;
        this.#outboxBytes -= frame.length + frameHeadBytes(frame.length);
        taken++;
        this.#peer.receive(frame);
      }
      if (this.#dead) return;
      // A frame longer than what is read at once takes several turns.
      this.#drip(bytes, this.#outbox.length === 0 ? 0 : room + (taken === 0 ? left : 0));
      if (taken > 0) this.#events?.drain();
    });
  }

  /** The connection is gone without a close frame: the edge hears of it a little later. */
  abort(): void {
    if (this.#dead) return;
    this.#die(1006, "");
    this.#clock.after(0, () => this.#end(1006, ""));
  }

  /** The worker's thread is gone: nobody is told but the client. */
  vanish(code: number): void {
    this.#events = null;
    this.#die(code, "");
  }

  #flush(): void {
    const outbox = this.#outbox;
    this.#outbox = [];
    this.#outboxBytes = 0;
    for (const frame of outbox) this.#peer.receive(frame);
  }

  #die(code: number, reason: string): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#trickle?.cancel();
    for (const name of this.#names) this.#server.leave(name, this);
    this.#names.clear();
    this.#flush();
    this.#peer.closed(code, reason);
  }

  #end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events?.close(code, reason);
  }
}
