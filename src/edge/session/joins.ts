/**
 * Joining: a subscription is INIT (asked) -> WAITING (its snapshot is requested) -> RUNNING (on the topic's stream).
 *
 * On the path: commands -> JOINS -> main -> ring (DIRECT) -> JOINS -> socket.
 * Invariants: a session's subscriptions are requested in order; the answer is read between two records of the stream, and
 * only then the session is put on it, so nothing is lost or doubled; the command's reply precedes the frames of its last
 * stream; an answer serves whoever waits when it is read, and where it can, whoever comes later (ring/messages.ts, Later).
 * At the limit: while the outbox is over `outboxBytesHigh` no snapshot is requested or sent; one turn spends at most
 * `joinTurnMsMax` on the sessions of one answer, the others ask again.
 */
import type { Position } from "../../channel/types.ts";
import { ERRORS } from "../../protocol/codes.ts";
import type { CommandId, StreamError, StreamOutcome } from "../../protocol/dialect.ts";
import type { DirectHead, Rung } from "../../ring/messages.ts";
import type { EdgeLimits } from "../config.ts";
import type { Counters } from "../counters.ts";
import type { Hub, Stream, Topic } from "../hub.ts";
import type { JoinRequest, Requests } from "../requests.ts";
import { type Session, send } from "./session.ts";

/** The reply of one command, sent when its last stream has ended one way or the other. */
export class Reply {
  readonly id: CommandId;
  readonly outcomes: StreamOutcome[] = [];
  readonly errors: StreamError[] = [];
  open = 0;

  constructor(id: CommandId, errors: readonly StreamError[]) {
    this.id = id;
    this.errors.push(...errors);
  }
}

/** One subscription, or one resync of a running one, on its way. */
export interface Pending {
  readonly session: Session;
  stream: Stream;
  readonly since: Position | null;
  /** Only a snapshot for a subscription that is running already. */
  readonly resync: boolean;
  /** The rung to be on in the end: it may be asked to change while the join is under way. */
  rung: Rung;
  state: "init" | "waiting" | "ended";
  /** Replies that wait for it; empty for streams of a URL. */
  readonly replies: Reply[];
}

/** What a session has under way, in the order it was asked. */
export interface Joins {
  readonly queue: Pending[];
  inFlight: number;
}

interface MoveStarter {
  start(session: Session, at: number, rung: Rung, reason: "client" | "slow"): void;
}

export class Joining {
  /** Sessions whose outbox was too full to go on. */
  readonly #held = new Set<Session>();
  readonly #hub: Hub;
  readonly #requests: Requests;
  readonly #counters: Counters;
  readonly #limits: EdgeLimits;
  readonly #moves: MoveStarter;
  readonly #nowMs: () => number;

  constructor(
    hub: Hub,
    requests: Requests,
    counters: Counters,
    limits: EdgeLimits,
    moves: MoveStarter,
    nowMs: () => number,
  ) {
    this.#hub = hub;
    this.#requests = requests;
    this.#counters = counters;
    this.#limits = limits;
    this.#moves = moves;
    this.#nowMs = nowMs;
  }

  // --- what commands ask --------------------------------------------------------------------------------------------

  /** INIT. Call `proceed` when the whole command is in. */
  begin(session: Session, stream: Stream, since: Position | null, resync: boolean, reply: Reply | null): void {
    session.joins ??= { queue: [], inFlight: 0 };
    stream.topic.uses++;
    const { rung } = stream.topic.key;
    const pending: Pending = { session, stream, since, resync, rung, state: "init", replies: [] };
    session.joins.queue.push(pending);
    if (reply !== null) this.follow(pending, reply);
  }

  /** One more command waits for a subscription that is under way. */
  follow(pending: Pending, reply: Reply): void {
    if (pending.replies.includes(reply)) return;
    pending.replies.push(reply);
    reply.open++;
  }

  find(session: Session, asked: string, resync = false): Pending | undefined {
    return session.joins?.queue.find((pending) => pending.resync === resync && pending.stream.asked === asked);
  }

