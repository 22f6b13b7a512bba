/**
 * Finds out a source that silently delivers nothing: asks, beside the fetches, how far each partition has come.
 *
 * Beside the path. If the end lies ahead of what is fetched and nothing came for `stallMs`, the source says so, it is
 * counted, and its connection is made anew.
 */
import type { Clock } from "../../lib/clock.ts";
import type { IngestLog } from "../sampled-log.ts";
import { sleep } from "../wait.ts";
import type { OffsetOf } from "./cluster.ts";
import type { Feed, FeedPlace } from "./feed.ts";

export interface EndsPorts {
  readonly endsMs: number;
  readonly stallMs: number;
  readonly clock: Clock;
  readonly log: IngestLog;
  readonly signal: AbortSignal;
  readonly feeds: () => Iterable<Feed>;
  readonly leaderOf: (feed: Feed) => number | null;
  /** End offsets of partitions that the node leads. */
  readonly ask: (node: number, places: readonly FeedPlace[]) => Promise<readonly OffsetOf[]>;
  readonly reconnect: (feed: Feed, why: string) => void;
}

export class Ends {
  readonly #ports: EndsPorts;
  readonly ended: Promise<void>;
  #stalls = 0;

  constructor(ports: EndsPorts) {
    this.#ports = ports;
    this.ended = this.#run();
  }

  get stalls(): number {
    return this.#stalls;
  }

  async #run(): Promise<void> {
    const { clock, endsMs, signal } = this.#ports;
    for (;;) {
      await sleep(clock, endsMs, signal);
      if (signal.aborted) return;
      const nodes = new Map<number, Feed[]>();
      for (const feed of this.#ports.feeds()) {
        const node = this.#ports.leaderOf(feed);
        if (node === null || feed.next === null) continue;
        const list = nodes.get(node);
        if (list === undefined) nodes.set(node, [feed]);
        else list.push(feed);
      }
      await Promise.all([...nodes].map(([node, feeds]) => this.#look(node, feeds)));
    }
  }

  async #look(node: number, feeds: readonly Feed[]): Promise<void> {
    let ends: readonly OffsetOf[];
    try {
      ends = await this.#ports.ask(node, feeds);
    } catch {
      // That it cannot be reached, or hangs, is told by the broker's state and by the fetches.
      return;
    }
    for (const feed of feeds) {
      const found = ends.find(({ topic, partition }) => topic === feed.topic && partition === feed.partition);
      if (found !== undefined) this.#judge(feed, found.offset);
    }
  }

  #judge(feed: Feed, end: number): void {
    const { clock, stallMs, log, reconnect } = this.#ports;
    const { next } = feed;
    const now = clock.monotonicMs();
    feed.end = Math.max(feed.end ?? 0, end);
    // One that is full, held back or refused waits for something else.
    if (next === null || end <= next || !feed.wants) {
      feed.movedAtMs = now;
      if (next !== null && end <= next) feed.stalled = null;
      return;
    }
    const silentMs = now - feed.movedAtMs;
    if (silentMs < stallMs) return;
    this.#stalls++;
    feed.movedAtMs = now;
    const { topic, partition } = feed;
    feed.stalled = `partition ${partition} of topic "${topic}" has records up to ${end}, but from ${next} on none came for ${Math.round(silentMs / 1000)} s: connecting anew`;
    log.error("kafka: a source delivers nothing", { topic, partition, end, next, silentMs });
    reconnect(feed, feed.stalled);
  }
}
