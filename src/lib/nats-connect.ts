/**
 * One attempt to connect to a NATS server: who we are, read from settings and files, and every refusal as a sentence.
 *
 * Beside the path: part of nats.ts, which makes attempts for ever. Invariants: files are read again for each attempt; no
 * message holds a password, a token, a JWT or a seed.
 */
import { readFileSync } from "node:fs";
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  errors,
  type NatsConnection,
  nkeyAuthenticator,
  type TlsOptions,
} from "@nats-io/transport-node";
import { GatewayError } from "./errors.ts";
import { hostPort, lookForNats, type NatsAddress, parseNatsAddress } from "./nats-address.ts";

/** What an operator says. */
export interface NatsSettings {
  /** As parseNatsAddress reads them; one of them is used, others when it fails. */
  readonly servers: readonly string[];
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** Path of a credentials file (JWT and key); read again for each connection. */
  readonly credentials?: string | undefined;
  /** Path of a file with an nkey's seed; read again for each connection. */
  readonly nkeySeed?: string | undefined;
  /** Paths of PEM files; `{}` asks for TLS with the system's authorities. */
  readonly tls?:
    | { readonly ca?: string | undefined; readonly cert?: string | undefined; readonly key?: string | undefined }
    | undefined;
}

export interface NatsConnectOptions extends NatsSettings {
  /** What the server's monitoring calls us. */
  readonly name: string;
  /** Where `host:port` is really dialled. */
  readonly resolveAddress?: (hostPort: string) => string;
  /** The server sends us nothing of what we publish. */
  readonly noEcho?: boolean;
  /** How long one attempt may take. Default 3000. */
  readonly timeoutMs?: number;
  /** How often the server is asked for a sign of life, and how many may stay unanswered. Default 1500 and 2. */
  readonly pingMs?: number;
  readonly pingsOutMax?: number;
}

export const PING_MS = 1500;
export const PINGS_OUT_MAX = 2;

/** Rejects with GatewayError: NATS_UNREACHABLE, NATS_PROTOCOL, NATS_AUTH, NATS_TLS or NATS_FILE. */
export async function connectNats(
  address: NatsAddress,
  options: NatsConnectOptions,
  signal: AbortSignal,
): Promise<NatsConnection> {
  const { resolveAddress = (same: string) => same, timeoutMs = 3000 } = options;
  const named = hostPort(address.host, address.port);
  const dialled = resolveAddress(named);
  const real = dialled === named ? address : parseNatsAddress(dialled);
  await lookForNats(real.host, real.port, timeoutMs, signal);
  const library = { ...libraryOptions(address, options), servers: hostPort(real.host, real.port), timeout: timeoutMs };
  try {
    return await connect(library);
  } catch (cause) {
    throw refusal(cause, named);
  }
}

function libraryOptions(address: NatsAddress, options: NatsConnectOptions): ConnectionOptions {
  const { name, user, password, token, credentials, nkeySeed, tls, noEcho = false } = options;
  const asked = tls !== undefined || address.tls;
  // `servername` goes through to the runtime; the certificate is for the name, not for where it is dialled.
  const secure: TlsOptions & { servername: string } = {
    ...pem("ca", tls?.ca),
    ...pem("cert", tls?.cert),
    ...pem("key", tls?.key),
    servername: address.host,
  };
  const who = address.user === "" ? { user, pass: password } : { user: address.user, pass: address.password };
  return {
    name,
    noEcho,
    reconnect: false,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
    pingInterval: options.pingMs ?? PING_MS,
    maxPingOut: options.pingsOutMax ?? PINGS_OUT_MAX,
    ...(who.user === undefined ? {} : { user: who.user, pass: who.pass ?? "" }),
    ...(token === undefined ? {} : { token }),
    ...(credentials === undefined ? {} : { authenticator: credsAuthenticator(read(credentials)) }),
    ...(nkeySeed === undefined ? {} : { authenticator: nkeyAuthenticator(seedIn(nkeySeed)) }),
    ...(asked ? { tls: secure } : {}),
  };
}

/** The file's text as the library wants it; nothing for no path. */
const pem = (field: string, path: string | undefined): Record<string, string> =>
  path === undefined ? {} : { [field]: read(path).toString("utf8") };

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new GatewayError("NATS_FILE", `cannot read ${path} (${cause instanceof Error ? cause.message : cause})`, {
      cause,
    });
  }
}

/** The seed: the first word of the file that begins as one. */
const seedIn = (path: string): Uint8Array =>
  new TextEncoder().encode(/\bS[A-Z2-7]{50,}/.exec(read(path).toString("utf8"))?.[0] ?? "");

function refusal(cause: unknown, server: string): GatewayError {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof GatewayError) return cause;
  if (cause instanceof errors.AuthorizationError || cause instanceof errors.UserAuthenticationExpiredError) {
    const what = "check user and password, token or credentials file";
    return new GatewayError("NATS_AUTH", `${server} refuses us (${message}): ${what}`, { cause });
  }
  if (/credentials|nkey|jwt/i.test(message)) {
    return new GatewayError("NATS_AUTH", `the credentials file or nkey seed cannot be used (${message})`, { cause });
  }
  if (/tls|certificate|ssl/i.test(message)) {
    return new GatewayError("NATS_TLS", `no TLS with ${server} (${message}): check tls.ca, tls.cert, tls.key`, {
      cause,
    });
  }
  return new GatewayError("NATS_UNREACHABLE", `${server} cannot be reached (${message})`, { cause });
}
