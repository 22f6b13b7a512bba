/**
 * Outbound limits: how many frames and bytes a second a session is sent, if the configuration says so.
 *
 * Beside the path: hub and session count into the meters, the sweep (session/heartbeat.ts) has each looked at once a
 * second. Invariants: meters exist only with a limit; what goes to many is counted once, on the stream, and added up when a
 * session is looked at; nothing is held back or left out here.
 * At the limit: one rung down for everything the session has (slow.ts): books and values are merged, items come in batches.
 * At the slowest rung it stays, and each second over the limit is counted.
 */
import { RUNGS } from "../../ring/messages.ts";
import type { EdgeLimits } from "../config.ts";
import type { Counters } from "../counters.ts";
import type { Stream } from "../hub.ts";
import type { Session } from "../session/session.ts";

/** The sum of a session's streams and this is what it was sent. */
export class Meter {
  frames = 0;
  bytes = 0;
  /** As of the last look, and when that was. */
  framesSeen: number;
  bytesSeen: number;
  lookedMs: number;
  /** Measured only from here on: before, it may be on a faster rung still. */
  fromMs: number;

  constructor(session: Session, nowMs: number) {
    this.framesSeen = framesOf(this, session);
    this.bytesSeen = bytesOf(this, session);
    this.lookedMs = nowMs;
    this.fromMs = nowMs;
  }

  sent(bytes: number): void {
    this.frames++;
    this.bytes += bytes;
  }

  joined(stream: Stream): void {
    this.frames -= stream.frames;
    this.bytes -= stream.bytes;
  }

  left(stream: Stream): void {
    this.frames += stream.frames;
    this.bytes += stream.bytes;
  }
}

function framesOf(meter: Meter, session: Session): number {
  let sum = meter.frames;
  for (const stream of session.streams) if (!session.watch?.leftOut.has(stream)) sum += stream.frames;
  return sum;
}

function bytesOf(meter: Meter, session: Session): number {
  let sum = meter.bytes;
  for (const stream of session.streams) if (!session.watch?.leftOut.has(stream)) sum += stream.bytes;
  return sum;
}

export interface OutboundPorts {
  readonly counters: Pick<Counters, "limited">;
  slowDown(session: Session, cause: string): void;
}

export class Outbound {
  readonly #limits: Pick<EdgeLimits, "outbound">;
  readonly #ports: OutboundPorts;

  constructor(limits: Pick<EdgeLimits, "outbound">, ports: OutboundPorts) {
    this.#limits = limits;
    this.#ports = ports;
  }

  /** Once a second for each session. */
  look(session: Session, nowMs: number): void {
    const { framesPerSecond, bytesPerSecond } = this.#limits.outbound;
    if (framesPerSecond === 0 && bytesPerSecond === 0) {
      session.meter = null;
      return;
    }
    session.meter ??= new Meter(session, nowMs);
    const { meter } = session;
    const seconds = (nowMs - meter.lookedMs) / 1000;
    const frames = framesOf(meter, session);
    const bytes = bytesOf(meter, session);
    const isOver =
      meter.lookedMs >= meter.fromMs &&
      (isAbove(frames - meter.framesSeen, framesPerSecond * seconds) ||
        isAbove(bytes - meter.bytesSeen, bytesPerSecond * seconds));
    meter.framesSeen = frames;
    meter.bytesSeen = bytes;
    meter.lookedMs = nowMs;
    if (!isOver) return;
    this.#ports.counters.limited("outbound");
    this.#ports.slowDown(session, "outbound");
    meter.fromMs = nowMs + nextRung(session);
  }
}

/** Nothing is above a limit of 0: that is none. */
const isAbove = (amount: number, limit: number): boolean => limit > 0 && amount > limit;

/** ms until every stream has moved one rung down. */
function nextRung({ streams }: Session): number {
  const slowest = streams.reduce((most, { topic }) => Math.max(most, topic.key.rung), 0);
  return RUNGS.find((rung) => rung > slowest) ?? slowest;
}
