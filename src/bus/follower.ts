/**
 * The follower: a node's receiving end of the bus. It makes whole chains of what may be lost, repeated or mixed up.
 *
 * On the path: bus -> FOLLOWER -> engine. The next publication of an open chain costs one look-up, four comparisons and
 * one call here; everything else is chain.ts.
 * Invariants: a topic is subscribed before its channels' state is asked for; interest ends `lingerMs` after the last
 * unfollow; a token below the highest seen for a shard is refused wherever it appears.
 * At the limit: see chain.ts (held publications) and asker.ts (questions); shards that nobody follows and that are silent
 * for a minute are forgotten.
 */
import type { Publication } from "../channel/types.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { Asker } from "./asker.ts";
import type { Bus, BusMessage, Head, Subscription } from "./bus.ts";
import { Chain, type ChainHost } from "./chain.ts";
import type { ChannelConsumer } from "./consumer.ts";
import { type FollowerStatus, newCounters, type ShardHealth } from "./follower-status.ts";
import { HeardShard } from "./heard-shard.ts";

export type { ChannelConsumer, StateCause } from "./consumer.ts";
export type { FollowerCounters, FollowerStatus, ShardHealth } from "./follower-status.ts";

/** What the follower writes: shards that fall silent, come back or are refused. pino's loggers fit. */
export interface FollowerLog {
  warn(fields: object, message: string): void;
}

export interface FollowerOptions {
  readonly bus: Pick<Bus, "subscribe" | "heads" | "request">;
  readonly clock: Clock;
  /** The fanout topic that carries a channel. */
  readonly topicOf: (channel: string, user: string) => string;
  readonly log?: FollowerLog;
  /** The highest token seen for a shard has risen: whoever has it with a lower one must stop. */
  readonly raised?: (shard: string, token: number) => void;
  /** Uniform in [0, 1): spreads retries. */
  readonly random?: () => number;
  /** Without a HEAD for so long a shard's channels are stale. Default 2000. */
  readonly headTimeoutMs?: number;
  /** How long a topic stays subscribed after its last channel was left. Default 60,000. */
  readonly lingerMs?: number;
  /** Default 2000; the bus may give up earlier. */
  readonly requestTimeoutMs?: number;
  /** Questions out at a time. Default 64. */
  readonly requestsInFlightMax?: number;
  /** Publications a chain holds while it heals (default 10,000) and all chains together (default 200,000). */
  readonly heldMax?: number;
  readonly heldTotalMax?: number;
}

export interface Follower {
  /** From now on `consumer` sees the channel, `state` first. Each follow is a chain of its own. `user`: private chains. */
  follow(channel: string, consumer: ChannelConsumer, user?: string): Subscription;
  /** The shard of a followed channel; null while it is not known. */
  shardOf(channel: string, user?: string): ShardHealth | null;
  shards(): readonly ShardHealth[];
  /** A HEAD that somebody has asked for (`Bus.headOf`): what it shows to be missing is healed now. Others come by themselves. */
  heard(head: Head): void;
  status(): FollowerStatus;
  close(): void;
}

const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 5000;
const FORGET_SHARD_MS = 60_000;

interface Topic {
  readonly subscription: Subscription;
  chains: number;
  linger: Timer | null;
}

export const createFollower = (options: FollowerOptions): Follower => new BusFollower(options);

const keyOf = (channel: string, user: string): string => (user === "" ? channel : `${channel}\n${user}`);

