/**
 * Checkpoints in Redis: a hash per shard, its head in fields of their own beside the body.
 *
 * Invariants: a checkpoint is replaced whole, by one script that compares token and owner first; all keys of a cluster share
 * one hash tag. At the limit: a store that does not answer for seconds rejects with CHECKPOINT_STORE; what it holds and
 * cannot be read counts as a checkpoint without state: told in the log, and its shard begins a new epoch above it.
 */
import { GatewayError } from "../../lib/errors.ts";
import type { RedisLink } from "../../lib/redis.ts";
import type { Checkpoint, CheckpointHead, CheckpointStore } from "../checkpoint.ts";
import type { IngestLog } from "../sampled-log.ts";
import { deserialise, headOf, serialise, withoutState } from "./serialise.ts";

/** 1: stored; 0: another owner's is there that may not be replaced (checkpoint.ts, `mayReplace`). */
const STORE = `
local token = redis.call('HGET', KEYS[1], 'token')
if token then
  local held, given = tonumber(token), tonumber(ARGV[1])
  if held > given then return 0 end
  if held == given and redis.call('HGET', KEYS[1], 'owner') ~= ARGV[2] then return 0 end
end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'owner', ARGV[2], 'epoch', ARGV[3], 'base', ARGV[4], 'ceiling', ARGV[5],
  'offset', ARGV[6], 'body', ARGV[7])
return 1`;

const ANSWER_MS_MAX = 3000;
/** A large body has more time, by the slowest connection that will do. */
const BYTES_PER_MS_MIN = 1000;

const msFor = (bytes: number): number => ANSWER_MS_MAX + bytes / BYTES_PER_MS_MIN;

const HEAD_FIELDS = ["token", "owner", "epoch", "base", "ceiling", "offset"] as const;

export interface RedisCheckpointsOptions {
  /** Name of the cluster. */
  readonly cluster: string;
  readonly link: RedisLink;
  readonly log: IngestLog;
  readonly serialise?: typeof serialise;
}

export class RedisCheckpoints implements CheckpointStore {
  readonly #options: RedisCheckpointsOptions;

  constructor(options: RedisCheckpointsOptions) {
    this.#options = options;
  }

  async load(shard: string): Promise<Checkpoint | null> {
    const { link, log } = this.#options;
    const key = this.#key(shard);
    const head = await this.head(shard);
    if (head === null) return null;
    const size = Number(await this.#asked(shard, () => link.call("HSTRLEN", [key, "body"])));
    const body = await this.#asked(shard, () => link.callBytes("HGET", [key, "body"], msFor(size)));
    try {
      if (body === null) throw new GatewayError("CHECKPOINT_FORMAT", "a stored checkpoint has no body");
      // With the head it was written with: the one above may be of a checkpoint before.
      return await deserialise(body as Buffer);
    } catch (error) {
      log.error("checkpoint cannot be used: a new epoch begins", { shard, error });
      return withoutState(head);
    }
  }

  async save(shard: string, checkpoint: Checkpoint): Promise<boolean> {
    const { link, serialise: write = serialise } = this.#options;
    const body = await write(checkpoint);
    const { token, owner, epoch, base, ceiling, offset } = headOf(checkpoint);
    const reply = await this.#asked(shard, () =>
      link.call(
        "EVAL",
        [STORE, 1, this.#key(shard), token, owner, epoch, base, ceiling, offset ?? "", body],
        msFor(body.length),
      ),
    );
    return reply === 1;
  }

  async head(shard: string): Promise<CheckpointHead | null> {
    const reply = await this.#asked(shard, () =>
      this.#options.link.callBytes("HMGET", [this.#key(shard), ...HEAD_FIELDS]),
    );
    return readHeadFields(reply as (Buffer | null)[]);
  }

  close(): Promise<void> {
    return this.#options.link.close();
  }

  #key(shard: string): string {
    return `tg:{${this.#options.cluster}}:checkpoint:${shard}`;
  }

  async #asked(shard: string, ask: () => Promise<unknown>): Promise<unknown> {
    try {
      return await ask();
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      throw new GatewayError("CHECKPOINT_STORE", `the checkpoint of ${shard}: ${said}`, { cause: error });
    }
  }
}

/** Null if there is none. */
function readHeadFields(fields: readonly (Buffer | null)[]): CheckpointHead | null {
  const [token, owner, epoch, base, ceiling, offset] = fields.map((field) => field?.toString() ?? null);
  if (token == null || base == null || ceiling == null) return null;
  return {
    token: Number(token),
    owner: owner ?? "",
    epoch: epoch ?? "",
    base: Number(base),
    ceiling: Number(ceiling),
    offset: offset == null || offset === "" ? null : Number(offset),
  };
}
