/**
 * One subscription: its chain, what is kept of it, whether that can be trusted, and who is told.
 *
 * On the path: client -> STREAM -> listeners, content (iterators).
 * Invariants: pushes are handed on in order and once; whatever is missing is told before what follows it.
 * At the limit: a chain that breaks again and again is mended ever more slowly (repairs.ts); items that the node cannot
 * mend are told as a gap.
 */
import { Backoff } from "./backoff.ts";
import type { Book } from "./book.ts";
import { Chain } from "./chain.ts";
import { Content } from "./content.ts";
import { isPassing, TidegateError, UNKNOWN_CHANNEL } from "./errors.ts";
import { type ChannelEvents, Emitter, type Gap, type Listener } from "./events.ts";
import type { ChannelPush, DataPush, DeltaPush, GapPush, Outcome, Position, SnapshotPush } from "./frames.ts";
import { cadenceFault } from "./options.ts";
import { Pace } from "./pace.ts";
import { Repairs } from "./repairs.ts";
import { Settling } from "./settling.ts";
import type { AnyUpdate, Subscription, SubscriptionState } from "./subscription.ts";
import { Trust } from "./trust.ts";
import { Verifier, type VerifierHost } from "./verifier.ts";

/** So long a refusal that nobody has heard of waits for somebody to ask. */
const UNHEARD_MS = 1000;

/** What a stream wants of the node besides being subscribed; `reopen`: unsubscribe, then subscribe from where it stands. */
export type Want = "resync" | "reopen" | "cadence";

export interface StreamHost extends VerifierHost {
  /** Items or candles that an iterator may hold. */
  readonly buffer: number;
  /** It is idle, or its `wanted` has grown. */
  wants(stream: Stream): void;
  left(stream: Stream): void;
  emit<Name extends keyof ChannelEvents>(name: Name, event: ChannelEvents[Name]): void;
  hears(name: keyof ChannelEvents): boolean;
}

export class Stream implements Subscription {
  readonly channel: string;
  /** `idle`: to be subscribed. `asked`: its reply is awaited. */
  phase: "idle" | "asked" | "running" | "over" = "idle";
  /** Id of the subscribe whose reply counts. */
  askedId = 0;
  /** Not to be subscribed before this time. */
  notBeforeMs = 0;
  readonly wanted = new Set<Want>();

  readonly #host: StreamHost;
  readonly #chain = new Chain();
  readonly #content: Content;
  readonly #trust = new Trust();
  readonly #repairs: Repairs;
  readonly #refusals: Backoff;
  readonly #verifier: Verifier;
  readonly #pace: Pace;
  readonly #events = new Emitter<ChannelEvents>();
  readonly #ready = new Settling<this>();
  #outcome: "refused" | "ended" | null = null;
  #hasRun = false;
  #sinceSent = false;
  /** Where it would have gone on from if it is lossless, which is not known yet. */
  #unsure: number | null = null;
  /** A reply named another epoch, and no gap has said so of the items yet. */
  #owesEpochGap = false;
  /** What is missing was asked for and the reply is awaited. */
  #repairing = false;
  #cancelRepair: () => void = () => undefined;

