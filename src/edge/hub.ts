/**
 * The hub of one worker: which sessions are on which topic, and how a topic's bytes reach them.
 *
 * On the path: ring -> HUB -> Bun's publish -> sockets.
 * Invariants: a running subscription is one pointer in its session's list to a `Stream` that all sessions with the same
 * topic, asked name and envelope share; counts of a topic are the sums of its streams'; a topic that nobody is on and
 * nobody waits for is forgotten and main is told.
 */
import type { Dialect } from "../protocol/dialect.ts";
import type { EdgeToMain, Later, TopicInfo, TopicKey } from "../ring/messages.ts";
import { RUNGS } from "../ring/messages.ts";
import type { Counters, LatencyHistogram } from "./counters.ts";
import type { JoinRequest } from "./requests.ts";
import type { Session } from "./session/session.ts";

/** Bun's side of a publish; bytes sent, or 0 or -1 where the sockets did not take it all. */
export interface Broadcaster {
  publish(name: string, text: string): number;
}

/** One spelling and envelope of a topic, shared by all its sessions. */
export class Stream {
  readonly topic: Topic;
  readonly asked: string;
  readonly combined: boolean;
  /** Name in Bun's topic tree. */
  readonly name: string;
  readonly before: string;
  readonly after: string;
  /** Whom it is sent to: those of its sessions that are not left out. */
  sessions = 0;
  /** Published so far: frames, and bytes as they stand in each outbox; then bytes as of the last two marks of slow.ts. */
  frames = 0;
  bytes = 0;
  bytesMarked = 0;
  bytesBefore = 0;

  constructor(topic: Topic, asked: string, combined: boolean, name: string) {
    const { before, after } = topic.dialect.envelope(asked, combined);
    this.topic = topic;
    this.asked = asked;
    this.combined = combined;
    this.name = name;
    this.before = before;
    this.after = after;
  }
}

/** One stream of encoded bytes that this worker has sessions on, or is about to. */
export class Topic {
  readonly key: TopicKey;
  readonly dialect: Dialect;
  readonly latency: LatencyHistogram;
  readonly streams: Stream[] = [];
  /** The engine's number; 0 until the first answer. */
  number = 0;
  epoch = "";
  /** How its publications merge; set when somebody has joined it. */
  family: TopicInfo["family"] | null = null;
  /** Items published so far, while it had sessions here. */
  items = 0;
  /** Where every session on it stands; null while the channel never had a publication. */
  seq: number | null = null;
  sessions = 0;
  /** How joiners without a position of their own are served (ring/messages.ts), and with what. */
  later: Later = "ask";
  laterSeq: number | null = null;
  laterFrame: string | null = null;
  /** What else needs it: subscriptions not yet running, requests in flight, moves. */
  uses = 0;
  /** After a lap, until its catch-up: its publications are dropped. */
  behind = false;
  /** After a catch-up: a publication below it is part of that already. */
  floor = -1;
  /** While stale: who came after it had turned stale. Null: not stale. */
  staleJoiners: Set<Session> | null = null;
  /** Who waits to join it, by the position they have of it ("" is none). */
  readonly joins = new Map<string, JoinRequest>();

  constructor(key: TopicKey, dialect: Dialect, latency: LatencyHistogram) {
    this.key = key;
    this.dialect = dialect;
    this.latency = latency;
  }
}

/** What a WebSocket frame of ours has in front of its payload. */
export const frameHeadBytes = (size: number): number => (size < 126 ? 2 : size < 65_536 ? 4 : 10);

const keyText = (key: TopicKey): string => `${key.rung} ${key.dialect} ${key.timeUnit} ${key.channel}`;

export class Hub {
  /** Every open session; its place is `session.place`. */
  readonly sessions: Session[] = [];
  subscriptions = 0;
  readonly #counters: Counters;
  readonly #dialects: Readonly<Record<TopicKey["dialect"], Dialect>>;
  readonly #post: (message: EdgeToMain) => void;
  readonly #byKey = new Map<string, Topic>();
  readonly #byNumber = new Map<number, Topic>();
  #broadcaster: Broadcaster = { publish: () => 0 };
  #nextName = 1;

  constructor(
    counters: Counters,
    dialects: Readonly<Record<TopicKey["dialect"], Dialect>>,
    post: (message: EdgeToMain) => void,
  ) {
    this.#counters = counters;
    this.#dialects = dialects;
    this.#post = post;
  }

  /** The listener is open. */
  publishThrough(broadcaster: Broadcaster): void {
    this.#broadcaster = broadcaster;
  }

  // --- topics and streams -------------------------------------------------------------------------------------------

