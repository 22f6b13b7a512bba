/**
 * Commands: what a client's frame makes its session do.
 *
 * On the path: listener -> limits -> COMMANDS (dialect.decode) -> joins, moves, hub.
 * Invariants: every command gets exactly one reply, with the client's id; subscribing twice and unsubscribing from nothing
 * are no errors; nothing here depends on which dialect it is but `overLimit`.
 * At the limit: more than `subscriptionsMax` is refused (native: channel by channel, Binance: the whole command); a
 * cadence faster than the topic's rate is the fastest that is not.
 */
import type { TopicSettings } from "../../channel/topic-settings.ts";
import { ERRORS } from "../../protocol/codes.ts";
import type { Command, CommandId, StreamOutcome, StreamRequest } from "../../protocol/dialect.ts";
import { RUNGS, type Rung, rungNotFaster } from "../../ring/messages.ts";
import type { EdgeLimits } from "../config.ts";
import type { Counters } from "../counters.ts";
import type { Hub } from "../hub.ts";
import { type Joining, Reply } from "./joins.ts";
import type { Moves } from "./moves.ts";
import { type Session, send, type Wire } from "./session.ts";

export class Commands {
  readonly #hub: Hub;
  readonly #joining: Joining;
  readonly #moves: Moves;
  readonly #counters: Counters;
  readonly #limits: EdgeLimits;
  readonly #topics: Pick<TopicSettings, "of">;

  constructor(
    hub: Hub,
    joining: Joining,
    moves: Moves,
    counters: Counters,
    limits: EdgeLimits,
    topics: Pick<TopicSettings, "of">,
  ) {
    this.#hub = hub;
    this.#joining = joining;
    this.#moves = moves;
    this.#counters = counters;
    this.#limits = limits;
    this.#topics = topics;
  }

  /** One text frame. */
  execute(session: Session, frame: string): void {
    const { dialect, opening } = session.wire;
    const command = dialect.decode(frame, opening);
    switch (command.op) {
      case "subscribe":
        this.#subscribe(session, command);
        break;
      case "unsubscribe":
        for (const asked of command.asked) this.#unsubscribe(session, asked);
        this.#reply(session, dialect.unsubscribed(command.id, command.asked));
        break;
      case "subscriptions":
        this.#reply(session, dialect.subscriptions(command.id, this.#list(session)));
        break;
      case "ping":
        this.#reply(session, dialect.pong(command.id));
        break;
      case "resync":
        this.#resync(session, command.id, command.asked);
        break;
      case "cadence":
        this.#cadence(session, command);
        break;
      case "setCombined":
        if (command.value !== opening.combined) this.#rewrap(session, session.wire.other());
        this.#reply(session, dialect.property(command.id, null));
        break;
      case "getCombined":
        this.#reply(session, dialect.property(command.id, opening.combined));
        break;
      case "refused":
        this.#counters.error(command.code);
        this.#reply(session, command.frame);
        break;
    }
  }

  /** A command over the rate: refused, with its id where it has one. */
  refuse(session: Session, frame: string | null, error: { readonly code: number; readonly message: string }): void {
    const { dialect, opening } = session.wire;
    const command = frame === null ? null : dialect.decode(frame, opening);
    const id = command === null || command.op === "refused" ? undefined : command.id;
    this.#counters.error(error.code);
    this.#reply(session, dialect.refusal(id, error.code, error.message));
  }

