/**
 * Moves: a running subscription goes from one rung of its channel to another without a break in its chain.
 *
 * On the path: commands (cadence) or the slow policy -> MOVES -> main -> ring (DIRECT open, then TICK) -> hub.
 * Invariants: a session changes streams only at a TICK whose mask has the target's rung, where both streams end on the
 * same seq; all that go from one topic to another at that TICK share one request; nobody moves while a lap is repaired.
 */
import { RUNGS, type Rung } from "../../ring/messages.ts";
import type { Counters } from "../counters.ts";
import type { Hub, Topic } from "../hub.ts";
import type { Requests } from "../requests.ts";
import { type Session, send } from "./session.ts";

export type MoveReason = "client" | "slow";

/** Everybody who goes from one topic to another at the next TICK. */
export interface Move {
  readonly from: Topic;
  readonly to: Topic;
  /** Main has opened the target. */
  armed: boolean;
  /** Asked names, and why, by session. */
  readonly movers: Map<Session, Map<string, MoveReason>>;
}

export class Moves {
  readonly #hub: Hub;
  readonly #requests: Requests;
  readonly #counters: Counters;
  /** By the topic they leave. */
  readonly #moves = new Map<Topic, Move[]>();

  constructor(hub: Hub, requests: Requests, counters: Counters) {
    this.#hub = hub;
    this.#requests = requests;
    this.#counters = counters;
  }

  /** Moves the session's subscription number `at` to another rung; replaces a move of it that is under way. */
  start(session: Session, at: number, rung: Rung, reason: MoveReason): void {
    const { topic: from, asked } = session.streams[at]!;
    this.cancel(session, asked);
    if (from.key.rung === rung) return;
    const to = this.#hub.topic({ ...from.key, rung });
    let move = this.#find(from, to);
    if (move === undefined) {
      move = { from, to, armed: false, movers: new Map() };
      const others = this.#moves.get(from);
      if (others === undefined) this.#moves.set(from, [move]);
      else others.push(move);
      from.uses++;
      to.uses++;
      this.#requests.ask({ is: "move", move });
    }
    const names = move.movers.get(session);
    if (names === undefined) move.movers.set(session, new Map([[asked, reason]]));
    else names.set(asked, reason);
  }

  /**
   * The client asks for a rung of its subscription number `at`; returns the one that holds. Of a subscription that is
   * slowed (delivery/slow.ts) this changes how far it may go up again, unless the client asks for less than it has.
   */
  ask(session: Session, at: number, rung: Rung): Rung {
    const { asked, topic } = session.streams[at]!;
    const ceilings = session.watch?.ceilings;
    if (ceilings?.has(asked)) {
      const holds = this.target(session, asked) ?? topic.key.rung;
      if (rung < holds) {
        ceilings.set(asked, rung);
        return holds;
      }
      ceilings.delete(asked);
    }
    this.start(session, at, rung, "client");
    return rung;
  }

  /** The rung a subscription is moving to, or null. */
  target(session: Session, asked: string): Rung | null {
    for (const { movers, to } of this.#of(session, asked)) {
      if (movers.get(session)?.has(asked)) return to.key.rung;
    }
    return null;
  }

  /** The subscription stays where it is (or ends). */
  cancel(session: Session, asked: string): void {
    // A move without movers still ends at its TICK, so that main's answer finds it.
    for (const { movers } of this.#of(session, asked)) movers.get(session)?.delete(asked);
  }

  /** Main has opened the target topic. */
  opened(move: Move, number: number): void {
    this.#hub.bind(move.to, number);
    move.armed = true;
  }

  /** Main cannot: the old topic is gone, and its sessions with it. */
  refused(move: Move): void {
    this.#end(move);
  }

  /** All rungs in the mask have just been flushed; real time always has. */
  tick(mask: number): void {
    for (const move of this.#all()) {
      if (move.armed && ((mask | 1) & (1 << RUNGS.indexOf(move.to.key.rung))) !== 0) this.#go(move);
    }
  }

  /** After a lap: the TICK that was waited for may be among what was lost. */
  startOver(): void {
    this.#requests.forget((request) => request.is === "move");
    for (const move of this.#all()) {
      move.armed = false;
      this.#requests.ask({ is: "move", move });
    }
  }

  #find(from: Topic, to: Topic): Move | undefined {
    return this.#moves.get(from)?.find((move) => move.to === to);
  }

  #all(): Move[] {
    return [...this.#moves.values()].flat();
  }

  /** Those that the subscription can be among. */
  #of(session: Session, asked: string): readonly Move[] {
    const stream = session.streams[session.indexOf(asked)];
    return (stream === undefined ? undefined : this.#moves.get(stream.topic)) ?? [];
  }

  #go(move: Move): void {
    const { from, to } = move;
    if (to.sessions === 0) {
      to.seq = from.seq;
      to.epoch = from.epoch;
      to.floor = from.floor;
    }
    to.family = from.family;
    // Opened after the channel had turned stale: whoever is on it already knew, whoever comes now may have seen it.
    if (from.staleJoiners !== null && to.staleJoiners === null) to.staleJoiners = this.#hub.sessionsOn(to);
    for (const [session, names] of move.movers) {
      for (const [asked, reason] of names) this.#moveOne(session, asked, from, to, reason);
    }
    this.#end(move);
  }

  #moveOne(session: Session, asked: string, from: Topic, to: Topic, reason: MoveReason): void {
    const at = session.open ? session.indexOf(asked) : -1;
    const stream = session.streams[at];
    if (stream === undefined || stream.topic !== from) return;
    this.#hub.replace(session, at, this.#hub.stream(to, asked, stream.combined));
    const push = session.wire.dialect.cadenceChanged(asked, to.key.rung, reason);
    if (push !== null) send(session, push, this.#counters);
  }

  #end(move: Move): void {
    const others = this.#moves.get(move.from)?.filter((other) => other !== move) ?? [];
    if (others.length === 0) this.#moves.delete(move.from);
    else this.#moves.set(move.from, others);
    move.from.uses--;
    move.to.uses--;
    this.#hub.release(move.from);
    this.#hub.release(move.to);
  }
}
