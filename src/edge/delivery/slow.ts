/**
 * The slow policy: what is done about sessions whose clients read more slowly than is sent to them.
 *
 * Beside the path, 20 times a second: outboxes -> SLOW -> moves, left-out streams, closes.
 * Invariants: a conflating subscription is never on a faster rung than its client asked for, and changes rung only by a
 * move (moves.ts), so its chain stays exact; a session is on no cadence faster than its oldest unsent byte is old;
 * sessions whose outboxes are empty cost nothing but a look now and then.
 * At the limit: oldest unsent byte over `outboxAgeMaxMs`, or an outbox nearly full: close SLOW. Outboxes of the node
 * over `outboxBytesNodeMax`: the largest are closed SHED.
 */
import { CLOSES } from "../../protocol/codes.ts";
import { RUNGS, type Rung } from "../../ring/messages.ts";
import type { EdgeLimits } from "../config.ts";
import type { Counters } from "../counters.ts";
import type { Hub, Stream } from "../hub.ts";
import type { Moves } from "../session/moves.ts";
import { close, type Session } from "../session/session.ts";
import type { LeavingOut } from "./left-out.ts";
import type { Lingering } from "./lingering.ts";
import type { Outboxes } from "./outboxes.ts";
import { Watch } from "./watch.ts";

export const SLOW_SWEEP_MS = 50;

/** The slowest rung that this policy leads to: beyond it a client sees its outbox age, not its cadence. */
const RUNG_MAX = 1000;
/** An outbox whose oldest byte is younger is none to act on: the time of a retransmission or two. */
const AGE_MS_MIN = 250;
/** An outbox that is this young is as good as empty: two sweeps, and the one in between. */
const CALM_AGE_MS = 150;
/** From this part of `outboxBytesMax` on there is still room for the close frame. */
const NEARLY_FULL = 0.75;
/** Between two steps down for bytes: a move to the next rung has had its TICK. */
const STEP_MS = 500;
/** Outboxes that nobody watches are looked at within this time... */
const ROUND_MS = 200;
/** ...but so many at least in each sweep. */
const LOOKS_MIN = 1024;
/** A sweep that is later than this says nothing about clients: they could not be written to. */
const STALL_MS = 3 * SLOW_SWEEP_MS;
/** The part of a worker's share that outboxes of closed sessions may take when the node is over its limit. */
const LINGERING_PART = 0.25;

export type OnSlow = "wait" | "gap";

export interface SlowPorts {
  readonly hub: Hub;
  readonly moves: Moves;
  readonly leavingOut: LeavingOut;
  readonly lingering: Lingering;
  readonly outboxes: Outboxes;
  readonly counters: Counters;
  readonly limits: EdgeLimits;
  readonly nowMs: () => number;
  /** What becomes of a lossless channel's items for a slow session. */
  onSlow(channel: string): OnSlow;
}

export class Slow {
  /** Bytes in all outboxes, as of the last sweep. */
  outboxBytes = 0;
  #ageMs = 0;
  readonly #ports: SlowPorts;
  readonly #watches = new Set<Watch>();
  /** The next place to look at, and the ends of the last sweeps, newest first. */
  #place = 0;
  readonly #sweeps: number[] = [];
  /** A clock that stands still while this thread does. */
  #clockMs = 0;
  #sweptMs: number;
  #markedMs = Number.NEGATIVE_INFINITY;

  constructor(ports: SlowPorts) {
    this.#ports = ports;
    this.#sweptMs = ports.nowMs();
  }

  get watched(): number {
    return this.#watches.size;
  }

