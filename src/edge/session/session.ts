/**
 * A session: one accepted WebSocket from upgrade to close, and the only place that writes to its socket or closes it.
 *
 * Invariants: small, for there are many: a running subscription is one shared pointer; whatever is rarely needed (joins
 * under way, command rate) is an object that exists only meanwhile; no timer and no closure per session.
 * At the limit: a frame that the socket refuses because the outbox is full closes the session (SLOW), never vanishes.
 */
import type { ServerWebSocket } from "bun";
import { CLOSES } from "../../protocol/codes.ts";
import type { Dialect, Opening, StreamRequest } from "../../protocol/dialect.ts";
import type { EndpointConfig } from "../config.ts";
import type { Counters } from "../counters.ts";
import type { Meter } from "../delivery/outbound.ts";
import type { Watch } from "../delivery/watch.ts";
import { frameHeadBytes, type Stream } from "../hub.ts";
import type { Joins } from "./joins.ts";
import type { CommandRate } from "./limits.ts";

/** What all sessions of one endpoint with one envelope share. */
export interface Wire {
  readonly endpoint: EndpointConfig;
  readonly dialect: Dialect;
  readonly opening: Opening;
  /** The same with `combined` switched (SET_PROPERTY). */
  other(): Wire;
}

/** Keeps the socket of a session that is over until its outbox is empty. */
export interface Parting {
  part(session: Session, reason: string): void;
}

/** Counted nowhere. */
export const UNSEATED = -2;

export type Socket = ServerWebSocket<Session>;

export class Session {
  /** Set when the socket opens; nothing happens to a session before. */
  socket: Socket;
  wire: Wire;
  /** Running subscriptions, oldest first. */
  streams: Stream[];
  /** Subscriptions under way, or null. */
  joins: Joins | null;
  /** Its recent commands, or null if there were none. */
  rate: CommandRate | null;
  /** Streams of the URL, until the socket opens. */
  starting: readonly StreamRequest[] | null;
  /** Of the worker's listeners, the one that accepted it. */
  listener: number;
  /** In the hub's list; -1: not open. */
  place: number;
  /** Monotonic ms of the client's last frame. */
  heardMs: number;
  /** Pings sent since. */
  pings: number;
  /** Code it was closed with by us; 0: not closed by us. */
  closing: number;
  /** What it counts for in the census (admission/admission.ts). */
  addressPlace: number;
  userPlace: number;
  /** Monotonic ms at which its life is over. */
  endsMs: number;
  /** What is known of it while its outbox is not empty, or it is slowed. */
  watch: Watch | null;
  /** What it was sent, where there is a limit on that. */
  meter: Meter | null;
  /** Set when the socket opens. */
  parting: Parting | null;

  // Assigned one by one here so that the engine keeps all fields inside the object.
  constructor(wire: Wire, starting: readonly StreamRequest[], nowMs: number) {
    this.socket = undefined as unknown as Socket;
    this.wire = wire;
    this.streams = [];
    this.joins = null;
    this.rate = null;
    this.starting = starting.length === 0 ? null : starting;
    this.listener = 0;
    this.place = -1;
    this.heardMs = nowMs;
    this.pings = 0;
    this.closing = 0;
    this.addressPlace = UNSEATED;
    this.userPlace = UNSEATED;
    this.endsMs = Number.POSITIVE_INFINITY;
    this.watch = null;
    this.meter = null;
    this.parting = null;
  }

  get open(): boolean {
    return this.place >= 0;
  }

  /** Place of the running subscription with this name, -1 if there is none. */
  indexOf(asked: string): number {
    for (let at = 0; at < this.streams.length; at++) if (this.streams[at]!.asked === asked) return at;
    return -1;
  }
}

/** Sends one frame to one session. Every `send` of the edge is here, and so is the meaning of its result. */
export function send(session: Session, frame: string, counters: Counters): void {
  if (!session.open) return;
  const result = session.socket.send(frame);
  if (result > 0 || result === -1) {
    // -1: queued in the outbox behind what the socket has not taken; `drain` follows.
    const size = result > 0 ? result : frame.length;
    counters.delivered++;
    counters.deliveredBytes += size;
    session.watch?.sent(size + frameHeadBytes(size));
    session.meter?.sent(size + frameHeadBytes(size));
    return;
  }
  // 0: over outboxBytesMax. Bun closes the socket; nothing before its last byte was skipped.
  if (!session.open) return;
  counters.limited("outboxBytesMax");
  close(session, CLOSES.SLOW.code, CLOSES.SLOW.message);
}

/** Closes a session with a code; it has left the hub before this returns. What its outbox holds is sent before the code. */
export function close(session: Session, code: number, reason: string): void {
  if (!session.open || session.closing !== 0) return;
  session.closing = code;
  if (session.parting !== null && session.socket.getBufferedAmount() > 0) session.parting.part(session, reason);
  else session.socket.close(code, reason);
}
