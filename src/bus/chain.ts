/**
 * One chain (channel, user) as one consumer follows it: finds out what the bus lost, repeated or mixed up, and heals it.
 *
 * On the path: bus -> follower -> CHAIN -> consumer. Open, the follower hands the next publication straight on; anything
 * else comes here. Closed (joining, healing, shard silent), what arrives is held until the owner's answer is applied.
 *
 * Invariants: the consumer sees each publication at most once, in order, each continuing its position, or a state first;
 * only the owner's answer to a question asked after the doubt arose decides which epoch is the current one; no
 * question twice without progress in between except after a pause.
 * At the limit: more than `heldMax` held (or `heldTotalMax` on the node): all are dropped, the consumer is told stale, and
 * the gap that leaves is healed by asking.
 */
import type { Publication, StaleReason } from "../channel/types.ts";
import type { Answer } from "./asker.ts";
import type { ShardHeader, StateReply, StateRequest } from "./bus.ts";
import type { ChannelConsumer, StateCause } from "./consumer.ts";
import { continuation } from "./continuation.ts";
import type { FollowerCounters } from "./follower-status.ts";
import type { HeardShard } from "./heard-shard.ts";
import { Inquiry, type InquiryHost } from "./inquiry.ts";

/** Numbers of protocol/codes.ts, which the bus does not import. */
export const UNKNOWN_CHANNEL = 1203;
export const UNAVAILABLE = 1501;

/** Questions without progress after which the whole state is asked for. */
const STUCK_MAX = 3;
/** Failed questions after which the consumer is told. */
const FAILURES_MAX = 3;

/** What a chain needs of its follower. */
export interface ChainHost extends InquiryHost {
  readonly counters: FollowerCounters;
  readonly heldMax: number;
  readonly heldTotalMax: number;
  /** Publications held in all chains. */
  heldTotal: number;
  shard(name: string): HeardShard<Chain>;
}

interface Held {
  readonly p: Publication;
  readonly header: ShardHeader;
}

export class Chain {
  readonly channel: string;
  readonly user: string;
  readonly consumer: ChannelConsumer;
  readonly #host: ChainHost;

  /** The follower hands publications straight on while this is set; then `shard` is. */
  open = false;
  closed = false;
  /** Null until the first state. */
  shard: HeardShard<Chain> | null = null;
  epoch = "";
  /** The consumer's position in the epoch. */
  last: number | null = null;

  /** What the consumer was told and has not been taken back. */
  #toldStale: StaleReason | null = null;
  #toldUnavailable = false;
  #held: Held[] = [];
  /** Highest seq a HEAD named in this epoch. */
  #headSeq = -1;

  readonly #inquiry: Inquiry;
  #failures = 0;
  /** Questions in a row that were asked from the same position. */
  #stuck = 0;
  #whole = false;
  /** Questions because of other shards, since the channel was found in its shard. */
  #doubts = 0;
  /** Where we stood, and which epochs we had heard of, when the question was sent. */
  #asked: { epoch: string; last: number | null; heardOf: readonly string[] } | null = null;
  /** An epoch other than ours that a publication named. */
  #hint = "";