  topic(key: TopicKey): Topic {
    const text = keyText(key);
    let topic = this.#byKey.get(text);
    if (topic === undefined) {
      topic = new Topic(key, this.#dialects[key.dialect], this.#counters.histogram(key.channel));
      this.#byKey.set(text, topic);
    }
    return topic;
  }

  find(key: TopicKey): Topic | undefined {
    return this.#byKey.get(keyText(key));
  }

  byNumber(number: number): Topic | undefined {
    return this.#byNumber.get(number);
  }

  topics(): IterableIterator<Topic> {
    return this.#byKey.values();
  }

  /** A topic has only a handful of streams (spellings of one channel), so a scan finds it. */
  stream(topic: Topic, asked: string, combined: boolean): Stream {
    for (const stream of topic.streams) {
      if (stream.combined === combined && stream.asked === asked) return stream;
    }
    const stream = new Stream(topic, asked, combined, String(this.#nextName++));
    topic.streams.push(stream);
    return stream;
  }

  /** Main has said which number the topic has. */
  bind(topic: Topic, number: number): void {
    if (topic.number === number) return;
    if (topic.number !== 0) this.#byNumber.delete(topic.number);
    topic.number = number;
    this.#byNumber.set(number, topic);
  }

  /** Forgets the topic if nothing needs it any more. */
  release(topic: Topic): void {
    if (topic.sessions > 0 || topic.uses > 0) return;
    if (!this.#byKey.delete(keyText(topic.key))) return;
    if (topic.number === 0) return;
    this.#byNumber.delete(topic.number);
    this.#post({ is: "leave", topic: topic.number });
  }

  // --- sessions -----------------------------------------------------------------------------------------------------

  enter(session: Session): void {
    session.place = this.sessions.length;
    this.sessions.push(session);
  }

  /** The session's socket is closed. */
  exit(session: Session): void {
    const last = this.sessions.pop()!;
    if (last !== session) {
      this.sessions[session.place] = last;
      last.place = session.place;
    }
    session.place = -1;
    for (const stream of session.streams) this.#uncount(session, stream);
    session.streams.length = 0;
  }

  add(session: Session, stream: Stream): void {
    session.streams.push(stream);
    this.#join(session, stream);
    stream.topic.staleJoiners?.add(session);
  }

  /** Takes the session off its stream number `at`. */
  remove(session: Session, at: number): void {
    const [stream] = session.streams.splice(at, 1);
    session.socket.unsubscribe(stream!.name);
    session.watch?.ceilings.delete(stream!.asked);
    this.#uncount(session, stream!);
  }

  /** In one turn from stream number `at` to another: nothing is lost or doubled between two records of the ring. */
  replace(session: Session, at: number, stream: Stream): void {
    const old = session.streams[at]!;
    const joinedStale = old.topic.staleJoiners?.has(session) ?? true;
    const leftOut = session.watch?.leftOut.get(old);
    session.streams[at] = stream;
    if (leftOut === undefined) {
      this.#join(session, stream);
      session.socket.unsubscribe(old.name);
    } else {
      // Both stand on the same seq, so what it has missed is the same on both.
      const items = stream.topic.items - (old.topic.items - leftOut.items);
      session.watch?.leftOut.set(stream, { ...leftOut, items, asked: false });
      stream.topic.sessions++;
      this.subscriptions++;
    }
    if (joinedStale && stream.topic !== old.topic) stream.topic.staleJoiners?.add(session);
    this.#uncount(session, old, stream.topic);
  }

  /** The session stays subscribed, but the stream goes on without it. */
  mute(session: Session, stream: Stream): void {
    session.socket.unsubscribe(stream.name);
    stream.sessions--;
    session.watch?.left(stream);
    session.meter?.left(stream);
  }

  /** It gets the next publication of the stream again. */
  unmute(session: Session, stream: Stream): void {
    session.socket.subscribe(stream.name);
    stream.sessions++;
    session.watch?.joined(stream);
    session.meter?.joined(stream);
  }

  /** Looks at every session: for rare occasions. */
  sessionsOn(topic: Topic): Set<Session> {
    if (topic.sessions === 0) return new Set();
    return new Set(this.sessions.filter(({ streams }) => streams.some((stream) => stream.topic === topic)));
  }

  #join(session: Session, stream: Stream): void {
    this.unmute(session, stream);
    stream.topic.sessions++;
    this.subscriptions++;
  }

  #uncount(session: Session, stream: Stream, kept: Topic | null = null): void {
    const { topic } = stream;
    if (!session.watch?.leftOut.delete(stream)) {
      stream.sessions--;
      session.watch?.left(stream);
      session.meter?.left(stream);
    }
    topic.sessions--;
    // Without sessions its publications pass unread.
    if (topic.sessions === 0) topic.later = "ask";
    this.subscriptions--;
    if (topic === kept) return;
    topic.staleJoiners?.delete(session);
    this.release(topic);
  }

  // --- publishing ---------------------------------------------------------------------------------------------------

  /** Sends one frame's payload to every session on the topic, in each envelope in use. */
  publish(topic: Topic, payload: string): void {
    for (const stream of topic.streams) {
      if (stream.sessions === 0) continue;
      const frame = stream.before + payload + stream.after;
      const bytes = this.#broadcaster.publish(stream.name, frame);
      const size = bytes > 0 ? bytes : frame.length;
      stream.bytes += size + frameHeadBytes(size);
      stream.frames++;
      this.#counters.delivered += stream.sessions;
      this.#counters.deliveredBytes += stream.sessions * size;
    }
  }

  /** Sessions on each rung, by RUNGS index. */
  rungSessions(): number[] {
    const counts = RUNGS.map(() => 0);
    for (const topic of this.#byKey.values()) counts[RUNGS.indexOf(topic.key.rung)]! += topic.sessions;
    return counts;
  }
}
