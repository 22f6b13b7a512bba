/**
 * Sockets whose session is over while something is still in their outbox: what stands before the close frame is sent
 * first, then the close with its code.
 *
 * Beside the path: session (close) -> LINGERING -> socket. Bun would throw away the outbox of a closed socket after 4 s.
 * Invariants: such a socket is on no stream any more and is not listened to, so its outbox only shrinks; its session has
 * left the hub and was counted; it ends in exactly one way. At the limit: after `closeLingerMs`, or when these outboxes
 * together hold more than they may, the largest first, the socket is cut: its client sees 1006.
 */
import type { Counters } from "../counters.ts";
import type { Session } from "../session/session.ts";

interface Parting {
  readonly reason: string;
  readonly untilMs: number;
}

export interface LingeringPorts {
  readonly counters: Counters;
  readonly closeLingerMs: number;
  readonly nowMs: () => number;
  /** The session is over. */
  over(session: Session, code: number, reason: string): void;
}

export class Lingering {
  readonly #ports: LingeringPorts;
  readonly #partings = new Map<Session, Parting>();

  constructor(ports: LingeringPorts) {
    this.#ports = ports;
  }

  get size(): number {
    return this.#partings.size;
  }

  /** Ends a session whose outbox is not empty; `session.closing` is the code. */
  part(session: Session, reason: string): void {
    const { closeLingerMs, nowMs } = this.#ports;
    for (const { name } of session.streams) session.socket.unsubscribe(name);
    this.#ports.over(session, session.closing, reason);
    this.#partings.set(session, { reason, untilMs: nowMs() + closeLingerMs });
  }

  /** The socket has taken some of it. */
  drained(session: Session): void {
    const parting = this.#partings.get(session);
    if (parting === undefined || session.socket.getBufferedAmount() > 0) return;
    session.socket.close(session.closing, parting.reason);
  }

  /** The socket is closed. */
  gone(session: Session): void {
    this.#partings.delete(session);
  }

  /** Bytes that still wait, after those were cut that have waited long enough or are too many. */
  sweep(bytesMax: number): number {
    const nowMs = this.#ports.nowMs();
    let sum = 0;
    for (const [session, { untilMs }] of [...this.#partings]) {
      const bytes = session.socket.getBufferedAmount();
      if (bytes === 0) this.drained(session);
      else if (nowMs >= untilMs) this.#cut(session, "cutLate");
      else sum += bytes;
    }
    return sum > bytesMax ? this.#cutLargest(sum, bytesMax) : sum;
  }

  #cutLargest(sum: number, bytesMax: number): number {
    const sized = [...this.#partings.keys()].map((session) => ({
      session,
      bytes: session.socket.getBufferedAmount(),
    }));
    sized.sort((a, b) => b.bytes - a.bytes);
    let left = sum;
    for (const { session, bytes } of sized) {
      if (left <= bytesMax) break;
      this.#cut(session, "cutShed");
      left -= bytes;
    }
    return left;
  }

  #cut(session: Session, action: string): void {
    this.#ports.counters.slowed(action);
    // Its close handler may run later.
    this.#partings.delete(session);
    session.socket.terminate();
  }
}
