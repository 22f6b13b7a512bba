/**
 * The connection of a data source to NATS: its properties in NATS' own spelling (that of nats.py), and the state in a
 * broker's words. The types `nats` and `jetstream` share it.
 *
 * Invariant: it is tried again for ever; `max_reconnect_attempts` only decides when the state says `failed`.
 */
import { type NatsLink, type NatsLinkOptions, openNats } from "../../lib/nats.ts";
import type { BrokerState, BrokerTools } from "../broker.ts";
import { asTable, type BrokerProperties } from "../broker-properties.ts";
import { subjectFault } from "./subjects.ts";

export const CONNECTION_PROPERTIES = asTable([
  [
    "servers",
    "strings",
    "nats://127.0.0.1:4222",
    "`nats://host:port` or `tls://host:port` of one or more servers. Servers that these name themselves are not used.",
  ],
  ["name", "string", "tidegate", "What the server's monitoring calls the connection."],
  ["user", "string", "", "User name."],
  ["password", "string", "", "Password of `user`."],
  ["pass", "string", "", "The same as `password`."],
  ["token", "string", "", "Token, where the server wants one."],
  ["user_credentials", "string", "", "Path of a credentials file (JWT and key). It is read again for each connection."],
  ["nkeys_seed", "string", "", "Path of a file with an nkey's seed. It is read again for each connection."],
  [
    "tls",
    "object",
    "",
    "`{ca_file, cert_file, key_file}`, paths of PEM files; `{}` or true: TLS with the system's authorities.",
  ],
  ["connect_timeout", "number", "2", "Seconds that one attempt may take."],
  ["reconnect_time_wait", "number", "2", "Longest pause in seconds between two attempts; the first ones are shorter."],
  [
    "max_reconnect_attempts",
    "number",
    "60",
    "After so many failed attempts the state is `failed` instead of `connecting`; it is tried again all the same. -1 or 0: never `failed`.",
  ],
  ["ping_interval", "number", "1.5", "Seconds between two pings to the server."],
  ["max_outstanding_pings", "number", "2", "With more unanswered pings the connection is given up and made again."],
  [
    "dead_letter_subject",
    "string",
    "",
    "Subject on which records that the mapper cannot use are published, at most 1,000 a second. Empty: they are counted and dropped.",
  ],
]);

export interface Connection {
  readonly link: NatsLink;
  /** Null: none. */
  readonly deadLetterSubject: string | null;
  state(): BrokerState;
  /** What the connection counts, for the broker's status. */
  counts(): Readonly<Record<string, number>>;
}

/** Judges the properties and opens the connection. Throws GatewayError BROKER_PROPERTIES. */
export function connectionOf(tools: BrokerTools, properties: BrokerProperties): Connection {
  const deadLetterSubject = properties.text("dead_letter_subject") || null;
  if (deadLetterSubject !== null && (/[*>]/.test(deadLetterSubject) || subjectFault(deadLetterSubject) !== null)) {
    throw properties.wrong(
      "dead_letter_subject",
      "must be a subject without wildcards, outside of what belongs to the bus",
    );
  }
  const attemptsMax = properties.number("max_reconnect_attempts", -1, 1e9) ?? 60;
  const link = openLink(linkOptions(tools, properties), properties);
  return { link, deadLetterSubject, state: () => stateOf(link, attemptsMax), counts: () => countsOf(link) };
}

function linkOptions(
  { clock, random, log, resolveAddress }: BrokerTools,
  properties: BrokerProperties,
): NatsLinkOptions {
  return {
    servers: properties.texts("servers") ?? ["nats://127.0.0.1:4222"],
    name: properties.text("name") ?? "tidegate",
    user: properties.text("user"),
    password: properties.text("password") ?? properties.text("pass"),
    token: properties.text("token"),
    credentials: properties.text("user_credentials"),
    nkeySeed: properties.text("nkeys_seed"),
    tls: tlsOf(properties),
    timeoutMs: seconds(properties.number("connect_timeout", 0.1, 300) ?? 2),
    retryMaxMs: Math.max(RETRY_MAX_MS_LEAST, seconds(properties.number("reconnect_time_wait", 0, 3600) ?? 2)),
    pingMs: seconds(properties.number("ping_interval", 0.1, 3600) ?? 1.5),
    pingsOutMax: properties.number("max_outstanding_pings", 1, 100) ?? 2,
    clock,
    random,
    log,
    resolveAddress,
  };
}

/** Without any pause a server that is away would cost a whole core. */
const RETRY_MAX_MS_LEAST = 50;

const seconds = (count: number): number => Math.round(count * 1000);

function openLink(options: NatsLinkOptions, properties: BrokerProperties): NatsLink {
  try {
    return openNats(options);
  } catch (error) {
    throw properties.wrong("servers", `cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const TLS_FILES = { ca_file: "ca", cert_file: "cert", key_file: "key" } as const;

function tlsOf(properties: BrokerProperties): NatsLinkOptions["tls"] {
  const given = properties.raw("tls");
  if (given === undefined || given === false || given === "false") return undefined;
  if (given === true || given === "true") return {};
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw properties.wrong("tls", "must be true or an object of ca_file, cert_file and key_file");
  }
  const files: { ca?: string; cert?: string; key?: string } = {};
  for (const [name, path] of Object.entries(given)) {
    const field = TLS_FILES[name as keyof typeof TLS_FILES];
    if (field === undefined) throw properties.wrong(`tls.${name}`, "is not known: ca_file, cert_file and key_file are");
    if (typeof path !== "string" || path === "")
      throw properties.wrong(`tls.${name}`, "must be the path of a PEM file");
    files[field] = path;
  }
  if ((files.cert === undefined) !== (files.key === undefined)) {
    throw properties.wrong("tls", "has one of cert_file and key_file: it needs both or none");
  }
  return files;
}

function countsOf({ counters }: NatsLink): Readonly<Record<string, number>> {
  const { reconnects, failures, slowConsumer, serverErrors } = counters;
  return { reconnects, "failed attempts": failures, "too slow": slowConsumer, "server errors": serverErrors };
}

function stateOf(link: NatsLink, attemptsMax: number): BrokerState {
  const state = link.state();
  if (state.name === "connected") return { name: "connected" };
  if (state.name === "closed") return { name: "failed", reason: "the connection is closed" };
  const { attempt, retryAt, error } = state;
  if (attemptsMax > 0 && attempt >= attemptsMax) {
    return { name: "failed", reason: `${error} (${attempt} attempts so far; it is tried again all the same)` };
  }
  return { name: "connecting", attempt: attempt + 1, retryAt, error };
}