  /** Requests what may be requested now, in order. */
  proceed(session: Session): void {
    const { joins } = session;
    let at = 0;
    while (joins !== null && session.joins === joins && at < joins.queue.length) {
      if (joins.inFlight >= this.#limits.joinsInFlightMax) return;
      const pending = joins.queue[at]!;
      if (pending.state === "init") {
        if (this.#full(session)) {
          this.#held.add(session);
          return;
        }
        joins.inFlight++;
        pending.state = "waiting";
        // It is out of the queue then, and the next one in its place.
        if (this.#runHere(pending)) continue;
        this.#request(pending);
      }
      at++;
    }
  }

  /** The client does not want it any more. */
  cancel(pending: Pending): void {
    this.#end(pending);
    for (const reply of pending.replies) this.#settle(pending.session, reply);
    this.#hub.release(pending.stream.topic);
    this.proceed(pending.session);
  }

  /** SET_PROPERTY while under way. */
  rewrap(session: Session, combined: boolean): void {
    for (const pending of session.joins?.queue ?? []) {
      pending.stream = this.#hub.stream(pending.stream.topic, pending.stream.asked, combined);
    }
  }

  /** The socket is closed. */
  forget(session: Session): void {
    this.#held.delete(session);
    const { joins } = session;
    if (joins === null) return;
    session.joins = null;
    for (const pending of joins.queue) {
      pending.state = "ended";
      pending.stream.topic.uses--;
      this.#hub.release(pending.stream.topic);
    }
  }

  /** Sends a command's reply if nothing of it is open. */
  finish(session: Session, reply: Reply): void {
    if (reply.open > 0) return;
    for (const { code } of reply.errors) this.#counters.error(code);
    const frame = session.wire.dialect.subscribed(reply.id, reply.outcomes, reply.errors);
    if (frame !== null) send(session, frame, this.#counters);
  }

  // --- what the outbox says -----------------------------------------------------------------------------------------

  /** A socket has taken some of its outbox. */
  drained(session: Session): void {
    if (this.#held.has(session) && !this.#full(session)) this.#release(session);
  }

  /** In case a drain came before the session was held. */
  sweep(): void {
    for (const session of this.#held) this.drained(session);
  }

  // --- what main answers --------------------------------------------------------------------------------------------

  /** `number` is the topic's; `frames` are payloads without envelope. */
  answered(request: JoinRequest, number: number, head: DirectHead, frames: readonly string[]): void {
    const { topic } = request;
    if (head.is === "joined") {
      this.#hub.bind(topic, number);
      topic.epoch = head.epoch;
      topic.family = head.family;
      if (topic.sessions === 0) {
        topic.seq = head.seq;
        topic.floor = -1;
      }
      if (request.since === null) {
        topic.later = head.later;
        topic.laterSeq = head.seq;
        topic.laterFrame = frames.at(-1) ?? null;
      }
    }
    const { waiting } = request;
    request.waiting = [];
    const left = this.#serve(waiting, head, frames);
    // Nobody has come: its publications pass unread, so whoever comes once others have moved here needs an answer of main.
    if (topic.sessions === 0) topic.later = "ask";
    request.asked = false;
    topic.uses--;
    request.waiting.push(...left);
    if (request.waiting.length === 0) topic.joins.delete(positionText(request.since));
    this.askFor(topic);
    this.#hub.release(topic);
  }

  /** A fresh snapshot for one session that is on the topic already. */
  resynced(only: Pending, head: DirectHead, frames: readonly string[]): void {
    const { topic } = only.stream;
    if (head.is === "joined") topic.epoch = head.epoch;
    this.#serve([only], head, frames);
    topic.uses--;
    this.#hub.release(topic);
  }

  /** Asks once for all who wait for the topic with the same position, or without one. */
  askFor(topic: Topic): void {
    if (topic.behind) return;
    for (const request of topic.joins.values()) this.#ask(request);
  }

  // --- inside -------------------------------------------------------------------------------------------------------

  #full(session: Session): boolean {
    return session.socket.getBufferedAmount() >= this.#limits.outboxBytesHigh;
  }

  #release(session: Session): void {
    this.#held.delete(session);
    this.proceed(session);
  }

  #request(pending: Pending): void {
    const { topic } = pending.stream;
    if (pending.resync) {
      topic.uses++;
      this.#requests.ask({ is: "resync", topic, only: pending });
      return;
    }
    const { since } = pending;
    const key = positionText(since);
    let request = topic.joins.get(key);
    if (request === undefined) {
      request = { is: "join", topic, since, waiting: [], asked: false };
      topic.joins.set(key, request);
    }
    request.waiting.push(pending);
    if (!topic.behind) this.#ask(request);
  }

  #ask(request: JoinRequest): void {
    if (request.asked || request.waiting.length === 0) return;
    request.asked = true;
    request.topic.uses++;
    this.#requests.ask(request);
  }

  /** A topic that runs here serves its later joiners by itself, if they need no more than it knows. */
  #runHere(pending: Pending): boolean {
    const { stream, since, resync } = pending;
    const { topic } = stream;
    if (topic.later === "ask" || topic.sessions === 0 || topic.behind || resync) return false;
    const { later, family, epoch, laterSeq: seq, laterFrame } = topic;
    if (family === null || (since !== null && !isKnownHere(topic, since))) return false;
    const needsLatest = later === "latest" && laterFrame !== null && since?.seq !== seq;
    const frames = needsLatest ? [stream.before + laterFrame + stream.after] : [];
    this.#run(pending, { is: "joined", family, epoch, seq, recovered: since !== null, later }, frames);
    return true;
  }

