/**
 * Presence: which nodes serve shards, and this node's word on itself, both with the HEADs.
 *
 * Beside the path: HEADs of all shards here are gathered for `lingerMs` and travel together, so 2,500 shards cost 50
 * messages a second at most; each such message says that its node serves. Without HEADs it is said once a second, also by nodes that serve nothing.
 * Invariants: a node that has not been heard of for FORGET_MS serves nothing; a HEAD never overtakes publications made
 * before it. The highest token heard of for each shard is kept: whoever speaks with a lower one is not believed.
 */
import type { Clock, Timer } from "../../lib/clock.ts";
import type { Head } from "../bus.ts";
import type { HeadsFrame } from "./wire.ts";

const EVERY_MS = 1000;
const FORGET_MS = 2500;
const FORGET_SHARD_MS = 60_000;

export interface PresenceOptions {
  readonly clock: Clock;
  readonly node: string;
  readonly lingerMs: number;
  /** Shards served here. */
  readonly serves: () => number;
  /** Version of what this node wants; of others it is handed on. */
  readonly wants: () => number;
  readonly heard: (node: string, wants: number) => void;
  /** A newcomer asks who is here. */
  readonly greeted: (node: string) => void;
  /** Once a second. */
  readonly tick: () => void;
  /** Sends a frame; publications made before it go first. */
  readonly send: (frame: HeadsFrame) => void;
  /** A node began to serve that did not, or has a new connection: what it was asked meanwhile it has not heard. */
  readonly begun: () => void;
  /** A node serves no longer. */
  readonly gone: () => void;
}

export class Presence {
  readonly #options: PresenceOptions;
  readonly #heard = new Map<string, number>();
  readonly #shards = new Map<string, { token: number; epoch: string; at: number }>();
  #heads: Head[] = [];
  #timer: Timer | null = null;
  #regular: Timer | null = null;
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#again();
  }

  /** Other nodes that serve. */
  get serving(): ReadonlyMap<string, unknown> {
    return this.#heard;
  }

  add(head: Head): void {
    this.#learn(head);
    this.#heads.push(head);
    this.#timer ??= this.#options.clock.after(this.#options.lingerMs, () => this.flush());
  }

  /** HEADs that wait leave now. */
  flush(): void {
    if (this.#heads.length > 0) this.say(false);
  }

  /** Says that we are here; `hello`: and asks who else is. */
  say(hello: boolean, serves: number = this.#options.serves(), wants: number = this.#options.wants()): void {
    const { node, clock, send } = this.#options;
    this.#timer?.cancel();
    this.#timer = null;
    const heads = this.#heads;
    this.#heads = [];
    this.#saidAt = clock.monotonicMs();
    send({ node, serves, hello, wants, heads });
  }

  /** What another node said. */
  hear({ node, serves, hello, wants, heads }: HeadsFrame): void {
    const { clock, begun, gone, heard, greeted } = this.#options;
    // Before it hears how much it knows of us, a newcomer is told.
    if (hello) greeted(node);
    heard(node, wants);
    for (const head of heads) this.#learn(head);
    const known = this.#heard.has(node);
    if (serves > 0) this.#heard.set(node, clock.monotonicMs());
    else this.#heard.delete(node);
    if (hello) this.say(false);
    if (serves > 0 && (!known || hello)) begun();
    if (serves === 0 && known) gone();
  }

  /** A node that answers serves, whatever else we have heard. */
  answered(node: string): void {
    this.#heard.set(node, this.#options.clock.monotonicMs());
  }

  /** False if a newer owner of the shard is known. */
  believes({ shard, token }: { readonly shard: string; readonly token: number }): boolean {
    return token >= (this.#shards.get(shard)?.token ?? 0);
  }

  /** An owner has said lately that this is the numbering of one of its shards. */
  isCurrent(epoch: string): boolean {
    for (const shard of this.#shards.values()) if (shard.epoch === epoch) return true;
    return false;
  }

  close(): void {
    this.#timer?.cancel();
    this.#regular?.cancel();
  }

  #learn({ shard, token, epoch }: Head): void {
    const at = this.#options.clock.monotonicMs();
    const known = this.#shards.get(shard);
    // A replaced owner that speaks on is not heard.
    if (known === undefined || token >= known.token) this.#shards.set(shard, { token, epoch, at });
  }

  #again(): void {
    this.#regular = this.#options.clock.after(EVERY_MS, () => {
      this.#again();
      this.#tick();
    });
  }

  #tick(): void {
    const { clock, gone, tick } = this.#options;
    tick();
    const now = clock.monotonicMs();
    if (now - this.#saidAt >= EVERY_MS) this.say(false);
    const before = this.#heard.size;
    for (const [node, at] of this.#heard) if (now - at > FORGET_MS) this.#heard.delete(node);
    for (const [shard, { at }] of this.#shards) if (now - at > FORGET_SHARD_MS) this.#shards.delete(shard);
    if (this.#heard.size < before) gone();
  }
}
