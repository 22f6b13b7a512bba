/**
 * What the edge is told at start: where it listens, which paths speak which dialect, and every limit with its consequence.
 *
 * Plain data: it goes to the workers by `postMessage`. Invariant: outboxBytesHigh < outboxBytesMax.
 */
import type { TopicSpec } from "../channel/topic-settings.ts";
import { assert } from "../lib/errors.ts";
import type { Form } from "../ring/messages.ts";

export interface EndpointConfig {
  /** Path prefix, matched at segment borders; the longest one wins. */
  readonly path: string;
  readonly dialect: Form["dialect"];
  readonly market: string;
  readonly scope: "public" | "private";
}

/** Paths answered by main: market state over HTTP. */
export interface RestConfig {
  readonly path: string;
  readonly market: string;
}

/** Commands per second: `bucket` refuses first and closes later, `window` closes at once. */
export type CommandLimit =
  | {
      readonly is: "bucket";
      readonly perSecond: number;
      readonly burst: number;
      /** Error 1302 for each command over it; after this many in a row, close 1008. */
      readonly refusalsMax: number;
    }
  /** Frames of any kind in a strict rolling second; one more: close 1008. */
  | { readonly is: "window"; readonly perSecond: number };

export interface EdgeLimits {
  /** Sessions of the node, all workers together; one more: HTTP 503. 0: no limit, here and wherever it makes sense. */
  readonly sessionsMax: number;
  /** Sessions of one IPv4 address or IPv6 /64; one more: HTTP 429. */
  readonly sessionsPerIpMax: number;
  /** Sessions of one user; one more: refused when it logs in. */
  readonly sessionsPerUserMax: number;
  /** New sessions of one IPv4 address or IPv6 /64; over it: HTTP 429 with Retry-After. */
  readonly connects: { readonly perSecond: number; readonly burst: number };
  /** ms a session may live, up to a tenth less by chance; then close 4012. */
  readonly sessionMsMax: number;
  /** What a session may be sent; over it one rung down. */
  readonly outbound: { readonly framesPerSecond: number; readonly bytesPerSecond: number };
  /** Addresses and ranges that may connect; none: all. Others: HTTP 403. */
  readonly allow: readonly string[];
  /** Addresses and ranges that may not connect, allowed or not: HTTP 403. */
  readonly deny: readonly string[];
  /** Pages that may connect; none: all. Others: HTTP 403. */
  readonly origins: readonly string[];
  /** Who is believed when it says in X-Forwarded-For whom it speaks for. */
  readonly trustedProxies: readonly string[];
  /** Bytes of a client's frame; a bigger one: close 1009. */
  readonly frameBytesMax: number;
  /** Subscriptions of a session; one more: error 1301 (Binance: the whole command is refused). */
  readonly subscriptionsMax: number;
  /** Bytes a socket's kernel buffer takes without having sent them; what is more waits in the outbox. */
  readonly unsentBytesMax: number;
  /** Bytes of outbox over which a session goes one rung down, and gets no further snapshot until it has drained. */
  readonly outboxBytesHigh: number;
  /** Bytes of outbox over which a session is closed 4008. */
  readonly outboxBytesMax: number;
  /** Bytes of outbox of the whole node; over it the largest are closed 4014. */
  readonly outboxBytesNodeMax: number;
  /** ms of age of the oldest unsent byte over which a session is closed 4008. */
  readonly outboxAgeMaxMs: number;
  /** ms that a session must have kept up before it goes one rung up; doubled each time it was too early. */
  readonly slowPatienceMs: number;
  /** ms beyond which that does not grow. */
  readonly slowPatienceMsMax: number;
  /** ms that a session's outbox has to empty itself before its close frame; then the socket is cut. */
  readonly closeLingerMs: number;
  /** Joins a session may have in flight; the others wait their turn. */
  readonly joinsInFlightMax: number;
  /** ms of one turn spent on the sessions that wait for one snapshot; those left ask again. */
  readonly joinTurnMsMax: number;
  /** ms without an answer from main after which a request is made again. */
  readonly askAgainMs: number;
  /** ms a worker waits at most between two flushes, to have more to send at once. */
  readonly flushMsMax: number;
  /** ms of a client's silence after which it is pinged. */
  readonly pingAfterMs: number;
  /** ms of a client's silence after which it is closed 4009. */
  readonly idleMsMax: number;
  /** By dialect, and for Binance by market (others: spot's). */
  readonly commands: {
    readonly native: CommandLimit;
    readonly binance: Readonly<Record<string, CommandLimit>> & { readonly spot: CommandLimit };
  };
  /** ms within which REST requests go to main in one message. */
  readonly restBatchMs: number;
  /** REST requests of a worker waiting for main; one more: 429. */
  readonly restInFlightMax: number;
  /** ms after which a REST request is answered 503. */
  readonly restMsMax: number;
}

