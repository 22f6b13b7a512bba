/**
 * One loop and one connection per leader: fetches for all its partitions that have a running source.
 *
 * On the path: broker -> LEADER LOOP -> feeds. Invariants: one fetch at a time; a partition whose feed wants nothing is left
 * out; who got something goes to the end of the next request, so that no busy partition starves the others.
 * At the limit: a broker that cannot be reached, or hangs, is tried again for ever with growing pauses.
 */
import { createBackoff } from "../../lib/backoff.ts";
import { type Clock, wallMs } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Outage } from "../../lib/outage.ts";
import type { IngestLog } from "../sampled-log.ts";
import { sleep } from "../wait.ts";
import { Wake } from "../wake.ts";
import { told } from "./cluster.ts";
import { KAFKA } from "./faults.ts";
import type { Feed } from "./feed.ts";
import { FETCH, type Fetched, type FetchedPartition, type FetchTopic, namesTopicsById } from "./fetch.ts";
import { type Dialer, type Link, openLink } from "./link.ts";
import { Portion } from "./portion.ts";

export interface LeaderPorts {
  readonly dialer: Dialer;
  /** `host:port` of the node as last heard; null if the cluster has none of that number. */
  readonly address: () => string | null;
  /** Leaders or topics may have changed: ask the cluster again. */
  readonly doubt: () => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: IngestLog;
  readonly outage: Outage;
}

/** While some feed is full or held back, a fetch waits no longer than this, so that it is soon asked for again. */
const SHORT_WAIT_MS = 50;
const BACKOFF_FIRST_MS = 200;
const BACKOFF_MAX_MS = 5000;

interface Asked {
  readonly feed: Feed;
  readonly ticket: number;
}

export interface LeaderTrouble {
  readonly attempt: number;
  readonly retryAt: number;
  readonly error: string;
}

export class Leader {
  readonly node: number;
  readonly #ports: LeaderPorts;
  readonly #feeds = new Set<Feed>();
  readonly #wake = new Wake();
  readonly #abort = new AbortController();
  readonly ended: Promise<void>;
  readonly #portion: Portion;
  #link: Link | null = null;
  #trouble: LeaderTrouble | null;

  constructor(node: number, ports: LeaderPorts) {
    this.node = node;
    this.#ports = ports;
    this.#portion = new Portion(ports.dialer.settings.requestTimeoutMs);
    this.#trouble = { attempt: 1, retryAt: wallMs(ports.clock), error: "" };
    this.ended = this.#run();
  }

  /** Null while it fetches. */
  get trouble(): LeaderTrouble | null {
    return this.#trouble;
  }

  get idle(): boolean {
    return this.#feeds.size === 0;
  }

  add(feed: Feed): void {
    this.#feeds.add(feed);
    feed.wakeLeader = this.#wake.call;
    this.#wake.call();
  }

