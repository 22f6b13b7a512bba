/**
 * Connecting to Redis: to one server or the first of several, to a node of a cluster, to the master that sentinels know.
 *
 * Beside the path: source `redis-stream` and the checkpoint store. ioredis's own reconnecting and queueing are off: it does
 * not say why it fails, and would send again what may have been done.
 * Invariant: what is wrong is a GatewayError with one sentence. At the limit: an attempt takes CONNECT_MS_MAX at most.
 */
import { readFileSync } from "node:fs";
import { Cluster, Redis } from "ioredis";
import { createBackoff } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import { GatewayError } from "./errors.ts";
import { parseHostPort, type RedisAddress, type RedisTarget, redisError, redisHostPort } from "./redis-address.ts";
import { ANSWER_MS_MAX, type RedisArgument, RedisConnection } from "./redis-connection.ts";
import { slotOf } from "./redis-slot.ts";

export type { RedisArgument, RedisConnection } from "./redis-connection.ts";

export interface RedisDial {
  readonly target: RedisTarget;
  /** What `CLIENT LIST` calls us. */
  readonly name: string;
  readonly clock: Pick<Clock, "after" | "monotonicMs">;
  /** Where `host:port` is really dialled. */
  readonly resolveAddress?: (hostPort: string) => string;
}

const CONNECT_MS_MAX = 3000;