class BusFollower implements Follower {
  readonly #options: FollowerOptions;
  readonly #clock: Clock;
  readonly #headTimeoutMs: number;
  /** By keyOf. Lists are replaced, never changed, so that they can be walked while consumers come and go. */
  readonly #chains = new Map<string, readonly Chain[]>();
  readonly #topics = new Map<string, Topic>();
  readonly #shardTable = new Map<string, HeardShard<Chain>>();
  readonly #counters = newCounters();
  readonly #asker: Asker;
  readonly #host: ChainHost;
  readonly #headSubscription: Subscription;
  #watchTimer: Timer;
  #watchedAt: number;
  #closed = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
    const { bus, clock } = options;
    const random = options.random ?? Math.random;
    this.#clock = clock;
    this.#headTimeoutMs = options.headTimeoutMs ?? 2000;
    this.#asker = new Asker({
      bus,
      clock,
      timeoutMs: options.requestTimeoutMs ?? 2000,
      inFlightMax: options.requestsInFlightMax ?? 64,
      counters: this.#counters,
    });
    this.#host = {
      counters: this.#counters,
      heldMax: options.heldMax ?? 10_000,
      heldTotalMax: options.heldTotalMax ?? 200_000,
      heldTotal: 0,
      shard: (name) => this.#shard(name),
      ask: (write, answered) => this.#asker.ask(write, answered),
      later: (attempt, call) => {
        const pause = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(attempt - 1, 10));
        return clock.after(pause * (0.75 + 0.25 * random()), call);
      },
    };
    this.#headSubscription = bus.heads((head) => this.heard(head));
    this.#watchedAt = clock.monotonicMs();
    this.#watchTimer = clock.after(this.#watchMs, this.#watch);
  }

  follow(channel: string, consumer: ChannelConsumer, user = ""): Subscription {
    const key = keyOf(channel, user);
    const topic = this.#options.topicOf(channel, user);
    const chain = new Chain(channel, user, consumer, this.#host);
    this.#chains.set(key, [...(this.#chains.get(key) ?? []), chain]);
    this.#enter(topic);
    chain.start();
    return {
      close: () => {
        if (chain.closed) return;
        chain.close();
        const rest = (this.#chains.get(key) ?? []).filter((other) => other !== chain);
        if (rest.length === 0) this.#chains.delete(key);
        else this.#chains.set(key, rest);
        this.#leave(topic);
      },
    };
  }

  shardOf(channel: string, user = ""): ShardHealth | null {
    const chain = this.#chains.get(keyOf(channel, user))?.find((one) => one.shard !== null);
    return chain?.shard?.health(this.#clock.monotonicMs()) ?? null;
  }

  shards(): readonly ShardHealth[] {
    const now = this.#clock.monotonicMs();
    return [...this.#shardTable.values()].map((shard) => shard.health(now));
  }

  status(): FollowerStatus {
    const chains = this.#allChains();
    return {
      chains: chains.length,
      staleChains: chains.filter((chain) => chain.stale).length,
      topics: this.#topics.size,
      held: this.#host.heldTotal,
      requestsInFlight: this.#asker.inFlight,
      requestsQueued: this.#asker.queued,
      counters: { ...this.#counters },
      shards: this.shards(),
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watchTimer.cancel();
    this.#headSubscription.close();
    this.#asker.close();
    for (const chain of this.#allChains()) chain.close();
    this.#chains.clear();
    for (const topic of this.#topics.values()) {
      topic.linger?.cancel();
      topic.subscription.close();
    }
    this.#topics.clear();
  }

  #enter(name: string): void {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = { subscription: this.#options.bus.subscribe(name, this.#onMessage), chains: 0, linger: null };
      this.#topics.set(name, topic);
    }
    topic.linger?.cancel();
    topic.linger = null;
    topic.chains++;
  }

  #leave(name: string): void {
    const topic = this.#topics.get(name);
    if (topic === undefined || --topic.chains > 0) return;
    topic.linger = this.#clock.after(this.#options.lingerMs ?? 60_000, () => {
      this.#topics.delete(name);
      topic.subscription.close();
    });
  }

  readonly #onMessage = (message: BusMessage): void => {
    const { publications } = message;
    for (let i = 0; i < publications.length; i++) {
      const p = publications[i]!;
      const chains = this.#chains.get(p.user === "" ? p.channel : keyOf(p.channel, p.user));
      if (chains !== undefined) handOver(chains, p, message);
    }
  };

  heard(head: Head): void {
    const fresh = !this.#shardTable.has(head.shard);
    const shard = this.#shard(head.shard);
    const refusal = shard.refusal(head);
    if (refusal !== null) {
      this.#counters[refusal]++;
      return;
    }
    const wasSilent = shard.silent;
    const newEpoch = head.epoch !== shard.headEpoch;
    shard.heard(head, this.#clock.monotonicMs());
    if (fresh || wasSilent) this.#retryUnplaced();
    if (wasSilent) {
      this.#options.log?.warn({ shard: shard.name, chains: shard.chains.size }, "HEADs of the shard are back");
      this.#bringBack(shard, head);
      return;
    }
    for (const [channel, user, seq] of head.last) {
      for (const chain of this.#chains.get(keyOf(channel, user)) ?? []) {
        if (chain.shard === shard) chain.headSays(head.epoch, seq);
        else if (chain.shard === null) chain.retryNow();
      }
    }
    if (newEpoch) for (const chain of [...shard.chains]) chain.epochChanged();
  }

  #bringBack(shard: HeardShard<Chain>, head: Head): void {
    const seqs = new Map(head.last.map(([channel, user, seq]) => [keyOf(channel, user), seq]));
    for (const chain of [...shard.chains]) {
      chain.shardBack(head.epoch, seqs.get(keyOf(chain.channel, chain.user)), head.full);
    }
  }

  /** Somebody new may know the channels that nobody knew. */
  #retryUnplaced(): void {
    for (const chain of this.#allChains()) if (chain.shard === null) chain.retryNow();
  }

  get #watchMs(): number {
    return Math.min(250, this.#headTimeoutMs / 8);
  }

  /** Looks for shards without HEADs. A stall of this very node is not counted against them: their HEADs wait in line. */
  readonly #watch = (): void => {
    const now = this.#clock.monotonicMs();
    const stalledMs = now - this.#watchedAt - this.#watchMs;
    this.#watchedAt = now;
    for (const shard of [...this.#shardTable.values()]) {
      if (stalledMs > this.#watchMs) shard.headAt += stalledMs;
      this.#watchShard(shard, now - shard.headAt);
    }
    if (!this.#closed) this.#watchTimer = this.#clock.after(this.#watchMs, this.#watch);
  };

  #watchShard(shard: HeardShard<Chain>, ageMs: number): void {
    if (ageMs > FORGET_SHARD_MS && shard.chains.size === 0) {
      this.#shardTable.delete(shard.name);
    } else if (ageMs > this.#headTimeoutMs && !shard.silent) {
      shard.silent = true;
      const chains = [...shard.chains];
      this.#options.log?.warn({ shard: shard.name, ageMs, chains: chains.length }, "no HEAD of the shard: stale");
      for (const chain of chains) chain.shardSilent();
    }
  }

  #shard(name: string): HeardShard<Chain> {
    let shard = this.#shardTable.get(name);
    if (shard === undefined) {
      shard = new HeardShard<Chain>(name, this.#clock.monotonicMs(), this.#options.raised);
      this.#shardTable.set(name, shard);
    }
    return shard;
  }

  #allChains(): Chain[] {
    return [...this.#chains.values()].flat();
  }
}

function handOver(chains: readonly Chain[], p: Publication, header: BusMessage): void {
  for (let i = 0; i < chains.length; i++) {
    const chain = chains[i]!;
    const shard = chain.shard;
    if (
      chain.open &&
      p.prev === chain.last &&
      header.epoch === chain.epoch &&
      header.shard === shard?.name &&
      header.token === shard.token
    ) {
      chain.last = p.seq;
      chain.consumer.publication(p, header);
    } else if (!chain.closed) {
      chain.arrive(p, header);
    }
  }
}
