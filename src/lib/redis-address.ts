/**
 * Addresses of Redis servers as people write them, and what is wrong with a connection in one sentence.
 *
 * Beside the path: redis.ts connects by these. Invariants: a password never stands in a sentence; what Redis answers keeps
 * its own words.
 */
import { GatewayError } from "./errors.ts";

/** What an operator says. */
export interface RedisSettings {
  /**
   * `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, or `host[:port]`. The first one that can be reached is
   * used; of a cluster they are some of its nodes, with `sentinel` they are sentinels.
   */
  readonly servers: readonly string[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly db?: number | undefined;
  /** Paths of PEM files; `{}` asks for TLS with the system's authorities. */
  readonly tls?:
    | {
        readonly ca?: string | undefined;
        readonly cert?: string | undefined;
        readonly key?: string | undefined;
        /** Name that the certificate must have; the host's own by default. */
        readonly serverName?: string | undefined;
      }
    | undefined;
  /** The servers are nodes of a Redis Cluster. */
  readonly cluster?: boolean | undefined;
  /** The servers are sentinels, which know where this master is. */
  readonly sentinel?: string | undefined;
  readonly sentinelPassword?: string | undefined;
}

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** Settings with their addresses read. */
export interface RedisTarget {
  readonly servers: readonly RedisAddress[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly db: number;
  readonly tls: NonNullable<RedisSettings["tls"]> | null;
  readonly cluster: boolean;
  readonly sentinel: string | null;
  readonly sentinelPassword: string | undefined;
}

const PORT = 6379;
const SENTINEL_PORT = 26_379;

/** Throws GatewayError REDIS_ADDRESS. What is said beside an address wins over what stands in it. */
export function readRedisSettings(settings: RedisSettings): RedisTarget {
  const { servers, cluster = false, sentinel } = settings;
  if (servers.length === 0) throw wrong("no Redis server is named: give at least one, such as redis://host:6379");
  const urls = servers.map((text) => parse(text, sentinel === undefined ? PORT : SENTINEL_PORT));
  const first = urls[0] as Parsed;
  const db = settings.db ?? first.db;
  if (!Number.isSafeInteger(db) || db < 0) throw wrong(`${db} is no database of Redis: give a whole number from 0`);
  if (cluster && db !== 0) throw wrong(`a Redis Cluster has only database 0, not ${db}: leave the database out`);
  if (cluster && sentinel !== undefined) throw wrong("a Redis Cluster has no sentinels: leave one of the two out");
  return {
    servers: urls.map(({ host, port }) => ({ host, port })),
    username: settings.username ?? first.username,
    password: settings.password ?? first.password,
    db,
    tls: settings.tls ?? (urls.some(({ tls }) => tls) ? {} : null),
    cluster,
    sentinel: sentinel ?? null,
    sentinelPassword: settings.sentinelPassword,
  };
}

type Parsed = RedisAddress & Pick<RedisTarget, "username" | "password" | "db"> & { readonly tls: boolean };

function parse(text: string, portDefault: number): Parsed {
  const [, scheme = "redis", rest = ""] = /^(?:([a-z+]+):\/\/)?(.+)$/i.exec(text.trim()) ?? [];
  const isKnown = scheme.toLowerCase() === "redis" || scheme.toLowerCase() === "rediss";
  // A scheme without a default port, so that none is left out.
  const url = URL.parse(`x://${rest}`);
  const db = /^\/?(\d*)$/.exec(url?.pathname ?? "")?.[1];
  if (!isKnown || url === null || url.hostname === "" || db === undefined) {
    throw wrong(`${JSON.stringify(hidden(text))} is no address of a Redis server, want redis://host:6379`);
  }
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? portDefault : Number(url.port),
    username: url.username === "" ? undefined : decodeURIComponent(url.username),
    password: url.password === "" ? undefined : decodeURIComponent(url.password),
    db: db === "" ? 0 : Number(db),
    tls: scheme.toLowerCase() === "rediss",
  };
}

const wrong = (sentence: string): GatewayError => new GatewayError("REDIS_ADDRESS", sentence);

const hidden = (text: string): string => text.replace(/:[^:@/]*@/, ":***@");

export const redisHostPort = ({ host, port }: RedisAddress): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

/** `host:port` as an address; null if it is none. */
export function parseHostPort(text: string): RedisAddress | null {
  const [, six, name, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text) ?? [];
  const host = six ?? name;
  return host === undefined || port === undefined ? null : { host, port: Number(port) };
}

/** Where the error of a connection or a reply comes from, by what Node, Bun and Redis call it. */
const KINDS: readonly (readonly [pattern: RegExp, code: string, sentence: (where: string, said: string) => string])[] =
  [
    [/No such master/, "REDIS_SENTINEL", (where) => `the sentinels know no ${where}`],
    [/sentinels are unreachable/, "REDIS_SENTINEL", (where, said) => `no sentinel tells of ${where} (${said})`],
    [/ECONNREFUSED/, "REDIS_UNREACHABLE", (where) => `nobody listens at ${where}: is Redis running there?`],
    [/ENOTFOUND|EAI_AGAIN|EAI_NODATA/, "REDIS_UNREACHABLE", (where) => `the host of ${where} is not known`],
    [/ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/, "REDIS_UNREACHABLE", (where) => `${where} does not answer`],
    [/NOAUTH/, "REDIS_AUTH", (where) => `${where} wants a password, and none is configured`],
    [/WRONGPASS|invalid password|invalid username/i, "REDIS_AUTH", (where) => `${where} refuses the name or password`],
    [/NOPERM/, "REDIS_PERMISSION", (where, said) => `${where}: the user may not do that (${said})`],
    [
      /CERT|certificate|self.signed|ALTNAME|wrong version number|EPROTO|TLS|SSL/i,
      "REDIS_TLS",
      (where, said) => `no TLS with ${where} (${said}): check tls and its files`,
    ],
    [/Protocol error/, "REDIS_PROTOCOL", (where, said) => `${where} does not speak like Redis (${said}): TLS or not?`],
    [/READONLY/, "REDIS_READONLY", (where) => `${where} is a replica, which takes no writes`],
    [/LOADING/, "REDIS_LOADING", (where) => `${where} is still loading its data`],
    [/WRONGTYPE/, "REDIS_TYPE", (where, said) => `${where}: ${said}`],
    [/ECONNRESET|EPIPE|Connection is closed|socket closed/i, "REDIS_LOST", (where) => `${where} closed the connection`],
  ];

/** An error of ioredis or of the server as ours. */
export function redisError(error: unknown, where: string): GatewayError {
  if (error instanceof GatewayError) return error;
  // A cluster tells of its last node.
  if (error instanceof Error && "lastNodeError" in error && error.lastNodeError instanceof Error) {
    return redisError(error.lastNodeError, where);
  }
  const said = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const kind = KINDS.find(([pattern]) => pattern.test(`${code} ${said}`));
  const [, ours, sentence] = kind ?? [null, "REDIS_ERROR", () => `${where}: ${said}`];
  return new GatewayError(ours, sentence(where, said), { cause: error });
}
