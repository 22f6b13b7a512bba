/**
 * Checkpoints in JetStream: a key-value bucket per cluster, with a small head and a body in pieces for each shard.
 *
 * Keys: `<shard>.head`, and `<shard>.<writer>.<slot>.<piece>`, shard and writer (an owner with its token) as hashes. A writer
 * puts its body into the slot that the head does not name, piece by piece, and only then the head, compared with the revision it has seen. So
 * whoever reads a head finds its body, and a writer that was replaced can neither change the head nor a newer one's body.
 * Invariants: a head always names a whole body, or one that was overwritten since and has a newer head; one whose pieces
 * are lost all the same counts as a checkpoint without state: told in the log, and its shard begins a new epoch above it.
 * At the limit: a store that does not answer for seconds, or is written faster than it can be read, rejects with
 * CHECKPOINT_STORE.
 */
import { JetStreamApiCodes, JetStreamApiError, jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { GatewayError } from "../../lib/errors.ts";
import type { NatsLink } from "../../lib/nats.ts";
import { type Checkpoint, type CheckpointHead, type CheckpointStore, mayReplace } from "../checkpoint.ts";
import { sentenceOf } from "../jetstream/streams.ts";
import type { IngestLog } from "../sampled-log.ts";
import {
  type Body,
  type Entry,
  eachOf,
  type Held,
  hash,
  headKey,
  newMark,
  pieceKey,
  piecesOf,
  readHead,
  readNewest,
} from "./jetstream-bucket.ts";
import { deserialise, headOf, serialise, withoutState } from "./serialise.ts";

export interface JetstreamCheckpointsOptions {
  /** Name of the cluster. */
  readonly cluster: string;
  readonly link: NatsLink;
  readonly log: IngestLog;
  /** How many servers of a NATS cluster keep it; of a bucket that is there already it is not changed. Default 1. */
  readonly replicas?: number;
  /** Largest piece of a body. */
  readonly pieceBytesMax?: number;
  /** How long a connection is waited for (1000), and each answer (4000). */
  readonly connectMsMax?: number;
  readonly answerMsMax?: number;
}

const CONNECT_MS_MAX = 1000;
const ANSWER_MS_MAX = 4000;
/** Read as base64 in a message, which a server takes up to 1 MB by default. */
const PIECE_BYTES_MAX = 384 * 1024;
/** Each time we lose, another owner has won: so many do not fight for one shard. */
const RACES_MAX = 100;

export class JetstreamCheckpoints implements CheckpointStore {
  readonly #options: JetstreamCheckpointsOptions;
  readonly #bucket: string;
  #opened: { readonly connection: NatsConnection; readonly kv: Promise<KV> } | null = null;

  constructor(options: JetstreamCheckpointsOptions) {
    this.#options = options;
    const { cluster } = options;
    this.#bucket = `tidegate-${/^[A-Za-z0-9_-]+$/.test(cluster) ? cluster : hash(cluster)}-checkpoints`;
  }

  load(shard: string): Promise<Checkpoint | null> {
    return this.#asked(shard, async (kv) => {
      const newest = await readNewest(kv, shard);
      if (newest === null) return null;
      const { head, bytes } = newest;
      return bytes === null
        ? this.#lost(shard, head, "its pieces are not there")
        : await this.#whole(shard, head, bytes);
    });
  }

  save(shard: string, checkpoint: Checkpoint): Promise<boolean> {
    return this.#asked(shard, async (kv, connection) => {
      const held = await readHead(kv, shard);
      if (held !== null && !mayReplace(held.head, checkpoint)) return false;
      const bytes = await serialise(checkpoint);
      const writer = hash(`${checkpoint.token} ${checkpoint.owner}`);
      const slot = held?.body.writer === writer && held.body.slot === 0 ? 1 : 0;
      const mark = newMark();
      const pieces = piecesOf(bytes, mark, this.#pieceBytes(connection));
      const body: Body = { writer, slot, mark, pieces: pieces.length };
      await eachOf(pieces, (piece, at) => kv.put(pieceKey(shard, body, at), piece));
      const entry: Entry = { head: headOf(checkpoint), body, shard };
      const replaced = await this.#replace(kv, shard, entry, held);
      // Whose body nobody needs any more: the one before, or ours if we were too late.
      if (replaced === "refused") await this.#remove(connection, shard, writer);
      else if (replaced !== null && replaced !== writer) await this.#remove(connection, shard, replaced);
      return replaced !== "refused";
    });
  }

  head(shard: string): Promise<CheckpointHead | null> {
    return this.#asked(shard, async (kv) => (await readHead(kv, shard))?.head ?? null);
  }

  close(): Promise<void> {
    return this.#options.link.close();
  }

  /** Writes the head over the one that was seen; returns whose body that had (null: there was none), or `refused`. */
  async #replace(kv: KV, shard: string, entry: Entry, seen: Held | null): Promise<string | null | "refused"> {
    const text = JSON.stringify(entry);
    for (let held = seen, tries = 1; ; tries++) {
      try {
        const previousSeq = held?.revision ?? (await revisionOfNone(kv, shard));
        await kv.put(headKey(shard), text, { previousSeq });
        return held?.body.writer ?? null;
      } catch (error) {
        if (!isOtherRevision(error) || tries === RACES_MAX) throw error;
        // Somebody was faster: another owner, or we ourselves if only the answer was lost.
        held = await readHead(kv, shard);
        if (held !== null && !mayReplace(held.head, entry.head)) return "refused";
      }
    }
  }

  async #whole(shard: string, head: CheckpointHead, bytes: Uint8Array): Promise<Checkpoint> {
    try {
      return { ...(await deserialise(bytes)), ...head };
    } catch (error) {
      return this.#lost(shard, head, error instanceof Error ? error.message : String(error));
    }
  }

  #lost(shard: string, head: CheckpointHead, error: string): Checkpoint {
    this.#options.log.error("checkpoint cannot be used: a new epoch begins", { shard, error });
    return withoutState(head);
  }

  /** Removes a writer's pieces without a trace. What stays if that fails does no harm. */
  async #remove(connection: NatsConnection, shard: string, writer: string): Promise<void> {
    try {
      const manager = await jetstreamManager(connection, { checkAPI: false, timeout: this.#answerMsMax });
      await manager.streams.purge(`KV_${this.#bucket}`, { filter: `$KV.${this.#bucket}.${hash(shard)}.${writer}.>` });
    } catch (error) {
      this.#options.log.warn("an old checkpoint's body is not removed", { shard, error });
    }
  }

  get #answerMsMax(): number {
    return this.#options.answerMsMax ?? ANSWER_MS_MAX;
  }

  #pieceBytes(connection: NatsConnection): number {
    const { pieceBytesMax = PIECE_BYTES_MAX } = this.#options;
    const payloadMax = connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
    return Math.max(1024, Math.min(pieceBytesMax, Math.floor(payloadMax / 2)));
  }

  async #asked<Answer>(shard: string, ask: (kv: KV, connection: NatsConnection) => Promise<Answer>): Promise<Answer> {
    try {
      const connection = await this.#connected();
      return await ask(await this.#open(connection), connection);
    } catch (error) {
      const cause = sentenceOf(error, { subject: "", stream: `KV_${this.#bucket}`, domain: null });
      throw new GatewayError("CHECKPOINT_STORE", `the checkpoint of ${shard}: ${cause.message}`, { cause });
    }
  }

  async #connected(): Promise<NatsConnection> {
    const { link, connectMsMax = CONNECT_MS_MAX } = this.#options;
    try {
      return await link.connected(AbortSignal.timeout(connectMsMax));
    } catch (cause) {
      const state = link.state();
      const said = state.name === "connecting" && state.error !== "" ? state.error : "there is no connection to NATS";
      throw new GatewayError("CHECKPOINT_STORE", said, { cause });
    }
  }

  /** The bucket, made if it is not there; looked for once per connection. */
  #open(connection: NatsConnection): Promise<KV> {
    if (this.#opened?.connection === connection) return this.#opened.kv;
    const client = jetstream(connection, { timeout: this.#answerMsMax });
    const kv = new Kvm(client).create(this.#bucket, {
      history: 1,
      storage: StorageType.File,
      replicas: this.#options.replicas ?? 1,
      // Reads come from the leader: an older head would look like a shard that nobody has taken.
      allow_direct: false,
      description: "Checkpoints of Tidegate's shards",
    });
    this.#opened = { connection, kv };
    kv.catch(() => {
      if (this.#opened?.kv === kv) this.#opened = null;
    });
    return kv;
  }
}

/** Of a head that was deleted by hand; 0 if there never was one. */
const revisionOfNone = async (kv: KV, shard: string): Promise<number> => {
  const entry = await kv.get(headKey(shard));
  // Somebody has written one since we looked: with 0 our write is refused, and his is judged.
  return entry === null || entry.operation === "PUT" ? 0 : entry.revision;
};

const isOtherRevision = (error: unknown): boolean =>
  error instanceof JetStreamApiError &&
  (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
    error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown);
