/**
 * A shard as a node hears of it: who may speak for it (token), which numberings have ended, when the last HEAD came.
 *
 * Invariants: a token never falls; an epoch that ended under a token is refused for as long as that token rules (a later
 * owner's token voids the list: what the old owner still says is refused by its token).
 * At the limit: of the ended epochs the last 16 are remembered; an older one costs a question to the owner.
 */
import type { Kind } from "../channel/types.ts";
import type { Head, ShardHeader } from "./bus.ts";
import type { ShardHealth } from "./follower-status.ts";

const ENDED_MAX = 16;

export class HeardShard<Member> {
  readonly name: string;
  token = 0;
  /** As the last HEAD or reply named it; '' before. */
  epoch = "";
  headEpoch = "";
  source = "";
  offset: number | null = null;
  provides: readonly Kind[] = [];
  /** Monotonic ms of the last HEAD; before the first: of our first word of the shard. */
  headAt: number;
  hadHead = false;
  silent = false;
  readonly chains = new Set<Member>();
  #ended: string[] = [];
  readonly #raised: ((shard: string, token: number) => void) | undefined;

  constructor(name: string, now: number, raised?: (shard: string, token: number) => void) {
    this.name = name;
    this.headAt = now;
    this.#raised = raised;
  }

  /** Null if what carries this header may pass; else the counter it is refused under. Raises the token. */
  refusal(header: ShardHeader): "refusedTokens" | "oldEpochs" | null {
    if (header.token < this.token) return "refusedTokens";
    if (header.token > this.token) {
      this.token = header.token;
      this.#ended = [];
      this.#raised?.(this.name, header.token);
    }
    return this.#ended.includes(header.epoch) ? "oldEpochs" : null;
  }

  /** The owner's reply proved that this epoch is not the current one. */
  retire(epoch: string): void {
    if (epoch === "" || this.#ended.includes(epoch)) return;
    this.#ended.push(epoch);
    if (this.#ended.length > ENDED_MAX) this.#ended.shift();
  }

  isRetired(epoch: string): boolean {
    return this.#ended.includes(epoch);
  }

  heard(head: Head, now: number): void {
    this.epoch = head.epoch;
    this.headEpoch = head.epoch;
    this.source = head.source;
    this.offset = head.offset;
    this.provides = head.provides;
    this.headAt = now;
    this.hadHead = true;
    this.silent = false;
  }

  health(now: number): ShardHealth {
    return {
      shard: this.name,
      token: this.token,
      epoch: this.epoch,
      source: this.source,
      offset: this.offset,
      provides: this.provides,
      headAgeMs: this.hadHead ? now - this.headAt : null,
      silent: this.silent,
      chains: this.chains.size,
    };
  }
}