  /** Serves all of `waiting` it has time for; returns the others. */
  #serve(waiting: readonly Pending[], head: DirectHead, frames: readonly string[]): readonly Pending[] {
    const start = this.#nowMs();
    let stream: Stream | null = null;
    let wrapped: string[] = [];
    for (let at = 0; at < waiting.length; at++) {
      const pending = waiting[at]!;
      if (pending.state !== "waiting") continue;
      if (head.is !== "joined") {
        this.#refuse(pending, head);
        continue;
      }
      if (at % 16 === 15 && this.#nowMs() - start > this.#limits.joinTurnMsMax) return waiting.slice(at);
      if (this.#full(pending.session)) {
        this.#putBack(pending);
        continue;
      }
      if (pending.stream !== stream) {
        stream = pending.stream;
        wrapped = frames.map((frame) => pending.stream.before + frame + pending.stream.after);
      }
      pending.session.socket.cork(() => this.#run(pending, head, wrapped));
      this.proceed(pending.session);
    }
    return [];
  }

  /** The outbox is too full for the snapshot: the subscription stays in its place and asks again after drain. */
  #putBack(pending: Pending): void {
    pending.state = "init";
    if (pending.session.joins !== null) pending.session.joins.inFlight--;
    this.#held.add(pending.session);
  }

  /** RUNNING: reply if it is the last of its command, frames, then the stream. */
  #run(pending: Pending, head: DirectHead & { is: "joined" }, frames: readonly string[]): void {
    const { session, stream } = pending;
    this.#end(pending);
    const { epoch, seq, recovered } = head;
    const outcome: StreamOutcome = { asked: stream.asked, epoch, seq, rung: pending.rung, recovered };
    for (const reply of pending.replies) {
      reply.outcomes.push(outcome);
      this.#settle(session, reply);
    }
    for (const frame of frames) send(session, frame, this.#counters);
    if (!session.open || pending.resync) return;
    this.#hub.add(session, stream);
    if (pending.rung !== stream.topic.key.rung) {
      this.#moves.start(session, session.streams.length - 1, pending.rung, "client");
    }
  }

  #refuse(pending: Pending, head: DirectHead): void {
    const { session } = pending;
    const { asked } = pending.stream;
    const { code, message } = head.is === "refused" ? head : ERRORS.UNKNOWN_CHANNEL;
    this.#end(pending);
    for (const reply of pending.replies) {
      reply.errors.push({ asked, code, message });
      this.#settle(session, reply);
    }
    this.proceed(session);
  }

  /** Takes it out of its session's queue. The caller releases the topic once it has settled what follows. */
  #end(pending: Pending): void {
    const { joins } = pending.session;
    pending.stream.topic.uses--;
    if (joins !== null) {
      if (pending.state === "waiting") joins.inFlight--;
      joins.queue.splice(joins.queue.indexOf(pending), 1);
      if (joins.queue.length === 0) pending.session.joins = null;
    }
    pending.state = "ended";
  }

  #settle(session: Session, reply: Reply): void {
    reply.open--;
    this.finish(session, reply);
  }
}

/** Whether what followed the position is nothing, or, of a value, what the topic's latest frame says. */
function isKnownHere({ epoch, laterSeq, family }: Topic, since: Position): boolean {
  if (since.epoch !== epoch || laterSeq === null) return false;
  return since.seq === laterSeq || (family === "value" && since.seq < laterSeq);
}

const positionText = (since: Position | null): string => (since === null ? "" : `${since.seq} ${since.epoch}`);
