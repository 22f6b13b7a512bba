/**
 * The setting `checkpoints`: where shards keep theirs. As a flag or variable one text, in the file one text or an object.
 *
 * A password is better given as a variable (TIDEGATE_CHECKPOINTS) than as a flag, which everybody on the machine can read.
 */
import { z } from "zod";
import { GatewayError } from "../lib/errors.ts";
import { parseNatsAddress } from "../lib/nats-address.ts";
import { readRedisSettings } from "../lib/redis-address.ts";

const STORES = "memory, redis://host:6379[/db] or nats://host:4222";

const want = (sentence: string) => ({ error: () => sentence });
const filled = (wanted: string) => z.string(want(wanted)).min(1, want(wanted));
const flag = z.boolean(want("true or false"));
const pemFile = filled("the path of a PEM file");
const servers = (wanted: string) =>
  z
    .array(filled(wanted), want(`a list of ${wanted}`))
    .min(1, want(`at least one of ${wanted}`))
    .max(100, want("at most 100 servers"));
const tlsFiles = { ca: pemFile.optional(), cert: pemFile.optional(), key: pemFile.optional() };

const redis = z.strictObject({
  kind: z.literal("redis"),
  servers: servers("Redis servers, for example redis://127.0.0.1:6379"),
  username: filled("a user's name").optional(),
  password: filled("a password").optional(),
  db: z.int(want("the number of a database")).min(0, want("the number of a database")).optional(),
  /** `{}`: TLS with the authorities of the system. */
  tls: z.strictObject({ ...tlsFiles, serverName: filled("a host's name").optional() }).optional(),
  cluster: flag.optional(),
  sentinel: filled("the name of a master").optional(),
  sentinelPassword: filled("a password").optional(),
});

const jetstream = z.strictObject({
  kind: z.literal("jetstream"),
  servers: servers("NATS servers, for example nats://127.0.0.1:4222"),
  user: filled("a user's name").optional(),
  password: filled("a password").optional(),
  token: filled("a token").optional(),
  /** Path of a file with a user's JWT and key. */
  credentials: filled("the path of a credentials file").optional(),
  tls: z.strictObject(tlsFiles).optional(),
  /** How many servers of a NATS cluster keep them. */
  replicas: z.int(want("a whole number from 1 to 5")).min(1, want("at least 1")).max(5, want("at most 5")).optional(),
});

const stores = z.discriminatedUnion(
  "kind",
  /** Ends with the process. */
  [z.strictObject({ kind: z.literal("memory") }), redis, jetstream],
  want(STORES),
);

export const checkpointsSchema = z
  .unknown()
  .transform((value) => (typeof value === "string" ? storeOf(value) : value))
  .pipe(stores)
  .prefault("memory");

export type CheckpointsConfig = z.output<typeof checkpointsSchema>;

/** Text that names no store stays what it is, to be refused under its own name. */
function storeOf(text: string): unknown {
  if (text === "memory") return { kind: "memory" };
  const addresses = text.split(",").map((one) => one.trim());
  if (/^rediss?:\/\/./i.test(text)) return { kind: "redis", servers: addresses };
  if (/^(nats|tls):\/\/./i.test(text)) return { kind: "jetstream", servers: addresses };
  return text;
}

/** What no single field can tell. `nameOf`: the flag, variable or field of a path such as `checkpoints.servers`. */
export function checkCheckpoints(checkpoints: CheckpointsConfig, nameOf: (field: string) => string): void {
  try {
    if (checkpoints.kind === "redis") readRedisSettings(checkpoints);
    if (checkpoints.kind === "jetstream") for (const server of checkpoints.servers) parseNatsAddress(server);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    throw new GatewayError("CONFIG", `${nameOf("checkpoints")}: ${error.message}`, { cause: error });
  }
}

/** Makes the paths absolute. */
export function locateCheckpoints(
  checkpoints: CheckpointsConfig,
  absolute: (given: string, field: string) => string,
): CheckpointsConfig {
  if (checkpoints.kind === "memory") return checkpoints;
  const at = (given: string | undefined, field: string) => (given === undefined ? given : absolute(given, field));
  const located = <Tls extends { ca?: string | undefined; cert?: string | undefined; key?: string | undefined }>(
    tls: Tls | undefined,
  ) => tls && { ...tls, ca: at(tls.ca, "tls.ca"), cert: at(tls.cert, "tls.cert"), key: at(tls.key, "tls.key") };
  if (checkpoints.kind === "redis") return { ...checkpoints, tls: located(checkpoints.tls) };
  const credentials = at(checkpoints.credentials, "credentials");
  return { ...checkpoints, credentials, tls: located(checkpoints.tls) };
}
