/**
 * What becomes of each message of a world's bus: lost, repeated, late, on purpose or by chance.
 *
 * Invariants: what an owner says reaches its own node at once; a node that is deaf hears nothing, one whose thread has no
 * turns hears everything when it goes on. A request or reply counts as heard by the node that asks.
 */
import { type Delivery, type Faults, LOST, NOW, type SeededFaults } from "../../src/bus/faults.ts";
import type { NodeClock } from "./node-clock.ts";
import type { Trace } from "./trace.ts";

export interface NetworkOptions {
  readonly faults: SeededFaults;
  /** The threads of the receiving nodes, by name; who is not among them hears everything at once. */
  readonly nodes: ReadonlyMap<string, NodeClock>;
  /** Somebody on the node speaks for the shard. */
  readonly isLocal: (shard: string, node: string) => boolean;
  /** The shard of a channel: a node that owns it answers itself. */
  readonly shardOf: (channel: string) => string;
  readonly trace: Trace;
}

export class Network implements Faults {
  /** Messages that did not arrive exactly once and at once. */
  readonly counts = { lost: 0, repeated: 0, late: 0 };
  readonly #options: NetworkOptions;
  readonly #deafUntilMs = new Map<string, number>();
  #losing: ReadonlySet<string> = new Set();
  #only: string | null = null;

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  /** The node hears nothing until `ms` from now. */
  deafen(node: string, ms: number): void {
    const now = this.#clockOf(node)?.monotonicMs() ?? 0;
    this.#deafUntilMs.set(node, Math.max(this.#deafUntilMs.get(node) ?? 0, now + ms));
  }

  /** Every publication that these nodes should get now is lost. */
  lose(nodes: readonly string[]): void {
    this.#losing = new Set(nodes);
  }

  /** What is said in `call` reaches this node only. */
  onlyOn(node: string, call: () => void): void {
    this.#only = node;
    call();
    this.#only = null;
  }

  /** No faults any more. */
  calm(): void {
    this.#deafUntilMs.clear();
    this.#losing = new Set();
    this.#options.faults.calm();
  }

  fate(delivery: Delivery): readonly number[] {
    const { node } = delivery;
    const clock = this.#clockOf(node);
    if (clock === undefined) return NOW;
    const fate = this.#chance(delivery, clock);
    if (fate === NOW) return NOW;
    if (fate.length === 0) this.counts.lost++;
    else if (fate.length > 1) this.counts.repeated++;
    else if (fate[0] !== 0) this.counts.late++;
    const { what, channel, shard, seq } = delivery;
    this.#options.trace.say(() => {
      const how = fate.length === 0 ? "lost" : `after ${fate.join(" and ")} ms`;
      return `${node} ${what} ${channel === "" ? shard : channel}${seq === null ? "" : ` ${seq}`} ${how}`;
    });
    return fate;
  }

  #chance(delivery: Delivery, clock: NodeClock): readonly number[] {
    const { node, what, shard, channel } = delivery;
    const { faults, isLocal, shardOf } = this.#options;
    const frozenMs = clock.frozenMs;
    if (this.#only !== null && this.#only !== node) return LOST;
    const about = shard === "" ? shardOf(channel) : shard;
    if (isLocal(about, node)) return frozenMs === 0 ? NOW : [frozenMs];
    if (clock.monotonicMs() < (this.#deafUntilMs.get(node) ?? 0)) return LOST;
    if (what === "publication" && this.#losing.has(node)) return LOST;
    const fate = faults.fate(delivery);
    if (frozenMs > 0) return fate.map((ms) => Math.max(ms, frozenMs));
    return fate.length === 1 && fate[0] === 0 ? NOW : fate;
  }

  #clockOf(node: string): NodeClock | undefined {
    return this.#options.nodes.get(node);
  }
}
