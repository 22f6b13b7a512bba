/** What Redis says about a stream (XINFO STREAM), from Redis 5 on. */
import { GatewayError } from "../../lib/errors.ts";

export interface StreamInfo {
  readonly length: number;
  /** Id of the last entry ever added, also if it is gone. */
  readonly last: string;
  /** Of the oldest and the newest entry that are there; null if there is none. */
  readonly firstEntry: string | null;
  readonly lastEntry: string | null;
  /** Entries ever added; null before Redis 7. */
  readonly added: number | null;
  /** Highest id that XDEL took out; null before Redis 7. */
  readonly maxDeleted: string | null;
}

/** The reply's `name, value, name, value, ...`. */
export function readStreamInfo(reply: unknown): StreamInfo {
  const fields = new Map<string, unknown>();
  if (Array.isArray(reply)) for (let i = 0; i + 1 < reply.length; i += 2) fields.set(String(reply[i]), reply[i + 1]);
  const { length, last } = { length: fields.get("length"), last: fields.get("last-generated-id") };
  if (typeof length !== "number" || typeof last !== "string") {
    throw new GatewayError("REDIS_PROTOCOL", "the answer to XINFO STREAM is not understood");
  }
  const added = fields.get("entries-added");
  const maxDeleted = fields.get("max-deleted-entry-id");
  return {
    length,
    last,
    firstEntry: idOf(fields.get("first-entry")),
    lastEntry: idOf(fields.get("last-entry")),
    added: typeof added === "number" ? added : null,
    maxDeleted: typeof maxDeleted === "string" ? maxDeleted : null,
  };
}

const idOf = (entry: unknown): string | null =>
  Array.isArray(entry) && typeof entry[0] === "string" ? entry[0] : null;