  constructor(channel: string, user: string, consumer: ChannelConsumer, host: ChainHost) {
    this.channel = channel;
    this.user = user;
    this.consumer = consumer;
    this.#host = host;
    this.#inquiry = new Inquiry(
      host,
      () => this.#question(),
      (answer) => this.#answered(answer),
    );
  }

  get stale(): boolean {
    return this.#toldStale !== null;
  }

  /** First interest. */
  start(): void {
    this.#inquiry.ask();
  }

  close(): void {
    this.closed = true;
    this.open = false;
    this.#inquiry.close();
    this.shard?.chains.delete(this);
    this.#takeHeld();
  }

  /** A publication that is not simply the next one of an open chain. */
  arrive(p: Publication, header: ShardHeader): void {
    if (this.open) {
      if (!this.step(p, header)) this.heal();
      return;
    }
    const shard = this.#host.shard(header.shard);
    const refusal = shard.refusal(header);
    if (refusal !== null) this.#host.counters[refusal]++;
    else if (this.shard !== null && this.shard !== shard) this.#doubtShard();
    else this.#holdWhileClosed(p, header);
  }

  /** A HEAD of our shard named our channel's last seq. */
  headSays(epoch: string, seq: number): void {
    if (epoch === this.epoch) {
      this.#headSeq = Math.max(this.#headSeq, seq);
      if (this.open) this.#check();
    }
    this.#inquiry.askNow();
  }

  /** A HEAD of our shard came with another epoch than ours. */
  epochChanged(): void {
    if (this.open) this.#check();
  }

  /** A HEAD of our shard is missing for too long. */
  shardSilent(): void {
    this.open = false;
    this.#tellStale("no-head");
  }

  /** HEADs are back. `seq`: what the HEAD says our last is; undefined if it does not name us. */
  shardBack(epoch: string, seq: number | undefined, full: boolean): void {
    if (this.#inquiry.asking) return;
    if (this.#inquiry.pausing) {
      this.#inquiry.askNow();
      return;
    }
    const confirmed = epoch === this.epoch && (seq === undefined ? full && this.last === null : seq === this.last);
    if (confirmed) this.#resume([], null);
    else this.#inquiry.ask();
  }

  /** Asks at once if it pauses now: somebody new may answer. */
  retryNow(): void {
    this.#inquiry.askNow();
  }

  /**
   * Hands `p` on or drops it; false if something must be healed first. This one and `heal` are private and not #, so that
   * the simulation's own tests can put mistakes in their place.
   */
  private step(p: Publication, header: ShardHeader): boolean {
    const { counters } = this.#host;
    const shard = this.#host.shard(header.shard);
    const refusal = shard.refusal(header);
    if (refusal !== null) {
      counters[refusal]++;
      return true;
    }
    if (shard !== this.shard) {
      this.#doubtShard();
      return true;
    }
    if (this.last !== null && p.seq <= this.last) {
      counters.duplicates++;
      return true;
    }
    if (header.epoch !== this.epoch) {
      this.#hint = header.epoch;
      return false;
    }
    if (p.prev !== this.last) {
      counters.gaps++;
      return false;
    }
    this.last = p.seq;
    this.consumer.publication(p, header);
    return true;
  }

  /** Another shard speaks for our channel: refused, but it may have moved there, which only an owner can say. */
  #doubtShard(): void {
    this.#host.counters.foreign++;
    if (!this.#inquiry.busy) this.#inquiry.askLater(++this.#doubts);
  }

  #holdWhileClosed(p: Publication, header: ShardHeader): void {
    this.#hold(p, header);
    // Nobody knew the channel, or not in its new epoch; now somebody does. Once, not for each that follows.
    if (this.#held.length === 1 && header.epoch !== this.epoch) this.#inquiry.askNow();
  }

  #hold(p: Publication, header: ShardHeader): void {
    const host = this.#host;
    if (this.#held.length >= host.heldMax || host.heldTotal >= host.heldTotalMax) {
      this.#takeHeld();
      host.counters.overflows++;
      this.#tellStale("sequence");
    }
    this.#held.push({ p, header });
    host.heldTotal++;
  }

  #takeHeld(): Held[] {
    const held = this.#held;
    this.#held = [];
    this.#host.heldTotal -= held.length;
    return held;
  }

  /**
   * Closes the chain and asks the owner, unless that is under way. What showed the damage need not be kept: it was
   * published before the question, so the answer covers it. What arrives from now on may be newer than the answer: held.
   */
  private heal(): void {
    this.open = false;
    if (this.closed || this.#inquiry.busy) return;
    const progress = this.#asked === null || this.#asked.epoch !== this.epoch || this.#asked.last !== this.last;
    if (progress) {
      this.#stuck = 0;
      this.#whole = false;
      this.#inquiry.ask();
      return;
    }
    this.#stuck++;
    this.#whole = this.#stuck >= STUCK_MAX;
    this.#tellStale("sequence");
    this.#inquiry.askLater(this.#stuck);
  }

  #question(): StateRequest {
    this.#asked = { epoch: this.epoch, last: this.last, heardOf: [this.#hint, this.shard?.epoch ?? ""] };
    this.#hint = "";
    const since = this.last === null || this.#whole ? null : { epoch: this.epoch, seq: this.last };
    return { channel: this.channel, user: this.user, since };
  }

  #answered(answer: Answer): void {
    if (!answer.ok) {
      this.#failed(UNAVAILABLE, answer.error.message);
    } else if (answer.reply !== null) {
      this.#replied(answer.reply);
    } else if (this.shard === null) {
      this.#failed(UNKNOWN_CHANNEL, `no owner knows ${this.channel}`);
    } else {
      // An owner knew it: that one is away and the others cannot know, or its new epoch has nothing on it yet. That may
      // end at once (a replay that starts over), so the first time nobody is told.
      this.#failed(UNAVAILABLE, `no owner answers for ${this.channel}`, this.#failures > 0);
    }
  }

  #replied(reply: StateReply): void {
    const shard = this.#host.shard(reply.shard);
    const refusal = shard.refusal(reply);
    if (refusal === null) {
      this.#apply(reply, shard);
      return;
    }
    this.#host.counters[refusal]++;
    this.#failed(UNAVAILABLE, `only a former owner of ${this.channel} answers`);
  }

  #failed(code: number, message: string, tell = true): void {
    this.#failures++;
    this.#host.counters.requestFailures++;
    if (tell) this.#tellStale("sequence");
    if (this.closed) return;
    if (!this.#toldUnavailable && (code === UNKNOWN_CHANNEL || this.#failures >= FAILURES_MAX)) {
      this.#toldUnavailable = true;
      this.consumer.unavailable(code, message);
    }
    this.#inquiry.askLater(this.#failures);
  }

  #apply(reply: StateReply, shard: HeardShard<Chain>): void {
    this.open = false;
    this.#failures = 0;
    const sameShard = shard === this.shard;
    if (sameShard || this.shard === null) this.#judgeEpochs(reply, shard);
    if (!sameShard || reply.epoch !== this.epoch) {
      this.#restart(reply, shard, this.shard === null ? "first" : "epoch");
      return;
    }
    const missing = continuation(reply, this.last);
    if (missing !== null) {
      // While the shard is silent nothing may follow; its next HEAD asks again.
      if (!shard.silent) this.#resume(missing, reply);
    } else if (reply.after === null) {
      this.#restart(reply, shard, "heal");
    } else {
      this.#host.counters.badReplies++;
      this.heal();
    }
  }

  /** Every other epoch we had heard of before we asked has ended. */
  #judgeEpochs(reply: StateReply, shard: HeardShard<Chain>): void {
    for (const epoch of [this.epoch, ...(this.#asked?.heardOf ?? [])]) {
      if (epoch !== reply.epoch) shard.retire(epoch);
    }
    if (shard.epoch === "" || shard.isRetired(shard.epoch)) shard.epoch = reply.epoch;
  }

  /** The chain is whole with `missing`: hands them on, then what was held. */
  #resume(missing: readonly Publication[], header: ShardHeader | null): void {
    this.#toldUnavailable = false;
    if (this.#toldStale !== null) {
      this.#toldStale = null;
      this.consumer.fresh();
    }
    if (header !== null && missing.length > 0) {
      this.#host.counters.heals++;
      this.#handOn(missing, header);
    }
    this.#drain();
  }

  #handOn(publications: readonly Publication[], header: ShardHeader): void {
    for (const p of publications) {
      if (this.closed) return;
      this.last = p.seq;
      this.consumer.publication(p, header);
    }
  }

  /** Starts over from the owner's state. */
  #restart(reply: StateReply, shard: HeardShard<Chain>, cause: StateCause): void {
    const { counters } = this.#host;
    const before = cause === "heal" && this.last !== null ? this.last : -1;
    this.#moveTo(shard);
    this.epoch = reply.epoch;
    if (cause !== "heal") this.#headSeq = -1;
    this.#toldStale = null;
    this.#toldUnavailable = false;
    counters.states++;
    if (cause === "epoch") counters.epochs++;

    const items = cause === "first" || reply.state !== null ? [] : reply.history.filter((p) => p.seq > before);
    this.last = items.length > 0 ? items[0]!.prev : reply.seq;
    this.consumer.state(items.length > 0 ? { ...reply, seq: this.last, history: [] } : reply, cause);
    this.#handOn(items, reply);
    if (this.closed) return;
    if (shard.silent) this.#tellStale("no-head");
    else this.#drain();
  }

  #moveTo(shard: HeardShard<Chain>): void {
    if (shard === this.shard) return;
    this.shard?.chains.delete(this);
    this.shard = shard;
    this.#doubts = 0;
    shard.chains.add(this);
  }

  /** Hands on what was held and opens the chain; stops at the next thing to heal. Stays closed meanwhile. */
  #drain(): void {
    while (this.#held.length > 0) {
      const batch = this.#takeHeld().sort((a, b) => a.p.seq - b.p.seq);
      for (let i = 0; i < batch.length; i++) {
        if (this.closed) return;
        const { p, header } = batch[i]!;
        if (this.step(p, header)) continue;
        this.heal();
        return;
      }
    }
    if (this.closed) return;
    this.open = true;
    this.#check();
  }

  /** Whether what HEADs said agrees with where we stand. */
  #check(): void {
    const { shard } = this;
    if (shard === null) return;
    if (shard.epoch !== this.epoch && !shard.isRetired(shard.epoch)) {
      this.heal();
    } else if (this.#headSeq > (this.last ?? -1)) {
      this.#host.counters.headGaps++;
      this.heal();
    }
  }

  #tellStale(reason: StaleReason): void {
    if (this.shard === null || this.#toldStale !== null) return;
    this.#toldStale = reason;
    this.#host.counters.staled++;
    this.consumer.stale(reason);
  }
}
