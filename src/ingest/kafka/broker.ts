/**
 * Broker `kafka`: one Kafka cluster as a data source.
 *
 * On the path: cluster -> BROKER (topics, leaders) -> leader loops -> feeds -> sources.
 * Invariants: the cluster is asked again every few seconds and at once after any doubt, but never twice within
 * REFRESH_MS_MIN; nothing here throws after the constructor.
 * At the limit: a cluster that cannot be reached is tried again for ever, with growing pauses; the state says why.
 */
import { createBackoff } from "../../lib/backoff.ts";
import { wallMs } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { LogFields } from "../../lib/log.ts";
import { Outage } from "../../lib/outage.ts";
import type { Broker, BrokerInput, BrokerState, BrokerStatus, BrokerTools, TopicPattern, Watch } from "../broker.ts";
import { sleep } from "../wait.ts";
import { Wake } from "../wake.ts";
import { Cluster, EARLIEST, LATEST } from "./cluster.ts";
import { Commits } from "./commits.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Ends } from "./ends.ts";
import { topicFault } from "./faults.ts";
import { Feed, type FeedPlace } from "./feed.ts";
import { Leader } from "./leader.ts";
import { Leaders } from "./leaders.ts";
import { Pace } from "./pace.ts";
import { type KafkaSettings, settingsOf } from "./properties.ts";
import { Regroups } from "./regroup.ts";
import { KafkaSource, type SourcePorts, type Trouble } from "./source.ts";
import { Watches } from "./watches.ts";

/** Times that tests shorten. */
export interface KafkaTimes {
  /** Between two looks at the end offsets. */
  readonly endsMs: number;
  /** The end moves and we do not for so long: found out. */
  readonly stallMs: number;
  /** Between two commits of offsets. */
  readonly commitMs: number;
}

export const KAFKA_TIMES: KafkaTimes = { endsMs: 5000, stallMs: 10_000, commitMs: 1000 };

const REFRESH_MS_MIN = 200;
const CLOSE_MS_MAX = 1000;
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 5000;

export class KafkaBroker implements Broker {
  readonly name: string;
  readonly #tools: BrokerTools;
  readonly #settings: KafkaSettings;
  readonly #cluster: Cluster;
  readonly #pace: Pace;
  readonly #watches: Watches;
  readonly #feeds = new Set<Feed>();
  readonly #leaders: Leaders;
  readonly #regroups: Regroups;
  readonly #ends: Ends;
  readonly #commits: Commits | null;
  readonly #deadLetters: DeadLetters | null;
  readonly #abort = new AbortController();
  readonly #wake = new Wake();
  readonly #running: Promise<void>;
  #state: BrokerState;

