/**
 * Watches the clients of a world while it runs: nobody may be silently behind for long.
 *
 * A HEAD that reached a node says where a channel stands. A while later every client of that node has that much, or was
 * told: stale, a gap, another epoch, or its session is closed. Where no HEAD of a shard comes, clients of its channels are
 * told stale, or are closed. Held up on purpose (a thread without turns, a worker that
 * reads nothing, a client that does not read) is no reason to complain.
 */
import type { Bus, Head } from "../../src/bus/bus.ts";
import type { Clock, Timer } from "../../src/lib/clock.ts";
import type { Crowd } from "./crowd.ts";
import type { Node } from "./node.ts";
import type { Trace } from "./trace.ts";

/** A question and its timeout (700 ms), a delayed message (300), the slowest rung (3000), and some room. */
const BEHIND_MS_MAX = 6000;
/** Sessions of a dialect without a word for it see 5 s of staleness before they are closed. */
const UNTOLD_MS = 6000;
/** Without a HEAD for 2 s a shard is silent; a node looks every 250 ms. */
const SILENT_MS_MAX = 3000;
const LOOK_MS = 1000;

/** From `sinceMs` on the node has known that the channel stands at `seq`. */
interface Known {
  readonly epoch: string;
  readonly seq: number;
  readonly sinceMs: number;
}

export class Watch {
  readonly #clock: Clock;
  readonly #trace: Trace;
  readonly #violation: (text: string) => void;
  /** By node and channel: what HEADs said, oldest first; only what is old enough to count is looked at. */
  readonly #known = new Map<string, Known[]>();
  /** Highest token by node and shard: what a former owner says counts for nothing. */
  readonly #tokens = new Map<string, number>();
  /** By node and channel: when a HEAD of its shard came last. */
  readonly #headMs = new Map<string, { ms: number }>();
  /** By node and shard: the same, shared by its channels. */
  readonly #headOf = new Map<string, { ms: number }>();
  #timer: Timer | null = null;
  #ended = false;
  readonly #rankOf: (epoch: string) => number;

  /** `rankOf`: where an epoch stands among those of its shard. */
  constructor(clock: Clock, trace: Trace, rankOf: (epoch: string) => number, violation: (text: string) => void) {
    this.#clock = clock;
    this.#rankOf = rankOf;
    this.#trace = trace;
    this.#violation = violation;
  }

  /** The bus of this node, whose HEADs are noted. */
  over(node: string, bus: Bus): Bus {
    return {
      ...bus,
      heads: (receive) =>
        bus.heads((head) => {
          this.#heard(node, head);
          receive(head);
        }),
    };
  }

