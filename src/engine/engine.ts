/**
 * The engine: everything between the bus and the ring, for the channels this node's sessions want.
 *
 * On the path: follower -> ENGINE (channel states, rungs, cadence, encode once) -> ring -> edge workers.
 * Invariants: one thread; a join is answered by one DIRECT per request; whatever a worker reads from the ring is in stream
 * order; nothing here knows a session.
 */
import type { Subscription } from "../bus/bus.ts";
import type { ChannelConsumer } from "../bus/consumer.ts";
import type { Catalog, Channel } from "../channel/channel.ts";
import type { Pace } from "../channel/topic-settings.ts";
import type { Position } from "../channel/types.ts";
import type { Clock } from "../lib/clock.ts";
import { assert, GatewayError } from "../lib/errors.ts";
import { ERRORS } from "../protocol/codes.ts";
import type { EncoderFactory } from "../protocol/encoder.ts";
import type { Control, DirectHead, EdgeToMain, Later, TopicKey } from "../ring/messages.ts";
import { RecordKind } from "../ring/messages.ts";
import type { RingWriter } from "../ring/ring.ts";
import type { Instruments } from "./all-market.ts";
import type { Answer } from "./answers.ts";
import { Cadence } from "./cadence.ts";
import { ChannelState } from "./channel-state.ts";
import { type EngineCounters, engineCounters } from "./counters.ts";
import { type DepthReply, depthReply } from "./depth.ts";
import { History } from "./history.ts";
import { HISTORY_LIMITS, HISTORY_TOTAL_MAX, type HistoryOf, HistoryShares } from "./history-limits.ts";
import { Interest } from "./interest.ts";
import { type Question, Questions } from "./questions.ts";
import { reached } from "./reach.ts";
import { Snapshots } from "./snapshots.ts";
import { type Topic, Topics } from "./topics.ts";
import { type Failure, OwnerPatience } from "./waiters.ts";
import { WakingRing } from "./waking-ring.ts";

/** A REST request waits this long for the book. */
const REST_WAIT_MS = 300;

export interface EngineOptions {
  readonly ring: RingWriter;
  readonly clock: Clock;
  readonly catalog: Catalog;
  readonly follower: { follow(channel: string, consumer: ChannelConsumer): Subscription };
  readonly encoders: Readonly<Record<TopicKey["dialect"], EncoderFactory>>;
  /** Whose channels all-market ones are made of; without it those stay empty. */
  readonly instruments?: Instruments;
  /** What the settings of a channel's topic say of its history; default: the table of history-limits.ts. */
  readonly historyOf?: HistoryOf;
  /** What they say of its flushes; default: only the instants of each cadence. */
  readonly paceOf?: (channel: Channel) => Pace | null;
  /** Publications kept in all channels together. */
  readonly historyTotalMax?: number;
}

const NO_INSTRUMENTS: Instruments = { list: () => [], onChange: () => () => undefined };

type Joining = Extract<EdgeToMain, { is: "join" }>;

