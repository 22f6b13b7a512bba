/**
 * Commands in turns: a storm of them is worked off a few milliseconds at a time, so that publications pass in between.
 *
 * On the path: lifecycle -> COMMAND TURNS -> commands. One turn of Bun's event loop brings frames of up to 1,024 sockets.
 * Invariants: what clients send is done in the order in which it came; a command that need not wait is done at once.
 * At the limit: over HELD_BYTES_MAX of waiting frames the turn takes as long as it takes.
 */
import type { StreamRequest } from "../../protocol/dialect.ts";
import type { Commands } from "./commands.ts";
import type { Session } from "./session.ts";

/** ms of one turn spent on commands; those left wait for the next. */
const TURN_MS_MAX = 5;
const HELD_BYTES_MAX = 16 * 1024 * 1024;
/** Of what waits besides the frame itself. */
const HELD_BYTES_MIN = 100;

export interface CommandTurnsPorts {
  readonly commands: Pick<Commands, "begin" | "execute" | "refuse">;
  readonly nowMs: () => number;
  /** A command that waited brought out a fault of ours. */
  failed(session: Session, error: unknown): void;
  readonly afterTurn?: (call: () => void) => void;
}

interface Held {
  readonly session: Session;
  readonly bytes: number;
  readonly run: () => void;
  /** Nothing of the session follows. */
  readonly isLast: boolean;
}

export class CommandTurns {
  readonly #ports: CommandTurnsPorts;
  readonly #afterTurn: (call: () => void) => void;
  /** Those before `#next` are done. */
  #held: Held[] = [];
  #next = 0;
  #heldBytes = 0;
  /** Sessions whose last command waits. */
  readonly #ending = new Set<Session>();
  #spentMs = 0;
  #armed = false;

  constructor(ports: CommandTurnsPorts) {
    this.#ports = ports;
    this.#afterTurn = ports.afterTurn ?? setImmediate;
  }

  /** Commands that wait. */
  get held(): number {
    return this.#held.length - this.#next;
  }

  execute(session: Session, frame: string): void {
    const { commands } = this.#ports;
    if (this.#hasTime()) this.#timed(() => commands.execute(session, frame));
    else this.#hold(session, frame.length, () => commands.execute(session, frame));
  }

  refuse(session: Session, frame: string | null, error: { readonly code: number; readonly message: string }): void {
    const { commands } = this.#ports;
    if (this.#hasTime()) this.#timed(() => commands.refuse(session, frame, error));
    else this.#hold(session, frame?.length ?? 0, () => commands.refuse(session, frame, error));
  }

  begin(session: Session, streams: readonly StreamRequest[]): void {
    const { commands } = this.#ports;
    if (this.#hasTime()) this.#timed(() => commands.begin(session, streams));
    else this.#hold(session, streams.length * HELD_BYTES_MIN, () => commands.begin(session, streams));
  }

  /** Its last command: what came before it is answered first, and what comes behind it is not listened to. */
  end(session: Session, run: () => void): void {
    if (this.held === 0) run();
    else if (!this.#ending.has(session)) {
      this.#ending.add(session);
      this.#hold(session, 0, run, true);
    }
  }

  /** Its last command waits. */
  ending(session: Session): boolean {
    return this.#ending.has(session);
  }

  #hasTime(): boolean {
    return this.held === 0 && this.#spentMs < TURN_MS_MAX;
  }

  #timed(run: () => void): void {
    this.#arm();
    const startMs = this.#ports.nowMs();
    try {
      run();
    } finally {
      this.#spentMs += this.#ports.nowMs() - startMs;
    }
  }

  #hold(session: Session, bytes: number, run: () => void, isLast = false): void {
    this.#held.push({ session, bytes: bytes + HELD_BYTES_MIN, run, isLast });
    this.#heldBytes += bytes + HELD_BYTES_MIN;
    if (this.#heldBytes > HELD_BYTES_MAX) this.#work(Number.POSITIVE_INFINITY);
    this.#arm();
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#afterTurn(() => {
      this.#armed = false;
      this.#spentMs = 0;
      this.#work(TURN_MS_MAX);
      if (this.#spentMs > 0 || this.held > 0) this.#arm();
    });
  }

  #work(msMax: number): void {
    while (this.held > 0 && this.#spentMs < msMax) {
      const { session, bytes, run, isLast } = this.#held[this.#next++]!;
      this.#heldBytes -= bytes;
      if (isLast) this.#ending.delete(session);
      // Its client may have gone, or been closed for too many of them.
      if (!session.open || session.closing !== 0) continue;
      try {
        this.#timed(run);
      } catch (error) {
        this.#ports.failed(session, error);
      }
    }
    if (this.#next * 2 < this.#held.length) return;
    this.#held = this.#held.slice(this.#next);
    this.#next = 0;
  }
}