  clients(crowd: Crowd, nodes: readonly Node[]): void {
    const look = (): void => {
      if (this.#ended) return;
      for (const node of nodes) {
        this.#lookSilent(crowd, node);
        if (this.#clock.monotonicMs() - node.disturbedUntilMs > BEHIND_MS_MAX) this.#lookBehind(crowd, node.name);
      }
      this.#timer = this.#clock.after(LOOK_MS, look);
    };
    this.#timer = this.#clock.after(LOOK_MS, look);
  }

  end(): void {
    this.#ended = true;
    this.#timer?.cancel();
  }

  // --- inside -----------------------------------------------------------------------------------------------------

  #heard(node: string, { shard, token, epoch, last }: Head): void {
    const owner = `${node} ${shard}`;
    if (token < (this.#tokens.get(owner) ?? 0)) return;
    this.#tokens.set(owner, token);
    const sinceMs = this.#clock.monotonicMs();
    const heard = this.#headOf.get(owner) ?? { ms: 0 };
    this.#headOf.set(owner, heard);
    heard.ms = sinceMs;
    for (const [channel, , seq] of last) {
      if (!channel.endsWith("@depth") && !channel.endsWith("@trade")) continue;
      const key = `${node} ${channel}`;
      this.#headMs.set(key, heard);
      const known = this.#known.get(key) ?? [];
      this.#known.set(key, known);
      const newest = known.at(-1);
      if (newest?.epoch === epoch && newest.seq >= seq) continue;
      known.push({ epoch, seq, sinceMs });
    }
  }

  /** The newest thing the node has known of the channel for `ms` or longer; null if that is over. */
  #due(node: string, channel: string, ms: number): Known | null {
    const known = this.#known.get(`${node} ${channel}`) ?? [];
    const now = this.#clock.monotonicMs();
    const at = known.findLastIndex(({ sinceMs }) => now - sinceMs > ms);
    const due = known[at];
    if (due === undefined) return null;
    // Another epoch meanwhile: that is told in its own time.
    return known[at + 1] !== undefined && known.at(-1)!.epoch !== due.epoch ? null : due;
  }

  /** No HEAD has come for long, and nothing on the node or the client's side was held up since the last one. */
  #lookSilent(crowd: Crowd, { name: node, disturbedUntilMs }: Node): void {
    const now = this.#clock.monotonicMs();
    const silentMs = (channel: string, ...since: readonly number[]): number => {
      const last = this.#headMs.get(`${node} ${channel}`)?.ms ?? now;
      return Math.max(disturbedUntilMs, ...since) > last ? 0 : now - last;
    };
    for (const client of crowd.natives) {
      if (!client.open || client.node?.name !== node) continue;
      for (const [name, { following, phase, runsMs }] of client.subscriptions) {
        if (phase !== "running" || following.stale || following.have === null) continue;
        const ms = silentMs(name.replace(/^spot:/, ""), client.disturbedMs, runsMs);
        if (ms < SILENT_MS_MAX) continue;
        this.#complain(`${client.label} ${name} is not told that its owner is silent for ${ms} ms`, following.log);
        return;
      }
    }
    for (const client of crowd.binances) {
      if (!client.open || client.node?.name !== node || client.position === null) continue;
      const ms = silentMs(`${client.symbol}@depth`, client.disturbedMs);
      if (ms < SILENT_MS_MAX + UNTOLD_MS) continue;
      this.#complain(`${client.label} is not closed, its owner is silent for ${ms} ms`, client.log);
      return;
    }
  }

  #lookBehind(crowd: Crowd, node: string): void {
    const now = this.#clock.monotonicMs();
    for (const client of crowd.natives) {
      if (!client.open || client.node?.name !== node || now - client.disturbedMs < BEHIND_MS_MAX) continue;
      for (const [name, { following, phase, runsMs }] of client.subscriptions) {
        if (phase !== "running" || following.stale || now - runsMs < BEHIND_MS_MAX) continue;
        const due = this.#due(node, name.replace(/^spot:/, ""), BEHIND_MS_MAX);
        if (due === null || following.epoch === "") continue;
        const isOld = this.#rankOf(due.epoch) > this.#rankOf(following.epoch);
        if (!isOld && (due.epoch !== following.epoch || due.seq <= (following.have ?? -1))) continue;
        this.#complain(`${client.label} ${name} ${behind(following.have, due, now)}`, following.log);
        return;
      }
    }
    const untoldMs = BEHIND_MS_MAX + UNTOLD_MS;
    for (const client of crowd.binances) {
      if (!client.open || client.node?.name !== node || now - client.disturbedMs < untoldMs) continue;
      const have = client.position;
      const due = have === null ? null : this.#due(node, `${client.symbol}@depth`, untoldMs);
      if (have === null || due === null || due.seq <= have) continue;
      this.#complain(`${client.label} ${client.symbol}@${client.stream} ${behind(have, due, now)}`, client.log);
      return;
    }
  }

  #complain(text: string, log: readonly string[]): void {
    this.#trace.say(() => `! ${text}`);
    this.#violation(`${text}; ${log.slice(-25).join(" / ")}`);
    // Once is enough.
    this.#ended = true;
  }
}

const behind = (have: number | null, { epoch, seq, sinceMs }: Known, now: number): string =>
  `is silently behind: at ${have}, its node has heard of ${epoch} ${seq} for ${now - sinceMs} ms`;