  sweep(): void {
    const { nowMs, lingering, outboxes } = this.#ports;
    const now = nowMs();
    this.#clockMs += Math.min(now - this.#sweptMs, STALL_MS);
    this.#sweptMs = now;
    let bytes = 0;
    for (const watch of this.#watches) {
      this.#look(watch);
      if (watch.session.open) bytes += watch.bytes;
    }
    this.#discover();
    const waiting = lingering.sweep(Number.POSITIVE_INFINITY);
    this.outboxBytes = bytes + waiting;
    const allowance = outboxes.allowance(this.outboxBytes);
    if (allowance < this.outboxBytes) this.#shed(bytes, allowance);
    this.#sweeps.unshift(this.#clockMs);
    if (this.#sweeps.length > ROUND_MS / SLOW_SWEEP_MS + 1) this.#sweeps.pop();
  }

  /** The highest age that a session's oldest unsent byte has had since the last call. */
  takeAgeMs(): number {
    const ageMs = this.#ageMs;
    this.#ageMs = 0;
    return ageMs;
  }

  // --- what others say ----------------------------------------------------------------------------------------------

  /** The session is over a limit on what it is sent: one rung down for all it has; nothing is dropped. */
  slowDown(session: Session, cause: string): void {
    if (!session.open) return;
    const watch = session.watch ?? this.#watch(session, session.socket.getBufferedAmount());
    let lowered = false;
    for (let at = 0; at < session.streams.length; at++) {
      const next = slowerThan(this.#rungOf(session, session.streams[at]!));
      if (next === null) continue;
      this.#lower(watch, at, next);
      lowered = true;
    }
    if (lowered) this.#stepped(watch, cause);
    watch.calmMs = this.#clockMs;
  }

  // --- looking ------------------------------------------------------------------------------------------------------

  #look(watch: Watch): void {
    const { limits } = this.#ports;
    if (!watch.session.open) {
      this.#forget(watch);
      return;
    }
    watch.look(watch.session.socket.getBufferedAmount(), this.#clockMs);
    const { bytes, ageMs } = watch;
    if (ageMs > this.#ageMs) this.#ageMs = ageMs;
    if (ageMs > limits.outboxAgeMaxMs) this.#close(watch, "closedAge");
    else if (bytes > limits.outboxBytesMax * NEARLY_FULL) this.#close(watch, "closedBytes");
    else if (ageMs >= AGE_MS_MIN || bytes > limits.outboxBytesHigh) this.#slow(watch);
    else if (ageMs > CALM_AGE_MS) watch.calmMs = this.#clockMs;
    else this.#calm(watch);
  }

  /** Looks at the next of the sessions that nobody watches. */
  #discover(): void {
    const { sessions } = this.#ports.hub;
    const sweepsARound = ROUND_MS / SLOW_SWEEP_MS;
    const size = Math.max(LOOKS_MIN, Math.ceil(sessions.length / sweepsARound));
    const round = Math.min(sweepsARound, Math.ceil(sessions.length / size));
    this.#mark();
    for (let count = Math.min(size, sessions.length); count > 0; count--) {
      if (this.#place >= sessions.length) this.#place = 0;
      const session = sessions[this.#place++]!;
      if (session.watch !== null) continue;
      const bytes = session.socket.getBufferedAmount();
      if (bytes > 0) this.#watch(session, bytes, this.#sweeps[round - 1]);
    }
  }

  /** Remembers how much each stream had carried a round ago. */
  #mark(): void {
    if (this.#clockMs - this.#markedMs < ROUND_MS) return;
    this.#markedMs = this.#clockMs;
    for (const topic of this.#ports.hub.topics()) {
      for (const stream of topic.streams) {
        stream.bytesBefore = stream.bytesMarked;
        stream.bytesMarked = stream.bytes;
      }
    }
  }

  #watch(session: Session, bytes: number, sinceMs = this.#clockMs): Watch {
    const watch = new Watch(session, bytes, sinceMs, this.#clockMs, this.#ports.limits.slowPatienceMs);
    session.watch = watch;
    this.#watches.add(watch);
    return watch;
  }

  #forget(watch: Watch): void {
    watch.session.watch = null;
    this.#watches.delete(watch);
  }

  // --- down ---------------------------------------------------------------------------------------------------------

  #slow(watch: Watch): void {
    const { bytes, ageMs, session } = watch;
    const { outboxBytesHigh } = this.#ports.limits;
    watch.calmMs = this.#clockMs;
    const isFull = bytes > outboxBytesHigh;
    const isOld = ageMs >= RUNG_MAX;
    const isStepDue =
      isFull && this.#clockMs - watch.steppedMs >= STEP_MS && (!watch.stepped || bytes >= watch.steppedBytes);
    const least = ageMs < AGE_MS_MIN ? 0 : notSlowerThan(Math.min(ageMs, RUNG_MAX));
    let lowered = false;
    for (let at = 0; at < session.streams.length; at++) {
      const stream = session.streams[at]!;
      if (stream.topic.family === "items") continue;
      const rung = this.#rungOf(session, stream);
      const next = isStepDue && rung < RUNG_MAX ? (slowerThan(rung) ?? rung) : rung;
      const wanted = next > least ? next : least;
      if (wanted <= rung) continue;
      this.#lower(watch, at, wanted);
      lowered = true;
    }
    if (isStepDue) {
      watch.steppedMs = this.#clockMs;
      watch.steppedBytes = bytes;
    }
    if (lowered) this.#stepped(watch, isOld ? "down1000" : isStepDue ? "down" : "downAge");
    if (isFull || isOld) this.#leaveOut(watch);
  }

  #lower({ session, ceilings }: Watch, at: number, rung: Rung): void {
    const stream = session.streams[at]!;
    if (!ceilings.has(stream.asked)) ceilings.set(stream.asked, this.#rungOf(session, stream));
    this.#ports.moves.start(session, at, rung, "slow");
  }

  #stepped(watch: Watch, cause: string): void {
    watch.stepped = true;
    this.#ports.counters.slowed(cause);
    if (!watch.raised) return;
    watch.raised = false;
    watch.relapsed = true;
    watch.patienceMs = Math.min(2 * watch.patienceMs, this.#ports.limits.slowPatienceMsMax);
  }

  /** Lossless streams that need not wait for it go on without it; a dialect without a word for that is closed. */
  #leaveOut(watch: Watch): void {
    const { session } = watch;
    for (const stream of session.streams) {
      const { family, key } = stream.topic;
      if (family !== "items" || watch.leftOut.has(stream) || this.#ports.onSlow(key.channel) !== "gap") continue;
      if (session.wire.dialect.gap(stream.asked, 0, 0, 0) === null) {
        const { code, message } = CLOSES.RESTART;
        this.#ports.counters.slowed("closedGap");
        close(session, code, `${key.channel}: ${message}, too slow`);
        return;
      }
      if (this.#ports.leavingOut.leave(watch, stream)) this.#stepped(watch, "out");
    }
  }

  // --- up -----------------------------------------------------------------------------------------------------------

  #calm(watch: Watch): void {
    const calmMs = this.#clockMs - watch.calmMs;
    if (watch.free && !watch.stepped) {
      if (watch.bytes === 0) this.#forget(watch);
      return;
    }
    if (calmMs < watch.patienceMs) return;
    if (watch.free) {
      // Its patience is remembered for as long again.
      if (calmMs >= 2 * watch.patienceMs) this.#forget(watch);
      return;
    }
    watch.calmMs = this.#clockMs;
    watch.raised = true;
    if (watch.leftOut.size > 0) this.#ports.leavingOut.comeBack(watch);
    else this.#raise(watch);
  }

  #raise(watch: Watch): void {
    const { session, ceilings } = watch;
    this.#ports.counters.slowed("up");
    for (const [asked, ceiling] of [...ceilings]) {
      const at = session.indexOf(asked);
      if (at < 0) {
        ceilings.delete(asked);
        continue;
      }
      const next = fasterThan(this.#rungOf(session, session.streams[at]!));
      const rung = next > ceiling ? next : ceiling;
      if (rung === ceiling) ceilings.delete(asked);
      this.#ports.moves.start(session, at, rung, "slow");
    }
  }

  // --- ends ---------------------------------------------------------------------------------------------------------

  #close({ session }: Watch, cause: string): void {
    this.#ports.counters.slowed(cause);
    close(session, CLOSES.SLOW.code, CLOSES.SLOW.message);
  }

  #shed(bytes: number, allowance: number): void {
    const { counters, lingering } = this.#ports;
    let left = bytes;
    for (const watch of [...this.#watches].sort((a, b) => b.bytes - a.bytes)) {
      if (left <= allowance * (1 - LINGERING_PART)) break;
      left -= watch.bytes;
      counters.slowed("shed");
      close(watch.session, CLOSES.SHED.code, CLOSES.SHED.message);
    }
    lingering.sweep(allowance * LINGERING_PART);
  }

  /** The rung it is on, or about to be on. */
  #rungOf(session: Session, stream: Stream): Rung {
    return this.#ports.moves.target(session, stream.asked) ?? stream.topic.key.rung;
  }
}

const slowerThan = (rung: Rung): Rung | null => RUNGS.find((other) => other > rung) ?? null;
const fasterThan = (rung: Rung): Rung => RUNGS.findLast((other) => other < rung) ?? RUNGS[0];
/** The slowest rung whose period is not over `ms`. */
const notSlowerThan = (ms: number): Rung => RUNGS.findLast((other) => other <= ms) ?? RUNGS[0];