  /** The streams of the URL: no reply. */
  begin(session: Session, streams: readonly StreamRequest[]): void {
    const room = this.#limits.subscriptionsMax;
    if (streams.length > room) this.#counters.limited("subscriptionsMax", streams.length - room);
    for (const request of streams.slice(0, room)) {
      if (this.#topics.of(request.channel).auth === "private") continue;
      if (this.#joining.find(session, request.asked) === undefined) this.#join(session, request, null);
    }
    this.#joining.proceed(session);
  }

  #reply(session: Session, frame: string): void {
    send(session, frame, this.#counters);
  }

  // --- subscribe ----------------------------------------------------------------------------------------------------

  #subscribe(session: Session, command: Command & { op: "subscribe" }): void {
    const reply = new Reply(command.id, command.bad);
    let room = this.#limits.subscriptionsMax - session.streams.length - (session.joins?.queue.length ?? 0);
    if (session.wire.dialect.name === "binance" && this.#fresh(session, command.streams) > room) {
      this.#counters.error(ERRORS.TOO_MANY_SUBSCRIPTIONS.code);
      this.#counters.limited("subscriptionsMax");
      const { subscriptionsMax } = this.#limits;
      this.#reply(session, session.wire.dialect.tooManySubscriptions(command.id, subscriptionsMax));
      return;
    }
    for (const request of command.streams) {
      if (this.#topics.of(request.channel).auth === "private") {
        const { code, message } = ERRORS.LOGIN_REQUIRED;
        reply.errors.push({ asked: request.asked, code, message });
        continue;
      }
      if (this.#again(session, request, reply)) continue;
      if (room-- > 0) this.#join(session, request, reply);
      else {
        this.#counters.limited("subscriptionsMax");
        reply.errors.push(overLimit(request.asked, this.#limits.subscriptionsMax));
      }
    }
    this.#joining.finish(session, reply);
    this.#joining.proceed(session);
  }

  /** How many of the streams the session does not have yet. */
  #fresh(session: Session, streams: readonly StreamRequest[]): number {
    const names = new Set<string>();
    for (const { asked } of streams) {
      if (session.indexOf(asked) < 0 && this.#joining.find(session, asked) === undefined) names.add(asked);
    }
    return names.size;
  }

  /** Subscribed already, or about to be: no second stream; another rung is a change of cadence. */
  #again(session: Session, request: StreamRequest, reply: Reply): boolean {
    const { asked } = request;
    const rung = this.#held(request.channel, request.rung);
    const at = session.indexOf(asked);
    if (at >= 0) {
      reply.outcomes.push({ ...outcomeOf(session, at), rung: this.#moves.ask(session, at, rung) });
      return true;
    }
    const pending = this.#joining.find(session, asked);
    if (pending === undefined) return false;
    pending.rung = rung;
    this.#joining.follow(pending, reply);
    return true;
  }

  #join(session: Session, { asked, channel, since, ...wanted }: StreamRequest, reply: Reply | null): void {
    const rung = this.#held(channel, wanted.rung);
    const { form, combined } = session.wire.opening;
    const topic = this.#hub.topic({ channel, rung, dialect: form.dialect, timeUnit: form.timeUnit });
    this.#joining.begin(session, this.#hub.stream(topic, asked, combined), since, false, reply);
  }

  /** The rung that holds for a channel: not faster than its topic's rate. */
  #held(channel: string, rung: Rung): Rung {
    const least = rungNotFaster(this.#topics.of(channel).periodMsMin) ?? RUNGS.at(-1)!;
    return rung > least ? rung : least;
  }

  // --- the others ---------------------------------------------------------------------------------------------------

  #unsubscribe(session: Session, asked: string): void {
    const pending = this.#joining.find(session, asked);
    if (pending !== undefined) this.#joining.cancel(pending);
    const at = session.indexOf(asked);
    if (at < 0) return;
    this.#moves.cancel(session, asked);
    this.#hub.remove(session, at);
  }

  #resync(session: Session, id: CommandId, asked: string): void {
    const at = session.indexOf(asked);
    const reply = new Reply(id, []);
    // A snapshot may be on the way already: it serves this command too.
    const pending = this.#joining.find(session, asked, at >= 0);
    if (pending !== undefined) this.#joining.follow(pending, reply);
    else if (at < 0) this.#notSubscribed(session, id, asked);
    else this.#joining.begin(session, session.streams[at]!, null, true, reply);
    this.#joining.proceed(session);
  }

  #cadence(session: Session, { id, asked, rung: wanted }: Command & { op: "cadence" }): void {
    const at = session.indexOf(asked);
    const pending = at < 0 ? this.#joining.find(session, asked) : undefined;
    if (at < 0 && pending === undefined) {
      this.#notSubscribed(session, id, asked);
      return;
    }
    const { channel } = (pending?.stream ?? session.streams[at]!).topic.key;
    const rung = this.#held(channel, wanted);
    if (pending !== undefined) pending.rung = rung;
    const holds = pending !== undefined ? rung : this.#moves.ask(session, at, rung);
    this.#reply(session, session.wire.dialect.cadenceAccepted(id, asked, holds));
  }

  #notSubscribed(session: Session, id: CommandId, asked: string): void {
    const { code, message } = ERRORS.NOT_SUBSCRIBED;
    this.#counters.error(code);
    this.#reply(session, session.wire.dialect.refusal(id, code, message, asked));
  }

  /** SET_PROPERTY: every stream of the session gets the other envelope, in one turn. */
  #rewrap(session: Session, wire: Wire): void {
    session.wire = wire;
    const { combined } = wire.opening;
    for (let at = 0; at < session.streams.length; at++) {
      const { topic, asked } = session.streams[at]!;
      this.#hub.replace(session, at, this.#hub.stream(topic, asked, combined));
    }
    this.#joining.rewrap(session, combined);
  }

  /** Running ones, then those under way (without a position yet). */
  #list(session: Session): StreamOutcome[] {
    const list = session.streams.map((_, at) => outcomeOf(session, at));
    for (const { stream, rung, resync } of session.joins?.queue ?? []) {
      if (!resync) list.push({ asked: stream.asked, epoch: "", seq: null, rung, recovered: false });
    }
    return list;
  }
}

const overLimit = (asked: string, max: number) => ({
  asked,
  code: ERRORS.TOO_MANY_SUBSCRIPTIONS.code,
  message: `${ERRORS.TOO_MANY_SUBSCRIPTIONS.message}: a session may have ${max}`,
});

/** Where a running subscription stands. */
function outcomeOf(session: Session, at: number): StreamOutcome {
  const { asked, topic } = session.streams[at]!;
  return { asked, epoch: topic.epoch, seq: topic.seq, rung: topic.key.rung, recovered: false };
}
