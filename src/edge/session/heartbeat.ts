/**
 * One sweep for all sessions of a worker: pings, silence, and the state that is no longer needed.
 *
 * Invariants: every session is looked at once a second, a tenth of them every 100 ms, so that thousands that connected
 * together are not pinged together. At the limit: silent for `idleMsMax` is closed IDLE, a session whose life is
 * over LIFETIME.
 */
import { CLOSES } from "../../protocol/codes.ts";
import type { EdgeLimits } from "../config.ts";
import type { Counters } from "../counters.ts";
import type { Outbound } from "../delivery/outbound.ts";
import type { Hub } from "../hub.ts";
import { close, type Session } from "./session.ts";

export const SWEEP_MS = 100;
const SLICES = 10;

export class Heartbeat {
  readonly #hub: Hub;
  readonly #counters: Pick<Counters, "limited">;
  readonly #limits: EdgeLimits;
  readonly #outbound: Pick<Outbound, "look">;
  #from = 0;

  constructor(hub: Hub, counters: Pick<Counters, "limited">, limits: EdgeLimits, outbound: Pick<Outbound, "look">) {
    this.#hub = hub;
    this.#counters = counters;
    this.#limits = limits;
    this.#outbound = outbound;
  }

  /** The next tenth. Closing a session puts another one in its place, which then waits for the next round. */
  sweep(nowMs: number): void {
    const { sessions } = this.#hub;
    const to = Math.min(sessions.length, this.#from + Math.ceil(sessions.length / SLICES));
    for (let place = this.#from; place < to; place++) {
      const session = sessions[place];
      if (session !== undefined) this.#look(session, nowMs);
    }
    this.#from = to < sessions.length ? to : 0;
  }

  #look(session: Session, nowMs: number): void {
    if (session.rate?.fresh(nowMs)) session.rate = null;
    this.#outbound.look(session, nowMs);
    if (nowMs >= session.endsMs) {
      this.#counters.limited("sessionMsMax");
      close(session, CLOSES.LIFETIME.code, CLOSES.LIFETIME.message);
      return;
    }
    const silentMs = nowMs - session.heardMs;
    if (silentMs < this.#limits.pingAfterMs) return;
    if (silentMs >= this.#limits.idleMsMax) {
      this.#counters.limited("idleMsMax");
      close(session, CLOSES.IDLE.code, CLOSES.IDLE.message);
    } else if (silentMs >= this.#limits.pingAfterMs * (session.pings + 1)) {
      session.pings++;
      session.socket.ping();
    }
  }
}
