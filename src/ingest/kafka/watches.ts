/**
 * Who watches which topics of a cluster, and what they were told.
 *
 * Beside the path: cluster -> WATCHES -> routes. Invariants: a watcher is told when the set of its inputs changed and only
 * then; an input keeps its object for as long as it is there.
 */
import type { BrokerInput, TopicPattern, Watch } from "../broker.ts";
import type { ClusterView, TopicView } from "./cluster.ts";
import { topicFault } from "./faults.ts";

interface Watched {
  readonly pattern: TopicPattern;
  readonly changed: (inputs: readonly BrokerInput[]) => void;
  /** Ids that it was told; null before the first time. */
  told: string | null;
}

export interface KnownTopic {
  readonly name: string;
  id: string;
  /** Leader of each partition. */
  leaders: readonly number[];
  /** Monotonic ms since when the cluster has it no more; null while it has. */
  goneMs: number | null;
}

export interface TopicChanges {
  readonly recreated: readonly string[];
  readonly grown: ReadonlyMap<string, number>;
}

/**
 * A topic that is gone is still told of for so long: it may be about to be made anew, and a broker that has just started may
 * not know it yet.
 */
export const GONE_MS = 30_000;

const hasSymbol = (pattern: TopicPattern): boolean => pattern.text.includes("{symbol}");

export class Watches {
  readonly #open: (topic: string, partition: number) => BrokerInput;
  readonly #watched = new Set<Watched>();
  readonly #inputs = new Map<string, BrokerInput>();
  readonly topics = new Map<string, KnownTopic>();
  #missing: readonly { readonly topic: string; readonly reason: string }[] = [];

  constructor(open: (topic: string, partition: number) => BrokerInput) {
    this.#open = open;
  }

  get missing(): readonly { readonly topic: string; readonly reason: string }[] {
    return this.#missing;
  }

  get empty(): boolean {
    return this.#watched.size === 0;
  }

  /** Topics to ask the cluster for; null: all. */
  get names(): readonly string[] | null {
    const patterns = [...this.#watched].map(({ pattern }) => pattern);
    if (patterns.some(hasSymbol)) return null;
    return [...new Set(patterns.flatMap((pattern) => pattern.topics()))];
  }

  add(pattern: TopicPattern, changed: (inputs: readonly BrokerInput[]) => void): Watch {
    const watched: Watched = { pattern, changed, told: null };
    this.#watched.add(watched);
    return { close: () => void this.#watched.delete(watched) };
  }

  clear(): void {
    this.#watched.clear();
  }

  /** What the cluster says now. Returns topics that were made anew, and how many partitions grown ones had before. */
  apply(view: ClusterView, nowMs: number): TopicChanges {
    const recreated: string[] = [];
    const grown = new Map<string, number>();
    for (const topic of view.topics.values()) {
      if (topic.errorCode !== 0 && topic.partitions.length === 0) continue;
      if (!this.#isWatched(topic.name)) continue;
      const known = this.topics.get(topic.name);
      const leaders = topic.partitions.map(({ leader }) => leader);
      // Partitions are never taken away: a broker that has just started may not know the newest.
      if (known?.id === topic.id) leaders.push(...known.leaders.slice(leaders.length));
      if (known === undefined) {
        this.topics.set(topic.name, { name: topic.name, id: topic.id, leaders, goneMs: null });
        continue;
      }
      if (known.id !== topic.id) recreated.push(known.name);
      else if (leaders.length > known.leaders.length) grown.set(known.name, known.leaders.length);
      Object.assign(known, { id: topic.id, leaders, goneMs: null });
    }
    for (const known of this.topics.values()) {
      const seen = view.topics.get(known.name);
      if (seen !== undefined && seen.partitions.length > 0) continue;
      known.goneMs ??= nowMs;
      if (nowMs - known.goneMs >= GONE_MS || !this.#isWatched(known.name)) this.topics.delete(known.name);
    }
    this.#missing = this.#missingIn(view);
    return { recreated, grown };
  }

  /** Tells everybody whose inputs changed. */
  tell(): void {
    for (const watched of [...this.#watched]) {
      const inputs = this.#inputsOf(watched.pattern);
      const ids = inputs.map(({ id }) => id).join("\n");
      if (ids === watched.told) continue;
      watched.told = ids;
      watched.changed(inputs);
    }
  }

  #isWatched(topic: string): boolean {
    return [...this.#watched].some(({ pattern }) => matches(pattern, topic));
  }

  #inputsOf(pattern: TopicPattern): BrokerInput[] {
    const topics = [...this.topics.values()].filter(({ name }) => matches(pattern, name));
    topics.sort((a, b) => (a.name < b.name ? -1 : 1));
    return topics.flatMap(({ name, leaders }) => leaders.map((_leader, partition) => this.#input(name, partition)));
  }

  #input(topic: string, partition: number): BrokerInput {
    const id = `${topic}/${partition}`;
    let input = this.#inputs.get(id);
    if (input === undefined) {
      input = this.#open(topic, partition);
      this.#inputs.set(id, input);
    }
    return input;
  }

  #missingIn(view: ClusterView): { topic: string; reason: string }[] {
    const missing: { topic: string; reason: string }[] = [];
    for (const { pattern } of this.#watched) {
      if (hasSymbol(pattern)) {
        if ([...view.topics.keys()].some((name) => matches(pattern, name))) continue;
        const reason = `no topic at ${view.address} is of the form "${pattern.text}" for a known instrument: make one, or correct source_topic`;
        missing.push({ topic: pattern.text, reason });
        continue;
      }
      for (const name of pattern.topics()) {
        const reason = faultOf(name, view.topics.get(name), view.address);
        if (reason !== null && !missing.some(({ topic }) => topic === name)) missing.push({ topic: name, reason });
      }
    }
    return missing;
  }
}

function matches(pattern: TopicPattern, topic: string): boolean {
  return hasSymbol(pattern) ? pattern.symbolOf(topic) !== null : pattern.topics().includes(topic);
}

/** 3: the cluster does not name it at all. */
function faultOf(name: string, topic: TopicView | undefined, address: string): string | null {
  return topicFault(name, topic?.errorCode ?? 3, address);
}