  remove(feed: Feed): void {
    if (!this.#feeds.delete(feed)) return;
    feed.ticket++;
    feed.wakeLeader = () => undefined;
  }

  /** Makes a new connection, because of an error. */
  reconnect(why: string): void {
    this.#link?.close(new GatewayError("BROKER", why));
  }

  stop(): void {
    this.#abort.abort();
    this.#wake.call();
    this.#link?.close();
  }

  async #run(): Promise<void> {
    const { clock, random, outage, doubt } = this.#ports;
    const { signal } = this.#abort;
    const backoff = createBackoff(BACKOFF_FIRST_MS, BACKOFF_MAX_MS, random);
    while (!signal.aborted) {
      const wanting = [...this.#feeds].filter((feed) => feed.wants);
      if (wanting.length === 0) {
        await this.#wake.wait();
        continue;
      }
      const address = this.#link?.address ?? this.#ports.address();
      try {
        await this.#fetch(wanting, address);
        backoff.reset();
        this.#trouble = null;
        outage.worked();
      } catch (cause) {
        this.#link?.close(cause);
        const reason = this.#link?.reason ?? cause;
        this.#link = null;
        if (signal.aborted) break;
        const error = told(reason, address ?? `node ${this.node}`, this.#ports.dialer);
        const pauseMs = backoff.next();
        this.#trouble = {
          attempt: backoff.attempts,
          retryAt: wallMs(clock) + Math.ceil(pauseMs),
          error: error.message,
        };
        outage.failed(error);
        doubt();
        await sleep(clock, pauseMs, signal);
      }
    }
    this.#link?.close();
    this.#link = null;
  }

  async #fetch(wanting: readonly Feed[], address: string | null): Promise<void> {
    const link = await this.#open(address);
    const { clock, dialer } = this.#ports;
    const { settings } = dialer;
    const portion = this.#portion;
    const api = link.newest(FETCH);
    const topics = requestOf(wanting, namesTopicsById(api.version), portion.of(settings.partitionMaxBytes));
    const asked = new Map<string, Asked>();
    for (const feed of wanting) {
      feed.over(link);
      const topic = namesTopicsById(api.version) ? feed.topicId : feed.topic;
      asked.set(`${topic}/${feed.partition}`, { feed, ticket: feed.ticket });
    }
    const waitMs = wanting.length === this.#feeds.size ? settings.fetchMaxWaitMs : SHORT_WAIT_MS;
    const { fetchMinBytes, fetchMaxBytes, committedOnly } = settings;
    const sinceMs = clock.monotonicMs();
    let fetched: Fetched;
    try {
      fetched = await api.async(
        link.connection,
        Math.min(waitMs, settings.fetchMaxWaitMs),
        fetchMinBytes,
        portion.of(fetchMaxBytes),
        committedOnly ? 1 : 0,
        topics,
      );
    } catch (error) {
      portion.failed();
      throw error;
    }
    portion.came(clock.monotonicMs() - sinceMs);
    if (fetched.errorCode !== 0) {
      throw new GatewayError("BROKER", `${link.where} answers a fetch with error ${fetched.errorCode}`);
    }
    this.#trouble = null;
    this.#hand(fetched.partitions, asked);
  }

  #hand(partitions: readonly FetchedPartition[], asked: ReadonlyMap<string, Asked>): void {
    const { clock, dialer, doubt, log } = this.#ports;
    const receivedUs = clock.wallUs();
    const nowMs = clock.monotonicMs();
    for (const fetched of partitions) {
      const of = asked.get(`${fetched.topic}/${fetched.partition}`);
      if (of === undefined || of.feed.ticket !== of.ticket) continue;
      const { feed } = of;
      if (fetched.errorCode === KAFKA.OFFSET_OUT_OF_RANGE) {
        feed.leaveRange();
      } else if (fetched.errorCode !== 0) {
        feed.refuse(fetched.errorCode);
        doubt();
      } else {
        feed.give(fetched, dialer.settings.committedOnly, receivedUs, nowMs);
        if (feed.errorCode !== 0) log.error("kafka: a partition cannot be read", { error: feed.stalled });
        if (fetched.batches !== null) {
          this.#feeds.delete(feed);
          this.#feeds.add(feed);
        }
      }
    }
  }

  async #open(address: string | null): Promise<Link> {
    if (this.#link?.isOpen) return this.#link;
    if (address === null) throw new GatewayError("BROKER", `the cluster has no node ${this.node} at the moment`);
    const link = await openLink(this.#ports.dialer, address, () => undefined);
    if (this.#abort.signal.aborted) {
      link.close();
      throw new GatewayError("BROKER", "stopped");
    }
    this.#link = link;
    return link;
  }
}

function requestOf(feeds: readonly Feed[], byId: boolean, partitionMaxBytes: number): FetchTopic[] {
  const topics = new Map<string, FetchTopic>();
  for (const feed of feeds) {
    const topicId = byId ? feed.topicId : feed.topic;
    let topic = topics.get(topicId);
    if (topic === undefined) {
      topic = { topicId, partitions: [] };
      topics.set(topicId, topic);
    }
    topic.partitions.push({
      partition: feed.partition,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(feed.next ?? 0),
      lastFetchedEpoch: -1,
      partitionMaxBytes,
    });
  }
  return [...topics.values()];
}
