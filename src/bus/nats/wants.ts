/**
 * Wants: which topics this node tells the others it wants, and which they want of it.
 *
 * Beside the path: what nobody wants is not even written (`Bus.wanted`), so an owner does not pay for candles that no client
 * looks at. Each node tells everybody its changes, in order, and a newcomer all of it; its version travels with its presence.
 * Invariants: a want is told before the request that follows it, so what is published behind the answer is sent; of a
 * node whose list is not known (a newcomer, or a change was lost) everything is taken for wanted until it has told all.
 * At the limit: a node that was not heard of for FORGET_MS wants nothing; if it does, its followers find out by HEADs.
 */
import type { Clock } from "../../lib/clock.ts";

/** `full`: `add` is all of it. `asks`: that node shall tell all; then the frame says nothing else. */
export interface WantsFrame {
  readonly node: string;
  readonly version: number;
  readonly full: boolean;
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly asks: string;
}

/** In place of a version: the node leaves. */
export const LEAVES = -1;
const FORGET_MS = 10_000;
/** A node is not asked for its list more often than this. */
const ASK_MS = 500;

export interface WantsOptions {
  readonly clock: Clock;
  readonly node: string;
  /** `to`: that node alone; null: all. */
  readonly send: (frame: WantsFrame, to: string | null) => void;
}

/** What this node wants. */
export class OwnWants {
  readonly #options: WantsOptions;
  readonly #topics = new Map<string, number>();
  readonly #changed = new Set<string>();
  /** As the others know it. */
  readonly #told = new Set<string>();
  #version = 0;
  #connected = false;
  #due = false;

  constructor(options: WantsOptions) {
    this.#options = options;
  }

  get version(): number {
    return this.#version;
  }

  enter(topic: string): void {
    const wants = this.#topics.get(topic) ?? 0;
    this.#topics.set(topic, wants + 1);
    if (wants === 0) this.#change(topic);
  }

  leave(topic: string): void {
    const wants = this.#topics.get(topic) ?? 0;
    if (wants > 1) this.#topics.set(topic, wants - 1);
    else if (this.#topics.delete(topic)) this.#change(topic);
  }

  up(): void {
    this.#connected = true;
    this.#changed.clear();
    this.#told.clear();
    for (const topic of this.#topics.keys()) this.#told.add(topic);
    this.#version++;
    this.#say(true, [...this.#told], [], null);
  }

  down(): void {
    this.#connected = false;
  }

  /** Tells one node all of it. */
  tellAll(to: string): void {
    if (!this.#connected) return;
    this.flush();
    this.#say(true, [...this.#told], [], to);
  }

  /** Changes that were not told leave now. */
  flush(): void {
    this.#due = false;
    if (!this.#connected || this.#changed.size === 0) return;
    const [add, drop]: [string[], string[]] = [[], []];
    for (const topic of this.#changed) {
      const isWanted = this.#topics.has(topic);
      if (isWanted === this.#told.has(topic)) continue;
      (isWanted ? add : drop).push(topic);
      if (isWanted) this.#told.add(topic);
      else this.#told.delete(topic);
    }
    this.#changed.clear();
    if (add.length + drop.length === 0) return;
    this.#version++;
    this.#say(false, add, drop, null);
  }

  #say(full: boolean, add: readonly string[], drop: readonly string[], to: string | null): void {
    this.#options.send({ node: this.#options.node, version: this.#version, full, add, drop, asks: "" }, to);
  }

  #change(topic: string): void {
    this.#changed.add(topic);
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => this.flush());
  }
}

interface Other {
  topics: Set<string>;
  /** Of the list; null: it is not known. */
  version: number | null;
  at: number;
  askedAt: number;
}

/** What the other nodes want. */
export class OtherWants {
  readonly #options: WantsOptions;
  readonly #nodes = new Map<string, Other>();
  readonly #counts = new Map<string, number>();
  /** Nodes whose list is not known. */
  #unknown = 0;
  /** Until then not everybody has told. */
  #joinedAt = Number.NEGATIVE_INFINITY;

  constructor(options: WantsOptions) {
    this.#options = options;
  }

  wanted(topic: string): boolean {
    if (this.#unknown > 0 || this.#counts.has(topic)) return true;
    return this.#joinedAt > 0 && this.#options.clock.monotonicMs() < this.#joinedAt;
  }

  /** There is a connection; within `joinMs` everybody tells what he wants, until then it is everything. */
  up(joinMs: number): void {
    this.#joinedAt = this.#options.clock.monotonicMs() + joinMs;
  }

  take({ node, version, full, add, drop, asks }: WantsFrame): void {
    if (asks !== "") return;
    const other = this.#other(node);
    const follows = other.version !== null && version === other.version + 1;
    if (full) {
      for (const topic of other.topics) this.#count(topic, -1);
      other.topics = new Set(add);
      for (const topic of other.topics) this.#count(topic, 1);
      this.#know(other, version);
    } else if (follows) {
      for (const topic of drop) if (other.topics.delete(topic)) this.#count(topic, -1);
      for (const topic of add) {
        if (other.topics.has(topic)) continue;
        other.topics.add(topic);
        this.#count(topic, 1);
      }
      other.version = version;
    } else this.#ask(node, other);
  }

  /** A node's presence, with the version of its list. */
  hear(node: string, version: number): void {
    if (version === LEAVES) {
      this.#forget(node);
      return;
    }
    const other = this.#other(node);
    other.at = this.#options.clock.monotonicMs();
    if (other.version !== version) this.#ask(node, other);
  }

  sweep(): void {
    const now = this.#options.clock.monotonicMs();
    for (const [node, { at }] of this.#nodes) if (now - at > FORGET_MS) this.#forget(node);
  }

  #other(node: string): Other {
    let other = this.#nodes.get(node);
    if (other === undefined) {
      other = {
        topics: new Set(),
        version: null,
        at: this.#options.clock.monotonicMs(),
        askedAt: Number.NEGATIVE_INFINITY,
      };
      this.#nodes.set(node, other);
      this.#unknown++;
    }
    return other;
  }

  #know(other: Other, version: number): void {
    if (other.version === null) this.#unknown--;
    other.version = version;
    other.at = this.#options.clock.monotonicMs();
  }

  #ask(node: string, other: Other): void {
    if (other.version !== null) this.#unknown++;
    other.version = null;
    const now = this.#options.clock.monotonicMs();
    if (now - other.askedAt < ASK_MS) return;
    other.askedAt = now;
    this.#options.send({ node: this.#options.node, version: 0, full: false, add: [], drop: [], asks: node }, node);
  }

  #forget(node: string): void {
    const other = this.#nodes.get(node);
    if (other === undefined) return;
    for (const topic of other.topics) this.#count(topic, -1);
    if (other.version === null) this.#unknown--;
    this.#nodes.delete(node);
  }

  #count(topic: string, by: number): void {
    const count = (this.#counts.get(topic) ?? 0) + by;
    if (count > 0) this.#counts.set(topic, count);
    else this.#counts.delete(topic);
  }
}
