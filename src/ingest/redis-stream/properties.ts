/**
 * The properties of a data source of type `redis-stream`. There is no client configuration of Redis to follow, so they are
 * the parts of its addresses and commands under their own names.
 */
import { GatewayError } from "../../lib/errors.ts";
import { type RedisSettings, type RedisTarget, readRedisSettings } from "../../lib/redis-address.ts";
import type { BrokerProperty, BrokerTools } from "../broker.ts";
import { asTable, BrokerProperties } from "../broker-properties.ts";

export interface RedisStreamSettings {
  readonly target: RedisTarget;
  /** Field of an entry that holds the record; null: its only one, or `data`. */
  readonly field: string | null;
  readonly start: "earliest" | "latest";
  /** Consumer group that shows our place; null for none. */
  readonly group: string | null;
  readonly deadLetters: { readonly key: string; readonly lengthMax: number } | null;
  /** Entries of one key in an answer. */
  readonly count: number;
}

export const REDIS_STREAM_PROPERTIES: readonly BrokerProperty[] = asTable([
  [
    "servers",
    "strings",
    "redis://127.0.0.1:6379",
    "`redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, or `host:port`. Of several the first that can be reached; with `cluster` some nodes of it, with `sentinel` the sentinels.",
  ],
  ["url", "string", "", "One address, the same as `servers` with one."],
  ["username", "string", "", "Name of the ACL user; wins over the address."],
  ["password", "string", "", "Its password; wins over the address."],
  ["db", "number", "0", "Number of the database; wins over the address."],
  [
    "tls",
    "object",
    "",
    "`{ca, cert, key, server_name}`: paths of PEM files and the name the certificate must have, each may be left out; `{}` for TLS with the system's authorities.",
  ],
  [
    "cluster",
    "boolean",
    "false",
    "The servers are a Redis Cluster. Each hash slot is read over a connection of its own, at most 64: give many keys one hash tag (`{md}:trade:btcusdt`).",
  ],
  ["sentinel", "string", "", "Name of the master that the sentinels in `servers` know."],
  ["sentinel_password", "string", "", "Password of the sentinels."],
  [
    "field",
    "string",
    "",
    "Field of an entry that holds the record. Empty: its only field, or else `data`; an entry without either is taken whole, as a JSON object of its fields.",
  ],
  [
    "start",
    "string",
    "earliest",
    "Where a key without a checkpoint begins: `earliest` (the oldest entry) or `latest` (what is added from now on).",
  ],
  [
    "group",
    "string",
    "",
    "Consumer group that is set to what is in a checkpoint, once a second, so that XINFO GROUPS shows how far we are. We never read through it. Empty: nothing is written.",
  ],
  [
    "dead_letter_key",
    "string",
    "",
    "Stream that gets the records no mapper could use (fields `key`, `reason`, `value`). Empty: they are only counted and sampled into the log.",
  ],
  ["dead_letter_length", "number", "10000", "Entries kept there, about; the oldest go."],
  ["count", "number", "512", "Entries of one key read at once, at most; fewer where many keys are read."],
]);

/** Throws GatewayError BROKER_PROPERTIES. */
export function readRedisStreamProperties(
  tools: Pick<BrokerTools, "name" | "properties" | "log">,
): RedisStreamSettings {
  const given = new BrokerProperties(tools, REDIS_STREAM_PROPERTIES);
  const url = given.text("url");
  const deadLetterKey = given.text("dead_letter_key") || null;
  const lengthMax = given.number("dead_letter_length", 1, 1e9) ?? 10_000;
  return {
    target: targetOf(tools.name, {
      servers: given.texts("servers") ?? [url || "redis://127.0.0.1:6379"],
      username: given.text("username") || undefined,
      password: given.text("password") || undefined,
      db: given.number("db", 0, 1e6),
      tls: tlsOf(given),
      cluster: flag(given, "cluster"),
      sentinel: given.text("sentinel") || undefined,
      sentinelPassword: given.text("sentinel_password") || undefined,
    }),
    field: given.text("field") || null,
    start: given.choice("start", ["earliest", "latest"]) ?? "earliest",
    group: given.text("group") || null,
    deadLetters: deadLetterKey === null ? null : { key: deadLetterKey, lengthMax },
    count: Math.floor(given.number("count", 1, 10_000) ?? 512),
  };
}

function targetOf(source: string, settings: RedisSettings): RedisTarget {
  try {
    return readRedisSettings(settings);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    throw new GatewayError("BROKER_PROPERTIES", `data source ${source}: ${error.message}`, { cause: error });
  }
}

function flag(given: BrokerProperties, name: string): boolean {
  const value = given.raw(name) ?? false;
  if (value === true || value === "true") return true;
  if (value === false || value === "false" || value === "") return false;
  throw given.wrong(name, "must be true or false");
}

const TLS_PARTS = { ca: "ca", cert: "cert", key: "key", server_name: "serverName" } as const;

function tlsOf(given: BrokerProperties): RedisSettings["tls"] {
  const value = given.raw("tls");
  if (value === undefined || value === false) return undefined;
  if (value === true) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw given.wrong("tls", "must be true, or an object with ca, cert, key, server_name");
  }
  const parts: Record<string, string> = {};
  for (const [name, path] of Object.entries(value)) {
    if (!(name in TLS_PARTS)) throw given.wrong("tls", `has a part "${name}", want ca, cert, key or server_name`);
    if (typeof path !== "string" || path === "") throw given.wrong("tls", `has a "${name}" that is no text`);
    parts[TLS_PARTS[name as keyof typeof TLS_PARTS]] = path;
  }
  return parts;
}
