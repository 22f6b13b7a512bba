/**
 * A session's life as its socket tells it: opened, spoken, drained, closed.
 *
 * On the path: listener -> LIFECYCLE -> limits, command turns, joins, hub.
 * Invariants: every frame of the client is a sign of life; a session that is being closed is not listened to; every close
 * is counted once, under the code that says why; whatever a frame does, it harms no other session.
 */
import { CLOSES, ERRORS } from "../../protocol/codes.ts";
import type { EdgeLimits } from "../config.ts";
import type { Counters } from "../counters.ts";
import { Lingering } from "../delivery/lingering.ts";
import { outboxBytesMaxOf } from "../delivery/watch.ts";
import type { Hub } from "../hub.ts";
import { CommandTurns } from "./command-turns.ts";
import type { Commands } from "./commands.ts";
import type { Joining } from "./joins.ts";
import { admit, admitPing, type Verdict } from "./limits.ts";
import { close, type Session, type Socket } from "./session.ts";

/** What Bun says in `close` when it has closed the socket with 1009 itself. */
const TOO_BIG_REASON = "Received too big message";
/** Without a close frame. */
const ABNORMAL = 1006;

type CommandTaker = Pick<Commands, "begin" | "execute" | "refuse">;

export class Lifecycle {
  /** Sockets that outlive their sessions for a while. */
  readonly lingering: Lingering;
  readonly #hub: Hub;
  readonly #commands: CommandTurns;
  readonly #joining: Joining;
  readonly #counters: Counters;
  readonly #limits: EdgeLimits;
  readonly #nowMs: () => number;
  readonly #failed: (error: unknown) => void;

  constructor(
    hub: Hub,
    commands: CommandTaker,
    joining: Joining,
    counters: Counters,
    limits: EdgeLimits,
    nowMs: () => number,
    failed: (error: unknown) => void,
  ) {
    this.#hub = hub;
    this.#commands = new CommandTurns({ commands, nowMs, failed: (session, error) => this.#fault(session, error) });
    this.#joining = joining;
    this.#counters = counters;
    this.#limits = limits;
    this.#nowMs = nowMs;
    this.#failed = failed;
    this.lingering = new Lingering({
      counters,
      nowMs,
      closeLingerMs: limits.closeLingerMs,
      over: (session, code, reason) => this.closed(session, code, reason),
    });
  }

  opened(session: Session, socket: Socket): void {
    session.socket = socket;
    session.parting = this.lingering;
    session.heardMs = this.#nowMs();
    this.#hub.enter(session);
    const { starting } = session;
    session.starting = null;
    if (starting !== null) this.#commands.begin(session, starting);
  }

  frame(session: Session, data: string | Buffer): void {
    const nowMs = this.#heard(session);
    if (!session.open || this.#commands.ending(session)) return;
    const verdict = admit(session, this.#limits, nowMs);
    try {
      if (verdict !== "pass") this.#over(session, verdict, typeof data === "string" ? data : null);
      else if (typeof data === "string") this.#commands.execute(session, data);
      else this.#commands.refuse(session, null, ERRORS.BINARY_FRAME);
    } catch (error) {
      this.#fault(session, error);
    }
  }

  /** A fault of ours that one client's frame brings out must not end the worker under all the others. */
  #fault(session: Session, error: unknown): void {
    this.#failed(error);
    close(session, CLOSES.INTERNAL.code, CLOSES.INTERNAL.message);
  }

  /** A control frame; Bun has answered a ping already. */
  pinged(session: Session, pong: boolean): void {
    const nowMs = this.#heard(session);
    if (!session.open || this.#commands.ending(session)) return;
    // A ping over the rate has no reply to be refused with: only what goes on is closed.
    if (admitPing(session, this.#limits, nowMs, pong) === "close") this.#over(session, "close", null);
  }

  drained(session: Session): void {
    if (session.open) this.#joining.drained(session);
    else this.lingering.drained(session);
  }

  closed(session: Session, code: number, reason: string): void {
    if (!session.open) {
      this.lingering.gone(session);
      return;
    }
    const cause = session.closing !== 0 ? session.closing : this.#why(session, code, reason);
    this.#counters.close(cause);
    if (session.closing === 0 && cause === CLOSES.TOO_BIG.code) this.#counters.limited("frameBytesMax");
    if (session.closing === 0 && cause === CLOSES.SLOW.code) this.#counters.limited("outboxBytesMax");
    this.#hub.exit(session);
    this.#joining.forget(session);
  }

  /** The code of a close that was not asked for by us: Bun gives 1006 for those it makes at its own limits. */
  #why(session: Session, code: number, reason: string): number {
    if (code !== ABNORMAL) return code;
    if (reason === TOO_BIG_REASON) return CLOSES.TOO_BIG.code;
    return outboxBytesMaxOf(session) >= this.#limits.outboxBytesMax ? CLOSES.SLOW.code : ABNORMAL;
  }

  #heard(session: Session): number {
    const nowMs = this.#nowMs();
    session.heardMs = nowMs;
    session.pings = 0;
    return nowMs;
  }

  #over(session: Session, verdict: Verdict, frame: string | null): void {
    this.#counters.limited("commands");
    if (verdict === "refuse") {
      this.#commands.refuse(session, frame, ERRORS.TOO_MANY_COMMANDS);
      return;
    }
    this.#counters.error(ERRORS.TOO_MANY_COMMANDS.code);
    this.#commands.end(session, () => close(session, CLOSES.POLICY.code, CLOSES.POLICY.message));
  }
}
