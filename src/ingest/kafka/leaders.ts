/**
 * The loops of a broker, and which feed is with which.
 *
 * Beside the path: broker -> LEADERS -> leader loops. Invariants: feeds of the same partition never share a fetch (each has
 * its lane); a loop without feeds is stopped.
 */
import type { Feed, FeedPlace } from "./feed.ts";
import type { Leader } from "./leader.ts";

export interface LeadersPorts {
  readonly feeds: ReadonlySet<Feed>;
  /** Null while the partition has none. */
  readonly leaderOf: (place: FeedPlace) => number | null;
  readonly make: (node: number) => Leader;
}

export class Leaders {
  readonly #ports: LeadersPorts;
  /** By node and lane. */
  readonly #leaders = new Map<string, Leader>();
  readonly #homes = new Map<Feed, Leader>();

  constructor(ports: LeadersPorts) {
    this.#ports = ports;
  }

  /** The loop that fetches for it; null while there is none. */
  of(feed: Feed): Leader | null {
    return this.#homes.get(feed) ?? null;
  }

  /** Every feed to the loop of its leader and lane. */
  assign(): void {
    const lanes = new Map<string, number>();
    const used = new Set<Leader>();
    for (const feed of this.#ports.feeds) {
      const place = `${feed.topic}/${feed.partition}`;
      const lane = lanes.get(place) ?? 0;
      lanes.set(place, lane + 1);
      const node = this.#ports.leaderOf(feed);
      const home = node === null ? null : this.#leader(node, lane);
      this.#move(feed, home);
      if (home !== null) used.add(home);
      feed.wakeLeader();
    }
    for (const [key, leader] of this.#leaders) {
      if (used.has(leader)) continue;
      leader.stop();
      this.#leaders.delete(key);
    }
  }

  /** The feed is over. */
  drop(feed: Feed): void {
    this.#move(feed, null);
    this.assign();
  }

  /** Settles when no loop runs any more. */
  async stop(): Promise<void> {
    const leaders = [...this.#leaders.values()];
    for (const leader of leaders) leader.stop();
    await Promise.all(leaders.map(({ ended }) => ended));
  }

  #move(feed: Feed, home: Leader | null): void {
    const before = this.of(feed);
    if (home === before) return;
    before?.remove(feed);
    this.#homes.delete(feed);
    if (home === null) return;
    this.#homes.set(feed, home);
    home.add(feed);
  }

  #leader(node: number, lane: number): Leader {
    const key = `${node}/${lane}`;
    let leader = this.#leaders.get(key);
    if (leader === undefined) {
      leader = this.#ports.make(node);
      this.#leaders.set(key, leader);
    }
    return leader;
  }
}