/** A connection to the first server that can be reached; of a cluster, one that knows where each key is. */
export async function connectRedis(dial: RedisDial): Promise<RedisConnection> {
  const { target } = dial;
  if (target.cluster)
    return await connected(
      dial,
      clusterOf(dial),
      `the cluster at ${redisHostPort(target.servers[0] as RedisAddress)}`,
      nothing,
    );
  if (target.sentinel !== null) {
    return await connected(dial, viaSentinels(dial), `master "${target.sentinel}"`, async (connection) => {
      if (target.db !== 0) await connection.call("SELECT", [target.db]);
    });
  }
  let failure: unknown = null;
  for (const server of target.servers) {
    try {
      return await connectTo(dial, server);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

const nothing = (): Promise<void> => Promise.resolve();

/** A connection of its own to the node that has `key`: blocking commands hold up nobody else there. */
export async function connectRedisFor(dial: RedisDial, key: string): Promise<RedisConnection> {
  if (!dial.target.cluster) return connectRedis(dial);
  let failure: unknown = null;
  for (const server of dial.target.servers) {
    try {
      const seed = await connectTo(dial, server);
      try {
        return await connectTo(dial, ownerOf(await seed.call("CLUSTER", ["SLOTS"]), slotOf(key), server));
      } finally {
        seed.close();
      }
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** Login and name are given by hand: the library tells the console what it thinks of a password too many. */
async function connectTo(dial: RedisDial, server: RedisAddress): Promise<RedisConnection> {
  const { username: _, password: __, connectionName, ...options } = optionsOf(dial, server.host);
  const redis = new Redis({ ...options, ...dialled(dial, server) });
  return connected(dial, redis, redisHostPort(server), async (connection) => {
    const { username, password, db } = dial.target;
    if (password !== undefined) await login(connection, username === undefined ? [password] : [username, password]);
    await connection.call("CLIENT", ["SETNAME", connectionName]).catch(ignorePermission);
    if (db !== 0) await connection.call("SELECT", [db]);
  });
}

/** A password that the server does not want is no fault. */
async function login(connection: RedisConnection, words: readonly string[]): Promise<void> {
  try {
    await connection.call("AUTH", words);
  } catch (error) {
    if (!/no password is set|without any password configured/i.test(String((error as GatewayError).cause))) throw error;
  }
}

/** Who may not name its connection goes on without a name. */
function ignorePermission(error: GatewayError): void {
  if (error.code !== "REDIS_PERMISSION" && error.code !== "REDIS_ERROR") throw error;
}

async function connected(
  dial: RedisDial,
  redis: Redis | Cluster,
  where: string,
  begin: (connection: RedisConnection) => Promise<void>,
): Promise<RedisConnection> {
  const connection = new RedisConnection(redis, where, dial.clock);
  const tls = dial.target.tls === null ? "" : " (with TLS)";
  const late = new GatewayError("REDIS_UNREACHABLE", `${where} does not answer${tls}`);
  const timer = dial.clock.after(CONNECT_MS_MAX, () => connection.close(late));
  try {
    // Rejects with "Connection is closed" whatever the reason: that is in `closed`.
    await Promise.race([redis.connect(), connection.closed.then((reason) => Promise.reject(reason))]);
    await begin(connection);
    return connection;
  } catch (error) {
    connection.close(redisError(error, where));
    throw await connection.closed;
  } finally {
    timer.cancel();
  }
}

/** The node that serves `slot`, by the answer to CLUSTER SLOTS; a node that does not know its own name is `asked`. */
function ownerOf(slots: unknown, slot: number, asked: RedisAddress): RedisAddress {
  for (const [from, to, [host, port]] of slots as readonly [number, number, readonly [string | null, number]][]) {
    if (slot >= from && slot <= to) return { host: host === null || host === "" ? asked.host : host, port };
  }
  throw new GatewayError("REDIS_CLUSTER", `no node of the cluster at ${redisHostPort(asked)} serves slot ${slot}`);
}

function dialled({ resolveAddress }: RedisDial, server: RedisAddress): RedisAddress {
  const named = redisHostPort(server);
  return parseHostPort(resolveAddress?.(named) ?? named) ?? server;
}

/** `host`: whose certificate is expected. */
function optionsOf({ target, name }: RedisDial, host: string | null) {
  const { username, password, tls } = target;
  return {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableReadyCheck: false,
    connectTimeout: CONNECT_MS_MAX,
    disconnectTimeout: 200,
    disableClientInfo: true,
    connectionName: name.replace(/[^\x21-\x7e]/g, "-"),
    protocol: 2 as const,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === null ? {} : { tls: tlsOf(tls, host) }),
  };
}

function tlsOf(tls: NonNullable<RedisTarget["tls"]>, host: string | null) {
  const read = (path: string): string => {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      throw new GatewayError("REDIS_TLS", `cannot read ${path} for the connection to Redis`, { cause: error });
    }
  };
  const servername = tls.serverName ?? (host === null || /^[\d.]+$|:/.test(host) ? undefined : host);
  return {
    ...(tls.ca === undefined ? {} : { ca: read(tls.ca) }),
    ...(tls.cert === undefined ? {} : { cert: read(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: read(tls.key) }),
    ...(servername === undefined ? {} : { servername }),
  };
}

const natMapOf =
  (dial: RedisDial) =>
  (named: string): RedisAddress | null => {
    const server = parseHostPort(named);
    return server === null ? null : dialled(dial, server);
  };

function clusterOf(dial: RedisDial): Cluster {
  const { lazyConnect: _, retryStrategy: __, ...redisOptions } = optionsOf(dial, null);
  return new Cluster(
    dial.target.servers.map((server) => dialled(dial, server)),
    {
      lazyConnect: true,
      clusterRetryStrategy: () => null,
      enableReadyCheck: false,
      natMap: natMapOf(dial),
      slotsRefreshTimeout: CONNECT_MS_MAX,
      redisOptions,
    },
  );
}

function viaSentinels(dial: RedisDial): Redis {
  const { servers, sentinel, sentinelPassword } = dial.target;
  return new Redis({
    ...optionsOf(dial, null),
    sentinels: servers.map((server) => dialled(dial, server)),
    name: sentinel ?? "",
    sentinelRetryStrategy: () => null,
    natMap: natMapOf(dial),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
  });
}

/** Of an attempt that failed: others within this time share its error. */
const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 2000;

/** One connection for whoever has something to ask, made when it is needed and again after it broke. */
export class RedisLink {
  readonly #dial: RedisDial;
  readonly #backoff: ReturnType<typeof createBackoff>;
  #connection: Promise<RedisConnection> | null = null;
  #failure: { readonly error: GatewayError; readonly untilMs: number } | null = null;
  #closed = false;

  constructor(dial: RedisDial, random: () => number) {
    this.#dial = dial;
    this.#backoff = createBackoff(RETRY_MIN_MS, RETRY_MAX_MS, random);
  }

  /** Rejects with GatewayError within seconds when there is no server. */
  async call(command: string, args: readonly RedisArgument[], msMax = ANSWER_MS_MAX): Promise<unknown> {
    return (await this.#open()).call(command, args, msMax);
  }

  async callBytes(command: string, args: readonly RedisArgument[], msMax = ANSWER_MS_MAX): Promise<unknown> {
    return (await this.#open()).callBytes(command, args, msMax);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const connection = this.#connection;
    this.#connection = null;
    if (connection !== null)
      await connection.then(
        (open) => open.close(),
        () => undefined,
      );
  }

  #open(): Promise<RedisConnection> {
    if (this.#closed) return Promise.reject(new GatewayError("REDIS_CLOSED", "the connection was closed"));
    if (this.#connection !== null) return this.#connection;
    const now = this.#dial.clock.monotonicMs();
    if (this.#failure !== null && now < this.#failure.untilMs) return Promise.reject(this.#failure.error);
    const opening = this.#connect();
    this.#connection = opening;
    return opening;
  }

  async #connect(): Promise<RedisConnection> {
    try {
      const connection = await connectRedis(this.#dial);
      this.#failure = null;
      this.#backoff.reset();
      void connection.closed.then(() => {
        this.#connection = null;
      });
      if (this.#closed) connection.close();
      return connection;
    } catch (error) {
      const failure = redisError(error, "Redis");
      this.#failure = { error: failure, untilMs: this.#dial.clock.monotonicMs() + this.#backoff.next() };
      this.#connection = null;
      throw failure;
    }
  }
}
