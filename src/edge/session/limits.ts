/**
 * Limits of one session: how often it may speak.
 *
 * On the path: listener -> LIMITS -> decode.
 * Invariants: state exists only while a session has spoken within the last seconds.
 * At the limit: bucket: error 1302 per command, and close 1008 when it goes on; window: close 1008 at once.
 */
import type { CommandLimit, EdgeLimits } from "../config.ts";
import type { Session, Wire } from "./session.ts";

/** What a frame may do: be handled, be refused with an error, or be the last of its session. */
export type Verdict = "pass" | "refuse" | "close";

export interface CommandRate {
  admit(nowMs: number): Verdict;
  /** It would behave the same if it were forgotten. */
  fresh(nowMs: number): boolean;
}

class Bucket implements CommandRate {
  readonly #limit: CommandLimit & { is: "bucket" };
  #tokens: number;
  #atMs: number;
  #refused = 0;

  constructor(limit: CommandLimit & { is: "bucket" }, nowMs: number) {
    this.#limit = limit;
    this.#tokens = limit.burst;
    this.#atMs = nowMs;
  }

  admit(nowMs: number): Verdict {
    this.#tokens = this.#filled(nowMs);
    this.#atMs = nowMs;
    if (this.#tokens >= this.#limit.burst) this.#refused = 0;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return "pass";
    }
    this.#refused++;
    return this.#refused > this.#limit.refusalsMax ? "close" : "refuse";
  }

  fresh(nowMs: number): boolean {
    return this.#filled(nowMs) >= this.#limit.burst;
  }

  #filled(nowMs: number): number {
    const { burst, perSecond } = this.#limit;
    return Math.min(burst, this.#tokens + ((nowMs - this.#atMs) * perSecond) / 1000);
  }
}

class Window implements CommandRate {
  /** Times of the last `perSecond` frames, the oldest at `#next`. */
  readonly #times: number[];
  #next = 0;

  constructor(limit: CommandLimit & { is: "window" }) {
    this.#times = new Array<number>(limit.perSecond).fill(Number.NEGATIVE_INFINITY);
  }

  admit(nowMs: number): Verdict {
    if (nowMs - this.#times[this.#next]! < 1000) return "close";
    this.#times[this.#next] = nowMs;
    this.#next = (this.#next + 1) % this.#times.length;
    return "pass";
  }

  fresh(nowMs: number): boolean {
    return this.#times.every((time) => nowMs - time >= 1000);
  }
}

/** The command limit that a wire's endpoint has. */
function commandLimit(limits: EdgeLimits, wire: Wire): CommandLimit {
  if (wire.dialect.name === "native") return limits.commands.native;
  return limits.commands.binance[wire.endpoint.market] ?? limits.commands.binance.spot;
}

/** May the session's next frame be handled? */
export function admit(session: Session, limits: EdgeLimits, nowMs: number): Verdict {
  if (session.rate === null) {
    const limit = commandLimit(limits, session.wire);
    session.rate = limit.is === "bucket" ? new Bucket(limit, nowMs) : new Window(limit);
  }
  return session.rate.admit(nowMs);
}

/** Control pings count as commands; pongs only where the dialect counts every frame. */
export function admitPing(session: Session, limits: EdgeLimits, nowMs: number, pong: boolean): Verdict {
  if (pong && commandLimit(limits, session.wire).is === "bucket") return "pass";
  return admit(session, limits, nowMs);
}