  constructor(channel: string, cadence: number | null, since: Position | null, host: StreamHost) {
    this.channel = channel;
    this.#host = host;
    this.#pace = new Pace(cadence);
    this.#content = new Content(channel, host.buffer, () => !this.#trust.isFresh);
    this.#repairs = new Repairs(host.random);
    this.#verifier = new Verifier(
      host,
      () => this.#trust.state === "fresh" && this.#want("resync"),
      (differences, push) => this.#emit("broken", { channel, reason: "different", push, differences }),
    );
    this.#refusals = new Backoff(200, 10_000, host.random);
    if (since !== null) this.#chain.resume(since);
  }

  // --- what its user asks -----------------------------------------------------------------------------------------------

  get state(): SubscriptionState {
    return this.#outcome ?? this.#trust.state;
  }

  get cadence(): number | null {
    return this.#pace.now;
  }

  get position(): Position | null {
    return this.#chain.position ?? (this.#content.family === "items" ? this.#chain.start : null);
  }

  /** Of a channel that is a book. */
  get book(): Book | null {
    return this.#content.book;
  }

  get value(): unknown {
    return this.#content.value;
  }

  get ready(): Promise<this> {
    return this.#ready.promise;
  }

  on<Name extends keyof ChannelEvents>(name: Name, listener: Listener<ChannelEvents[Name]>): () => void {
    return this.#events.on(name, listener);
  }

  [Symbol.asyncIterator](): AsyncIterator<AnyUpdate, undefined> {
    const updates = this.#content.iterate();
    if (this.#outcome !== null) this.#content.finish(null);
    return updates;
  }

  setCadence(ms: number): Promise<number> {
    const { channel } = this;
    if (this.phase === "over") return Promise.reject(new TidegateError("CLOSED", `${channel} has ended`, channel));
    const fault = cadenceFault(ms);
    return fault === null ? this.changeCadence(ms).promise : Promise.reject(fault);
  }

  /** As `setCadence`, for who does not wait for the answer. */
  changeCadence(ms: number): Settling<number> {
    const waiting = this.#pace.want(ms);
    // Before it is subscribed, the cadence is part of that.
    this.#want("cadence");
    return waiting;
  }

  unsubscribe(): void {
    if (this.phase === "over") return;
    this.#host.left(this);
    this.end(null);
  }

  // --- what the client says ---------------------------------------------------------------------------------------------

  /** What to ask for, ms; null: real time. */
  get cadenceWanted(): number | null {
    return this.#pace.wanted;
  }

  /** The position that its next subscribe goes on from; null: from now. */
  sinceToSend(): Position | null {
    const { position, start } = this.#chain;
    const { family, last } = this.#content;
    if (position === null && start !== null) {
      // Nothing has come yet, but from there on nothing may be missed.
      if (family === "items") this.#chain.resume(start);
      else if (family === "unknown") this.#unsure ??= start.seq;
    }
    // A book goes on only if there is one.
    const since = family === "book" && last === null ? null : this.#chain.position;
    this.#sinceSent = since !== null;
    return since;
  }

  /** There is no connection any more, or another one. */
  disconnected(): void {
    if (this.phase === "over") return;
    this.phase = "idle";
    this.wanted.clear();
    this.notBeforeMs = 0;
    this.#cancelRepair();
    this.#verifier.stop();
    this.#repairing = false;
    this.#trust.disconnected();
    this.#look();
  }

  /** The reply to its subscribe. */
  running(outcome: Outcome): void {
    const { channel } = this;
    const { have } = this.#chain;
    this.phase = "running";
    this.#hasRun = true;
    this.#refusals.reset();
    const isNewEpoch = this.#begins(outcome);
    this.#emit("running", { channel, ...outcome });
    // For candles the node has no word for it.
    const isIncomplete = this.#content.family === "candles" && this.#sinceSent && outcome.recovered === false;
    if (isIncomplete && have !== null && !isNewEpoch && (outcome.seq ?? 0) > have)
      this.#missing(have + 1, outcome.seq ?? 0, "history");
    if (this.#unsure !== null && (outcome.seq ?? 0) <= this.#unsure) this.#unsure = null;
    this.#repairing = false;
    this.#trust.running = true;
    // Whatever is missing still is behind `target`.
    this.#trust.broken = false;
    this.#trust.hasData ||= this.#content.family === "items";
    this.paced(outcome.cadence);
    this.#ready.resolve(this);
    this.#look();
    if (this.#content.family === "book") this.#verifier.start();
  }

  /** The reply to a resync. */
  resynced(outcome: Outcome): void {
    this.#repairing = false;
    this.#begins(outcome);
    this.#look();
  }

  /** The cadence that the node has agreed to. */
  paced(ms: number): void {
    this.#pace.now = ms;
    // Another change is under way: that one's answer counts.
    if (!this.wanted.has("cadence")) this.#pace.agreed(ms);
  }

  /** A change of cadence was refused; false if nobody hears of it. */
  cadenceRefused(error: TidegateError): boolean {
    return this.wanted.has("cadence") || this.#pace.refused(error);
  }

  /** Its subscribe was refused: for ever, or for now. */
  refused(error: TidegateError): void {
    const { channel } = this;
    const { code } = error;
    if (typeof code === "number" && (isPassing(code) || (code === UNKNOWN_CHANNEL && this.#hasRun))) {
      const retryMs = Math.round(this.#refusals.nextMs());
      this.#emit("delayed", { channel, error, retryMs });
      this.askAgainIn(retryMs);
      return;
    }
    const isHeard = this.#hears("refused") || this.#content.isIterated;
    // The node has nothing of it to be left.
    this.phase = "idle";
    this.#host.left(this);
    this.end(error);
    this.#emit("refused", { channel, error });
    if (isHeard) return;
    this.#host.clock.after(UNHEARD_MS, () => {
      if (!this.#ready.asked) console.error(`${error.name}: ${error.message}`);
    });
  }

  askAgainIn(ms: number): void {
    this.phase = "idle";
    this.notBeforeMs = this.#host.clock.nowMs() + ms;
    this.#host.wants(this);
  }

  /** Nothing more will come; `error` if it was refused. */
  end(error: TidegateError | null): void {
    if (this.phase === "over") return;
    const { channel } = this;
    this.phase = "over";
    this.wanted.clear();
    this.#cancelRepair();
    this.#verifier.stop();
    this.#outcome = error === null ? "ended" : "refused";
    const closed = error ?? new TidegateError("CLOSED", `${channel} was ended`, channel);
    this.#ready.reject(closed);
    this.#pace.refused(closed);
    this.#content.finish(error);
  }

  // --- what the node pushes ---------------------------------------------------------------------------------------------

  push(push: ChannelPush, raw: string): void {
    if (push.type === "stale") this.#trust.staleBySource = true;
    else if (push.type === "cadence") this.#pace.now = push.ms;
    else {
      this.#content.learn(push);
      this.#numbered(push, raw);
      return;
    }
    this.#emitPush(push, raw, false);
    if (push.type === "cadence") this.#emit("cadence", { channel: this.channel, ms: push.ms, reason: push.reason });
    this.#look();
  }

  #numbered(push: DataPush | GapPush, raw: string): void {
    const previous = this.#chain.epoch;
    const { have } = this.#chain;
    let verdict = this.#chain.accept(push);
    if (verdict === "broken" && push.type === "items" && this.#repairs.areInVain) {
      this.#giveUpOn(push.prev ?? push.seq, previous);
      verdict = this.#chain.accept(push);
    }
    if (push.type === "delta" && verdict === "ignore") this.#compareDelta(push);
    if (verdict === "broken") this.#repair(push);
    if (verdict === "ignore" || verdict === "broken") return;
    const restart = verdict === "restart";
    if (restart) this.#newEpoch(push.epoch ?? "", previous ?? "", push.type === "gap" ? push.to : push.seq);
    this.#tellUnsure(push);
    this.#tellEpochGap(push, restart);
    if (push.type === "snapshot" && have !== null && !restart) this.#compareSnapshot(push, have);
    this.#trusted(push);
    if (push.type === "gap") this.#tellGap({ ...push, reason: push.reason as Gap["reason"] });
    else this.#content.take(push);
    if (push.type === "delta") this.#compareDelta(push);
    this.#repairs.worked();
    this.#emitPush(push, raw, restart);
    this.#look();
  }

  /** What a push that was taken says about trust. */
  #trusted(push: DataPush | GapPush): void {
    const trust = this.#trust;
    const seq = push.type === "gap" ? push.to : push.seq;
    const isWhole = push.type !== "delta";
    if (push.type !== "gap") {
      trust.hasData = true;
      // The reply to a command of many names comes when the last of them runs; this one does, and begins with the whole.
      if (!this.#sinceSent) trust.running = true;
    }
    if (isWhole) {
      trust.staleBySource = false;
      trust.broken = false;
      this.#repairing = false;
    }
    if (trust.target !== null && (seq >= trust.target || push.type === "value")) trust.target = null;
  }

  /** Where a reply says the stream stands; true if that is a new epoch. */
  #begins({ epoch, seq, cadence }: Outcome): boolean {
    const previous = this.#chain.epoch;
    const before = this.#chain.have;
    this.#pace.now = cadence;
    this.#chain.begins(epoch, seq);
    const isNew = previous !== null && this.#chain.epoch !== previous;
    if (isNew) this.#newEpoch(epoch, previous, seq ?? (before ?? 0) + 1);
    this.#owesEpochGap ||= isNew && before !== null;
    const { have } = this.#chain;
    // Without a seq the node has nothing yet: what we have is of before, until its first push.
    this.#trust.target = have !== null && have < (seq ?? Number.POSITIVE_INFINITY) ? (seq ?? 0) : null;
    return isNew;
  }

  #newEpoch(epoch: string, previous: string, seq: number): void {
    const { channel } = this;
    this.#content.clear();
    this.#verifier.forget();
    if (this.#content.family !== "items") this.#trust.hasData = false;
    this.#emit("epoch", { channel, epoch, previous });
    // Items hear of it from the node, or before the first of the new epoch.
    if (this.#content.family === "candles") this.#missing(seq, seq, "epoch");
    this.#look();
  }

  /** A node that had nothing of its epoch yet could not say where the gap ends. */
  #tellEpochGap(push: DataPush | GapPush, restart: boolean): void {
    if (push.type === "items" && (restart || this.#owesEpochGap)) this.#missing(push.seq - 1, push.seq - 1, "epoch");
    this.#owesEpochGap = false;
  }

  /** A topic of which nothing had come turned out to be lossless after a reconnect. */
  #tellUnsure(push: ChannelPush): void {
    const unsure = this.#unsure;
    if (unsure === null) return;
    this.#unsure = null;
    if (push.type === "items") this.#missing(unsure + 1, push.prev ?? push.seq, "away");
  }

  // --- faults -----------------------------------------------------------------------------------------------------------

  /** Asks for what is missing, once, however many pushes show the fault. */
  #repair(push: ChannelPush): void {
    if (this.#repairing) return;
    this.#repairing = true;
    this.#trust.broken = true;
    this.#verifier.forget();
    this.#emit("broken", { channel: this.channel, reason: "chain", push, differences: [] });
    this.#look();
    const want = push.type === "items" ? "reopen" : "resync";
    // Whatever a snapshot's seq is: it is where the book begins again.
    if (want === "resync") this.#chain.forget();
    this.#cancelRepair = this.#host.clock.after(this.#repairs.nextMs(this.#host.clock.nowMs()), () => this.#want(want));
  }

  /** The node has nothing better: what is missing stays missing. */
  #giveUpOn(to: number, epoch: string | null): void {
    const from = (this.#chain.position ?? this.#chain.start)?.seq ?? to;
    this.#missing(from + 1, to, "chain");
    this.#chain.resume({ epoch: epoch ?? "", seq: to });
  }

  #missing(from: number, to: number, reason: Gap["reason"]): void {
    this.#tellGap({ channel: this.channel, missed: null, from, to, reason });
  }

  #tellGap({ channel, missed, from, to, reason }: Gap): void {
    const gap: Gap = { channel, missed, from, to, reason };
    this.#content.gap(gap);
    this.#emit("gap", gap);
  }

  #compareSnapshot(push: SnapshotPush, have: number): void {
    const { book, last } = this.#content;
    // One in the chain ends `stale`: the book before it was wrong, and that was told.
    const isRepair = push.prev !== undefined || this.#trust.staleBySource;
    if (book === null || last === null || isRepair) this.#verifier.forget();
    else this.#verifier.snapshot(book, have, push);
  }

  #compareDelta(push: DeltaPush): void {
    if (this.#content.book !== null) this.#verifier.delta(push, this.#content.book);
  }

  // --- telling ----------------------------------------------------------------------------------------------------------

  /** False if there is nothing on the node to ask for. */
  #want(want: Want): boolean {
    if (this.phase === "over" || this.phase === "idle") return false;
    this.wanted.add(want);
    this.#host.wants(this);
    return true;
  }

  #look(): void {
    const { channel } = this;
    const change = this.#trust.look();
    if (change === null) return;
    if (change === "fresh") this.#emit("fresh", { channel });
    else this.#emit("stale", { channel, reason: change });
    this.#content.changed();
  }

  #emitPush(push: ChannelPush, raw: string, restart: boolean): void {
    if (this.#hears("push")) this.#emit("push", { push, raw, restart });
  }

  #hears(name: keyof ChannelEvents): boolean {
    return this.#events.hears(name) || this.#host.hears(name);
  }

  #emit<Name extends keyof ChannelEvents>(name: Name, event: ChannelEvents[Name]): void {
    this.#events.emit(name, event);
    this.#host.emit(name, event);
  }
}