  constructor(tools: BrokerTools, times: KafkaTimes = KAFKA_TIMES) {
    const { name, clock, random, log, resolveAddress } = tools;
    this.name = name;
    this.#tools = tools;
    const settings = settingsOf(tools);
    this.#settings = settings;
    this.#state = { name: "connecting", attempt: 1, retryAt: wallMs(clock), error: "" };
    this.#cluster = new Cluster({ settings, resolve: resolveAddress });
    this.#pace = new Pace(() => clock.monotonicMs());
    this.#watches = new Watches((topic, partition) => this.#input(topic, partition));
    const { groupId, deadLetterTopic } = settings;
    const uncommitted = this.#outage("offsets not committed", "offsets committed again", { group: groupId });
    this.#commits = groupId === null ? null : new Commits(groupId, this.#cluster, clock, uncommitted, times.commitMs);
    const unwritten = this.#outage("dead letters not written", "dead letters written again", {
      topic: deadLetterTopic,
    });
    this.#deadLetters =
      deadLetterTopic === null
        ? null
        : new DeadLetters({ topic: deadLetterTopic, cluster: this.#cluster, clock, random, outage: unwritten });
    this.#leaders = new Leaders({
      feeds: this.#feeds,
      leaderOf: (place) => this.#leaderOf(place),
      make: (node) =>
        new Leader(node, {
          dialer: { settings, resolve: resolveAddress },
          address: () => this.#cluster.address(node),
          doubt: this.#wake.call,
          clock,
          random,
          log,
          outage: this.#outage("fetching stopped", "fetching again", { node }),
        }),
    });
    this.#regroups = new Regroups({
      clock,
      log,
      signal: this.#abort.signal,
      feeds: () => this.#feeds,
      partitionsOf: (topic) => this.#watches.topics.get(topic)?.leaders.length ?? 0,
      endOf: (place) => this.#offsetOf(place, LATEST),
    });
    this.#ends = new Ends({
      ...times,
      clock,
      log,
      feeds: () => this.#feeds,
      leaderOf: (feed) => this.#leaderOf(feed),
      ask: (node, places) => this.#cluster.offsets(node, places, LATEST, settings.committedOnly),
      reconnect: (feed, why) => this.#leaders.of(feed)?.reconnect(why),
      signal: this.#abort.signal,
    });
    this.#running = this.#run();
  }

  watch(topic: TopicPattern, changed: (inputs: readonly BrokerInput[]) => void): Watch {
    const watch = this.#watches.add(topic, changed);
    this.#wake.call();
    return watch;
  }

  status(): BrokerStatus {
    const { name } = this;
    const fault = this.#deadLetters?.fault ?? null;
    const topic = this.#settings.deadLetterTopic;
    const missing = [...this.#watches.missing];
    if (fault !== null && topic !== null) missing.push({ topic, reason: fault });
    return { name, type: "kafka", state: this.#state, missing, counts: this.#counts() };
  }

  async close(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    this.#watches.clear();
    this.#abort.abort();
    this.#wake.call();
    const stopped = this.#leaders.stop();
    await this.#within(Promise.all([this.#commits?.close(), this.#deadLetters?.close(), this.#ends.ended]));
    this.#cluster.close();
    await this.#within(Promise.all([this.#running, stopped]));
  }

  /** A cluster that hangs holds nobody up: what is under way ends by its own timeout. */
  async #within(work: Promise<unknown>): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = this.#tools.clock.after(CLOSE_MS_MAX, late.resolve);
    await Promise.race([work, late.promise]);
    timer.cancel();
  }

  /** A part of it that fails while the cluster can be reached; that it cannot is told by who looks at its state. */
  #outage(away: string, back: string, more: LogFields): Outage {
    const { clock, log } = this.#tools;
    return new Outage({
      ...{ clock, log, away: `kafka: ${away}`, back: `kafka: ${back}`, fields: { source: this.name, ...more } },
      isToldElsewhere: () => this.#state.name === "connecting" && this.#state.error !== "",
    });
  }

  // --- topics and leaders ---------------------------------------------------------------------------------------

  async #run(): Promise<void> {
    const { clock, random, log } = this.#tools;
    const { signal } = this.#abort;
    const backoff = createBackoff(BACKOFF_FIRST_MS, BACKOFF_MAX_MS, random);
    while (!signal.aborted) {
      let pauseMs = this.#settings.metadataMaxAgeMs;
      try {
        await this.#refresh();
        this.#state = { name: "connected" };
        backoff.reset();
      } catch (cause) {
        if (signal.aborted) break;
        const error = cause instanceof GatewayError ? cause.message : String(cause);
        pauseMs = backoff.next();
        const retryAt = wallMs(clock) + Math.ceil(pauseMs);
        this.#state = { name: "connecting", attempt: backoff.attempts, retryAt, error };
        if (!(cause instanceof GatewayError)) log.error("kafka: unexpected", { source: this.name, error: cause });
      }
      await sleep(clock, Math.min(pauseMs, REFRESH_MS_MIN), signal);
      await this.#awaited(pauseMs - REFRESH_MS_MIN);
    }
  }

  /** Until `ms` have passed or somebody is in doubt. */
  async #awaited(ms: number): Promise<void> {
    if (ms <= 0 || this.#abort.signal.aborted) return;
    const timer = this.#tools.clock.after(ms, this.#wake.call);
    await this.#wake.wait();
    timer.cancel();
  }

  async #refresh(): Promise<void> {
    const { clock } = this.#tools;
    const view = await this.#cluster.topics(this.#watches.names);
    if (this.#abort.signal.aborted) return;
    const { recreated, grown } = this.#watches.apply(view, clock.monotonicMs());
    for (const name of recreated) this.#regroups.forget(name);
    for (const feed of this.#feeds) {
      const id = this.#watches.topics.get(feed.topic)?.id ?? feed.topicId;
      if (id !== feed.topicId) feed.recreated(id);
      feed.errorCode = 0;
    }
    for (const [topic, before] of grown) this.#regroups.grown(topic, before);
    this.#leaders.assign();
    this.#watches.tell();
  }

  #leaderOf({ topic, partition }: FeedPlace): number | null {
    const node = this.#watches.topics.get(topic)?.leaders[partition] ?? -1;
    return node < 0 ? null : node;
  }

  // --- sources --------------------------------------------------------------------------------------------------

  #input(topic: string, partition: number): BrokerInput {
    const id = `${topic}/${partition}`;
    const open = (): KafkaSource => new KafkaSource(`${this.name}/${id}`, { topic, partition }, this.#ports(topic));
    return { id, topic, open };
  }

  #ports(topic: string): SourcePorts {
    const { clock, random, log } = this.#tools;
    return {
      clock,
      random,
      log,
      pace: this.#pace,
      reset: this.#settings.reset,
      committedOnly: this.#settings.committedOnly,
      topicId: this.#watches.topics.get(topic)?.id ?? "",
      signal: this.#abort.signal,
      attach: (place, incarnation, wake) => this.#attach(place, incarnation, wake),
      detach: (feed) => this.#detach(feed),
      admitted: ({ topic: of }, signal) => this.#regroups.admitted(of, signal),
      isAdded: (place) => this.#regroups.isAdded(place),
      contested: (of) => this.#regroups.contested(of),
      offsetOf: (place, which) => this.#offsetOf(place, which === "earliest" ? EARLIEST : LATEST),
      troubleOf: (feed) => this.#troubleOf(feed),
      reconnect: (feed, why) => this.#leaders.of(feed)?.reconnect(why),
      commit: (place, next) => this.#commits?.add(place, next),
      deadLetter: (record, reason) => this.#deadLetters?.add(record, reason),
    };
  }

  /** `incarnation`: the id of the topic that the source's offsets belong to. */
  #attach(place: FeedPlace, incarnation: string, wake: () => void): Feed {
    const { clock } = this.#tools;
    const { partitionMaxBytes } = this.#settings;
    const feed = new Feed(place, incarnation, partitionMaxBytes, clock.monotonicMs(), wake);
    this.#feeds.add(feed);
    const id = this.#watches.topics.get(place.topic)?.id ?? incarnation;
    if (id !== incarnation) feed.recreated(id);
    this.#leaders.assign();
    return feed;
  }

  #detach(feed: Feed): void {
    this.#feeds.delete(feed);
    this.#leaders.drop(feed);
  }

  async #offsetOf(place: FeedPlace, time: bigint): Promise<number> {
    const node = this.#leaderOf(place);
    const { topic, partition } = place;
    if (node === null) throw new GatewayError("BROKER", this.#faultOf(topic, partition));
    try {
      const offsets = await this.#cluster.offsets(node, [place], time, this.#settings.committedOnly);
      const found = offsets[0];
      if (found !== undefined) return found.offset;
    } catch (error) {
      this.#wake.call();
      throw error;
    }
    this.#wake.call();
    throw new GatewayError(
      "BROKER",
      `the offsets of partition ${partition} of topic "${topic}" cannot be told right now`,
    );
  }

  #faultOf(topic: string, partition: number): string {
    const missing = this.#watches.missing.find((one) => one.topic === topic);
    if (missing !== undefined) return missing.reason;
    return `partition ${partition} of topic "${topic}" has no leader at the moment`;
  }

  #troubleOf(feed: Feed): Trouble | null {
    const now = wallMs(this.#tools.clock);
    const because = (error: string): Trouble => ({ attempt: 1, retryAt: now, error });
    const missing = this.#watches.missing.find((one) => one.topic === feed.topic);
    if (missing !== undefined) return because(missing.reason);
    const home = this.#leaders.of(feed);
    if (home === null) {
      if (this.#state.name === "connecting") return this.#state;
      return because(this.#faultOf(feed.topic, feed.partition));
    }
    if (home.trouble !== null) return home.trouble;
    if (feed.next === null && this.#regroups.isBusy(feed.topic)) {
      return because(`topic "${feed.topic}" has more partitions now: its older records come first`);
    }
    if (feed.stalled !== null) return because(feed.stalled);
    if (feed.errorCode === 0) return null;
    return because(
      topicFault(feed.topic, feed.errorCode, `node ${home.node}`) ?? `partition ${feed.partition} has no leader`,
    );
  }

  #counts(): Readonly<Record<string, number>> {
    const letters = this.#deadLetters?.counts;
    return {
      commits: this.#commits?.done ?? 0,
      "commit errors": this.#commits?.errors ?? 0,
      "commits dropped": this.#commits?.dropped ?? 0,
      stalls: this.#ends.stalls,
      regroups: this.#regroups.done,
      "dead letters": letters?.written ?? 0,
      "dead letters dropped": letters?.dropped ?? 0,
      "dead letter errors": letters?.errors ?? 0,
    };
  }
}