export class Engine {
  readonly counters: EngineCounters = engineCounters();
  readonly #options: EngineOptions;
  readonly #interest: Interest;
  readonly #topics: Topics;
  readonly #cadence: Cadence;
  readonly #snapshots: Snapshots;
  readonly #questions = new Questions();
  readonly #ring: RingWriter;
  readonly #shares: HistoryShares;
  readonly #patience: OwnerPatience;
  /** How many workers have died in each place: a late answer must not reach a successor. */
  readonly #deaths = new Map<number, number>();

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#ring = new WakingRing(options.ring);
    this.#topics = new Topics(this.#ring, options.encoders);
    this.#cadence = new Cadence(options.clock, this.#ring);
    this.#snapshots = new Snapshots(options.clock, this.#ring);
    this.#shares = new HistoryShares(options.historyTotalMax ?? HISTORY_TOTAL_MAX);
    this.#patience = new OwnerPatience(options.clock);
    this.#interest = new Interest({
      ...{ clock: options.clock, catalog: options.catalog, follower: options.follower },
      instruments: options.instruments ?? NO_INSTRUMENTS,
      stateOf: (channel, settled) => this.#stateOf(channel, settled),
      closed: (channel) => this.#snapshots.forget(channel),
    });
  }

  /** What an edge worker says. Messages of one worker come in order. */
  handle(worker: number, message: EdgeToMain): void {
    switch (message.is) {
      case "join":
        this.#join(worker, message);
        break;
      case "move":
        this.#move(worker, message.request, message.from, message.key);
        break;
      case "resync":
        this.#resync(worker, message);
        break;
      case "leave": {
        const topic = this.#topics.get(message.topic);
        if (topic) this.#leave(topic, worker);
        break;
      }
      case "lapped":
        this.#repair(worker, message.request, message.topics);
        break;
      default:
        assert(false, `the engine does not handle ${message.is}`);
    }
  }

  /** A worker died: its interest is gone. */
  workerGone(worker: number): void {
    this.#deaths.set(worker, (this.#deaths.get(worker) ?? 0) + 1);
    this.#questions.gone(worker);
    for (const topic of [...this.#topics.all()]) if (topic.workers.has(worker)) this.#leave(topic, worker);
  }

  /**
   * The book of a channel for REST: cached per limit, never behind a Binance stream of the channel here, nor behind
   * `atLeast`, which it has reached.
   */
  async depth(name: string, limit: number, atLeast = -1): Promise<DepthReply> {
    const channel = this.#options.catalog.resolve(name);
    if (channel?.family !== "book") return { is: "unknown" };
    const entry = this.#interest.open(channel);
    const { clock } = this.#options;
    this.#interest.keep(entry);
    const failed = !entry.state.ready && (await this.#readyWithin(entry.state, REST_WAIT_MS));
    return failed ? { is: "unavailable" } : depthReply(entry.state, limit, clock.monotonicMs(), atLeast);
  }

  /** Whether the book that REST keeps comes to `position` within `ms`, and can be trusted there. */
  reaches(name: string, position: Position, ms: number): Promise<boolean> {
    const state = this.#interest.find(name)?.state;
    return state === undefined ? Promise.resolve(false) : reached(state, position, this.#options.clock, ms);
  }

  /** Channels with interest, and which of them are stale. */
  status(): { channels: number; topics: number; stale: { channel: string; reason: string }[] } {
    const stale: { channel: string; reason: string }[] = [];
    for (const { state } of this.#interest.all()) {
      if (state.staleReason !== null) stale.push({ channel: state.channel.name, reason: state.staleReason });
    }
    return { channels: this.#interest.size, topics: this.#topics.size, stale };
  }

  close(): void {
    this.#cadence.stop();
    this.#interest.close();
  }

  // --- joins ------------------------------------------------------------------------------------------------------

  #join(worker: number, { request, instead, key, since }: Joining): void {
    if (this.#questions.again(worker, request, instead)) return;
    const channel = this.#options.catalog.resolve(key.channel);
    if (channel === null) {
      this.#direct(worker, 0, request, { is: "unknown" });
      return;
    }
    const entry = this.#interest.open(channel);
    const { state } = entry;
    const alive = this.#lifeOf(worker);
    const question = this.#questions.begin(worker, request);
    const ready = (failure: Failure | null): void => {
      if (!alive()) return;
      if (failure) {
        this.#questions.end(question);
        this.#direct(worker, 0, question.request, { is: "refused", ...failure });
        this.#interest.closeIfUnused(entry);
        return;
      }
      const topic = this.#openTopic(state, key, worker);
      if (key.dialect === "binance") this.#interest.showTop(entry);
      const answer = () => alive() && this.#answerJoin(question, topic, since);
      // Only whole books are dear enough to be paced.
      if (channel.family === "book" && key.dialect === "native") this.#snapshots.paced(channel.name, answer);
      else if (key.dialect === "binance") state.whenTop(() => this.#snapshots.unpaced(answer));
      else this.#snapshots.unpaced(answer);
    };
    if (since === null) state.whenReady(ready);
    else state.whenOwned(ready);
  }

  #answerJoin(question: Question, topic: Topic, since: Position | null): void {
    const { worker, request } = question;
    this.#questions.end(question);
    const state = this.#interest.find(topic.info.channel)?.state;
    // The worker left, or died, while the answer waited.
    if (!state || !topic.workers.has(worker)) return;
    const { frames, seq, exact } = state.answers.join(topic, since);
    this.counters.snapshots++;
    this.#direct(
      worker,
      topic.number,
      request,
      {
        is: "joined",
        family: topic.info.family,
        epoch: state.header.epoch,
        seq,
        recovered: exact,
        later: laterOf(state, topic),
      },
      frames,
    );
  }

  #resync(worker: number, { request, instead, topic: number }: Extract<EdgeToMain, { is: "resync" }>): void {
    if (this.#questions.again(worker, request, instead)) return;
    const topic = this.#topics.get(number);
    if (!topic) {
      const { code, message } = ERRORS.NOT_SUBSCRIBED;
      this.#direct(worker, number, request, { is: "refused", code, message });
      return;
    }
    const alive = this.#lifeOf(worker);
    const question = this.#questions.begin(worker, request);
    this.#snapshots.paced(topic.info.channel, () => alive() && this.#answerJoin(question, topic, null));
  }

  #move(worker: number, request: number, from: number, key: TopicKey): void {
    const old = this.#topics.get(from);
    const state = old && this.#interest.find(old.info.channel)?.state;
    const rung = old && state?.rungs.get(old.info.rung);
    if (!state || !rung) {
      this.#direct(worker, from, request, { is: "unknown" });
      return;
    }
    const topic = this.#openTopic(state, key, worker);
    state.moving(rung.period, key.rung);
    this.#direct(worker, topic.number, request, { is: "open" });
    this.#cadence.move(rung, key.rung);
  }

  #openTopic(state: ChannelState, key: TopicKey, worker: number): Topic {
    const { topic, fresh } = this.#topics.open(state.channel, key, worker);
    if (fresh) state.attach(topic);
    return topic;
  }

  // --- after a lap ------------------------------------------------------------------------------------------------

  #repair(worker: number, request: number, topics: readonly (readonly [topic: number, seq: number])[]): void {
    this.counters.repairs++;
    for (const topic of this.#topics.all()) if (topic.workers.has(worker)) this.#topics.announce(topic);
    const alive = this.#lifeOf(worker);
    for (const [number, seen] of topics) {
      this.#snapshots.unpaced(() => {
        if (!alive()) return;
        const topic = this.#topics.get(number);
        const state = topic && this.#interest.find(topic.info.channel)?.state;
        const answer: Answer | null = topic && state ? state.answers.catchUp(topic, seen) : null;
        if (!answer) {
          this.#direct(worker, number, request, { is: "lost" });
          return;
        }
        if (topic && state?.staleReason && topic.info.dialect === "binance")
          this.#control({ do: "stale", topic: number });
        this.#direct(worker, number, request, { is: "caughtUp", seq: answer.seq }, answer.frames);
      });
    }
    this.#snapshots.unpaced(() => alive() && this.#direct(worker, 0, request, { is: "repaired" }));
  }

  /** A question to ask later: is the worker of now still the one in that place? */
  #lifeOf(worker: number): () => boolean {
    const deaths = this.#deaths.get(worker);
    return () => this.#deaths.get(worker) === deaths;
  }

  // --- interest ---------------------------------------------------------------------------------------------------

  #stateOf(channel: Channel, settled: () => void): ChannelState {
    const { clock, historyOf, paceOf } = this.#options;
    const limits = { ...HISTORY_LIMITS[channel.family], ...historyOf?.(channel) };
    return new ChannelState(channel, {
      history: new History(limits, this.#shares),
      pace: paceOf?.(channel) ?? null,
      ring: this.#ring,
      clock,
      counters: this.counters,
      control: (control) => this.#control(control),
      dirty: (rung) => this.#cadence.dirty(rung),
      settled,
      patience: this.#patience,
    });
  }

  #leave(topic: Topic, worker: number): void {
    if (!this.#topics.leave(topic, worker)) return;
    const entry = this.#interest.find(topic.info.channel);
    if (!entry) return;
    entry.state.detach(topic);
    this.#interest.closeIfUnused(entry);
  }

  #readyWithin(state: ChannelState, ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(ms, () => {
        waiting.close();
        resolve(true);
      });
      const waiting = state.whenReady((failure) => {
        timer.cancel();
        resolve(failure !== null);
      });
    });
  }

  // --- the ring ---------------------------------------------------------------------------------------------------

  #direct(worker: number, topic: number, request: number, head: DirectHead, frames: readonly string[] = []): void {
    const payload = frames.length === 0 ? JSON.stringify(head) : `${JSON.stringify(head)}\n${frames.join("\n")}`;
    const seq = "seq" in head && head.seq !== null ? head.seq : -1;
    try {
      this.#ring.write(RecordKind.DIRECT, { worker, topic, request, seq }, payload);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      this.counters.oversize++;
      const refused: DirectHead = {
        is: "refused",
        code: ERRORS.UNAVAILABLE.code,
        message: "snapshot too big for the ring",
      };
      // The worker may have lost the topic's number in a lap, and must be able to leave it.
      const refusedTopic = this.#topics.get(topic);
      if (refusedTopic) this.#topics.announce(refusedTopic);
      this.#ring.write(RecordKind.DIRECT, { worker, topic, request, seq: -1 }, JSON.stringify(refused));
    }
  }

  #control(control: Control): void {
    this.#ring.write(RecordKind.CONTROL, {}, JSON.stringify(control));
  }
}

/** A book's snapshot, and whatever is to be said about a stale channel, comes from here each time. */
function laterOf(state: ChannelState, topic: Topic): Later {
  // The latest frame of an all-market channel holds what changed last, not the whole market.
  if (state.staleReason !== null || state.channel.all !== undefined) return "ask";
  switch (topic.info.family) {
    case "book":
      return topic.info.dialect === "binance" ? "position" : "ask";
    case "items":
      return "position";
    default:
      return "latest";
  }
}
