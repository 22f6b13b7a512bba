/**
 * The cluster's stream: where JetStream keeps what was published on persistent topics, for a while.
 *
 * Beside the path. Invariant: the stream holds at least the subjects asked for, those of other nodes too; what an
 * operator has changed in it by hand (limits, replicas) stays as it is.
 */
import { DiscardPolicy, JetStreamApiError, jetstreamManager, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { type NatsConnection, nanos } from "@nats-io/transport-node";

export interface StreamSettings {
  readonly maxAgeSeconds: number;
  readonly maxBytes: number;
  readonly storage: "memory" | "file";
  readonly replicas: number;
}

/** JetStream's own bound of how long it knows a message's id, if the stream lives long enough. */
const DUPLICATES_MS = 60_000;
const NOT_FOUND = 10_059;

export const streamName = (cluster: string): string => `TG_${cluster.replace(/[^A-Za-z0-9_-]/g, "_")}`;

/** Makes the stream, or widens it; rejects with what the server says. */
export async function ensureStream(
  connection: NatsConnection,
  name: string,
  subjects: readonly string[],
  { maxAgeSeconds, maxBytes, storage, replicas }: StreamSettings,
): Promise<void> {
  const manager = await jetstreamManager(connection, { checkAPI: false, timeout: 3000 });
  let present: readonly string[] | null = null;
  try {
    present = (await manager.streams.info(name)).config.subjects;
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== NOT_FOUND) throw error;
  }
  if (present === null) {
    await manager.streams.add({
      name,
      description: "Tidegate: publications of persistent topics",
      subjects: [...subjects],
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      storage: storage === "file" ? StorageType.File : StorageType.Memory,
      num_replicas: replicas,
      max_age: nanos(maxAgeSeconds * 1000),
      max_bytes: maxBytes,
      duplicate_window: nanos(Math.min(DUPLICATES_MS, maxAgeSeconds * 1000)),
    });
    return;
  }
  const all = new Set([...present, ...subjects]);
  if (all.size > present.length) await manager.streams.update(name, { subjects: [...all] });
}
