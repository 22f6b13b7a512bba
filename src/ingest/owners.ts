/**
 * Which shard of this node feeds which chain: a channel is fed by exactly one shard, a second one is refused.
 *
 * At the limit: none of its own; it grows with the known channels only.
 */
export class ChannelOwners {
  readonly #shards = new Map<string, string>();

  /** True if the chain (chain.ts, `chainKey`) belongs to the shard now. */
  claim(chain: string, shard: string): boolean {
    const owner = this.#shards.get(chain);
    if (owner === undefined) this.#shards.set(chain, shard);
    return owner === undefined || owner === shard;
  }

  /** Gives up everything the shard fed. */
  release(shard: string): void {
    for (const [chain, owner] of this.#shards) if (owner === shard) this.#shards.delete(chain);
  }
}
