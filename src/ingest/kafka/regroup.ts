/**
 * Partitions were added to a topic: keys, and so channels, move between its partitions, old and new.
 *
 * Beside the path. What is done: every partition read here stops at the end it has now; when all have handed on everything
 * before it, each begins a new epoch and gives its channels up; only then do they go on, and the new ones begin. So a
 * channel's older records come first wherever it moves to, and whoever follows it is told by the epoch.
 * Producers learn of new partitions minutes apart. A record of a channel that another partition still holds shows one that
 * was late: then the same is done again, soon at first, with growing pauses, until CONTEST_MS after the last growth.
 * Invariants: one regrouping per topic at a time; a partition that is read on another node is not waited for.
 * At the limit: while an old partition cannot be read, the topic waits, and says so.
 */
import type { Clock } from "../../lib/clock.ts";
import type { IngestLog } from "../sampled-log.ts";
import { sleep } from "../wait.ts";
import type { Feed, FeedPlace } from "./feed.ts";

/** Kafka's producers ask for partitions every 5 minutes unless told otherwise. */
export const CONTEST_MS = 15 * 60_000;
const CONTEST_FIRST_MS = 2000;
const LOOK_MS = 10;
const RETRY_MS = 500;

export interface RegroupPorts {
  readonly clock: Clock;
  readonly log: IngestLog;
  readonly signal: AbortSignal;
  readonly feeds: () => Iterable<Feed>;
  /** How many the topic has. */
  readonly partitionsOf: (topic: string) => number;
  /** Rejects while it cannot be told. */
  readonly endOf: (place: FeedPlace) => Promise<number>;
}

interface Contest {
  untilMs: number;
  nextMs: number;
  pauseMs: number;
}

export class Regroups {
  readonly #ports: RegroupPorts;
  /** Topics that are being regrouped. */
  readonly #busy = new Map<string, Promise<void>>();
  /** Partitions that were not there when the topic was seen first: they are read from their start. */
  readonly #added = new Map<string, number>();
  readonly #contests = new Map<string, Contest>();
  readonly #bornMs: number;
  #done = 0;

  constructor(ports: RegroupPorts) {
    this.#ports = ports;
    this.#bornMs = ports.clock.monotonicMs();
  }

  get done(): number {
    return this.#done;
  }

  /** The topic had `before` partitions and has more now. */
  grown(topic: string, before: number): void {
    if (!this.#added.has(topic)) this.#added.set(topic, before);
    const now = this.#ports.clock.monotonicMs();
    this.#contests.set(topic, { untilMs: now + CONTEST_MS, nextMs: now, pauseMs: CONTEST_FIRST_MS });
    this.#begin(topic, "partitions were added");
  }

  /** A partition of the topic had a record for a channel that another one holds. */
  contested(topic: string): void {
    const now = this.#ports.clock.monotonicMs();
    let contest = this.#contests.get(topic);
    if (contest === undefined) {
      // Partitions may have been added while we did not run.
      contest = { untilMs: this.#bornMs + CONTEST_MS, nextMs: now, pauseMs: CONTEST_FIRST_MS };
      this.#contests.set(topic, contest);
    }
    if (now < contest.nextMs || now > contest.untilMs || this.#busy.has(topic)) return;
    contest.nextMs = now + contest.pauseMs;
    contest.pauseMs *= 2;
    this.#begin(topic, "a channel comes from two partitions");
  }

  /** The topic was made anew: all its partitions are old ones. */
  forget(topic: string): void {
    this.#added.delete(topic);
    this.#contests.delete(topic);
  }

  isAdded({ topic, partition }: FeedPlace): boolean {
    return partition >= (this.#added.get(topic) ?? Number.POSITIVE_INFINITY);
  }

  isBusy(topic: string): boolean {
    return this.#busy.has(topic);
  }

  /** Settles when the topic is not being regrouped, or when aborted. */
  async admitted(topic: string, signal: AbortSignal): Promise<void> {
    while (this.#busy.has(topic) && !signal.aborted) await sleep(this.#ports.clock, LOOK_MS, signal);
  }

  #begin(topic: string, why: string): void {
    if (this.#busy.has(topic)) return;
    const feeds = this.#feedsOf(topic).filter((feed) => feed.next !== null || feed.outOfRange);
    const partitions = this.#ports.partitionsOf(topic);
    this.#ports.log.warn("kafka: channels may move between partitions", { topic, why, partitions, here: feeds.length });
    this.#busy.set(
      topic,
      this.#regroup(topic, feeds).finally(() => {
        this.#busy.delete(topic);
      }),
    );
  }

  async #regroup(topic: string, feeds: readonly Feed[]): Promise<void> {
    const { signal } = this.#ports;
    try {
      await Promise.all(feeds.map((feed) => this.#bound(feed)));
      await this.#until(feeds, (feed) => feed.drained);
      for (const feed of feeds) feed.regroup();
      await this.#until(feeds, (feed) => feed.empty);
      if (!signal.aborted) this.#done++;
    } finally {
      for (const feed of feeds) feed.bound(null);
      this.#ports.log.info("kafka: partitions regrouped", { topic });
    }
  }

  async #bound(feed: Feed): Promise<void> {
    const { clock, endOf, signal } = this.#ports;
    while (!signal.aborted && this.#isHere(feed)) {
      try {
        feed.bound(await endOf(feed));
        return;
      } catch {
        // The broker's state says why; it is asked again until it answers.
        await sleep(clock, RETRY_MS, signal);
      }
    }
  }

  async #until(feeds: readonly Feed[], done: (feed: Feed) => boolean): Promise<void> {
    const { clock, signal } = this.#ports;
    while (!signal.aborted && feeds.some((feed) => this.#isHere(feed) && !done(feed)))
      await sleep(clock, LOOK_MS, signal);
  }

  #isHere(feed: Feed): boolean {
    for (const one of this.#ports.feeds()) if (one === feed) return true;
    return false;
  }

  #feedsOf(topic: string): Feed[] {
    return [...this.#ports.feeds()].filter((feed) => feed.topic === topic);
  }
}