/** PEM texts. */
export interface TlsPair {
  /** The node's certificate, then those that lead to a known authority. */
  readonly cert: string;
  readonly key: string;
}

export interface EdgeConfig {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Null: ws:// and http://. */
  readonly tls: TlsPair | null;
  /** Another program may listen on the same port; a draining node stops listening instead of refusing. */
  readonly sharePort: boolean;
  readonly endpoints: readonly EndpointConfig[];
  readonly rest: readonly RestConfig[];
  readonly limits: EdgeLimits;
  /** What is configured about single topics. */
  readonly topics: readonly TopicSpec[];
  /** Market of channel names without a prefix. */
  readonly defaultMarket: string;
}

export const DEFAULT_ENDPOINTS: readonly EndpointConfig[] = [
  { path: "/ws/quote/v1", dialect: "native", market: "spot", scope: "public" },
  { path: "/ws", dialect: "binance", market: "spot", scope: "public" },
  { path: "/stream", dialect: "binance", market: "spot", scope: "public" },
  // ccxt tells spot from swap by "/stream" in the base URL (reference/protocols.md, section 0, rule 3).
  { path: "/stream-spot", dialect: "binance", market: "spot", scope: "public" },
  // The dialect reads the route (public, market, private) from the path. User data is not served yet: /private is silent.
  { path: "/public", dialect: "binance", market: "usdm", scope: "public" },
  { path: "/market", dialect: "binance", market: "usdm", scope: "public" },
  { path: "/private", dialect: "binance", market: "usdm", scope: "public" },
  // The base without a route, which on one host with spot needs a prefix: /fstream/ws, /fstream/market/stream.
  { path: "/fstream", dialect: "binance", market: "usdm", scope: "public" },
  // Not Binance's: every stream on one connection, for programs from before it split them over routes.
  { path: "/usdm", dialect: "binance", market: "usdm", scope: "public" },
];

export const DEFAULT_REST: readonly RestConfig[] = [
  { path: "/api/v3", market: "spot" },
  { path: "/fapi/v1", market: "usdm" },
  { path: "/fapi/v2", market: "usdm" },
];

export const DEFAULT_LIMITS: EdgeLimits = {
  sessionsMax: 0,
  sessionsPerIpMax: 0,
  sessionsPerUserMax: 0,
  connects: { perSecond: 0, burst: 100 },
  sessionMsMax: 24 * 3600 * 1000,
  outbound: { framesPerSecond: 0, bytesPerSecond: 0 },
  allow: [],
  deny: [],
  origins: [],
  trustedProxies: [],
  frameBytesMax: 64 * 1024,
  subscriptionsMax: 1024,
  unsentBytesMax: 16 * 1024,
  outboxBytesHigh: 256 * 1024,
  outboxBytesMax: 4 * 1024 * 1024,
  outboxBytesNodeMax: 256 * 1024 * 1024,
  outboxAgeMaxMs: 2500,
  slowPatienceMs: 2000,
  slowPatienceMsMax: 60_000,
  closeLingerMs: 30_000,
  joinsInFlightMax: 16,
  joinTurnMsMax: 10,
  askAgainMs: 1000,
  flushMsMax: 10,
  pingAfterMs: 20_000,
  idleMsMax: 60_000,
  commands: {
    native: { is: "bucket", perSecond: 50, burst: 100, refusalsMax: 100 },
    binance: { spot: { is: "window", perSecond: 5 }, usdm: { is: "window", perSecond: 10 } },
  },
  restBatchMs: 5,
  restInFlightMax: 1000,
  restMsMax: 2000,
};

export const DEFAULT_EDGE_CONFIG: EdgeConfig = {
  host: "127.0.0.1",
  port: 8080,
  tls: null,
  sharePort: false,
  endpoints: DEFAULT_ENDPOINTS,
  rest: DEFAULT_REST,
  limits: DEFAULT_LIMITS,
  topics: [],
  defaultMarket: "spot",
};

/** Seconds after which Bun closes a connection that has not finished its HTTP request (fixed in Bun: 10, in steps of 4). */
export const HANDSHAKE_SECONDS = 10;

/** Relations between limits that the code relies on. */
export function checkEdgeConfig(config: EdgeConfig): EdgeConfig {
  const { limits } = config;
  assert(limits.outboxBytesHigh < limits.outboxBytesMax, "outboxBytesHigh is below outboxBytesMax");
  assert(limits.outboxBytesMax <= limits.outboxBytesNodeMax, "a node has room for one full outbox");
  assert(limits.slowPatienceMs <= limits.slowPatienceMsMax, "slowPatienceMs is not over slowPatienceMsMax");
  assert(limits.pingAfterMs < limits.idleMsMax, "a client is pinged before it is closed for silence");
  assert(limits.joinsInFlightMax >= 1 && limits.subscriptionsMax >= 1, "a session may join something");
  return config;
}
