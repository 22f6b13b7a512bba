/**
 * The table of the edge's limits: where each stands in the configuration, what it may be, and what happens at it. Out of
 * it come the checks of the configuration, the flags, and the table in docs/limits.md.
 *
 * Invariants: every field of EdgeLimits is here once, so none can be set, changed or added without a line in the docs (a
 * test compares); defaults are those of DEFAULT_LIMITS; `counter` is the label of `tidegate_limited_total{limit}`, or
 * another metric.
 */
import { isRange } from "../lib/address.ts";
import { FILL_SECONDS_MAX } from "./admission/census.ts";
import { isOriginPattern } from "./admission/origins.ts";
import { DEFAULT_LIMITS, type EdgeLimits } from "./config.ts";

export interface LimitEntry {
  /** Under `limits` in the config file, with dots. */
  readonly path: string;
  readonly unit: string;
  /** `list`: texts that `judge` accepts, or the sentence is `wanted`. */
  readonly read: "whole" | "number" | "bytes" | "list";
  readonly min: number;
  readonly max: number;
  readonly judge?: (text: string) => boolean;
  readonly wanted?: string;
  readonly what: string;
  readonly consequence: string;
  readonly counter: string;
  /** Without dashes; '' where only the config file can set it. */
  readonly flag: string;
  /**
   * When a change reaches a node that runs: at once, for sessions that come later, or when it is started again (what Bun's
   * server, or memory made at start, is told once).
   */
  readonly applies: "live" | "new-sessions" | "restart";
  /** What stands for the default in the docs, where it is not that of DEFAULT_LIMITS. */
  readonly standard?: string;
}

type Rest = Pick<LimitEntry, "what" | "consequence" | "counter"> & Partial<LimitEntry>;

const MILLION = 1_000_000;
const DAY_MS = 24 * 3600 * 1000;

const entry = (
  path: string,
  read: LimitEntry["read"],
  unit: string,
  min: number,
  max: number,
  rest: Rest,
): LimitEntry => ({
  flag: "",
  applies: "live",
  ...{ path, read, unit, min, max },
  ...rest,
});
const count = (path: string, unit: string, max: number, rest: Rest) => entry(path, "whole", unit, 0, max, rest);
const bytes = (path: string, min: number, rest: Rest) => entry(path, "bytes", "bytes", min, 2 ** 30, rest);
const ms = (path: string, min: number, max: number, rest: Rest) => entry(path, "whole", "ms", min, max, rest);
const ranges = { judge: isRange, wanted: "an address or a range such as 10.0.0.0/8 or 2001:db8::/32" } as const;
const list = (path: string, unit: string, rest: Rest) => entry(path, "list", unit, 0, 10_000, rest);

/** The fields of a command rate, which are the same for each dialect and market. */
const commandRate = (path: string, flag: string, consequence: string): LimitEntry =>
  entry(`${path}.perSecond`, "whole", "frames/s", 1, 10_000, {
    what: `commands of a session, ${path.split(".").slice(1).join(" ")}`,
    consequence,
    counter: "commands",
    flag,
    applies: "new-sessions",
  });

export const LIMIT_TABLE: readonly LimitEntry[] = [
  // --- before the upgrade -------------------------------------------------------------------------------------------
  count("sessionsMax", "sessions", 10 * MILLION, {
    applies: "new-sessions",
    what: "sessions of the node, all workers together; 0: no limit",
    consequence: "HTTP 503, code 1502, with Retry-After",
    counter: "sessionsMax",
    flag: "sessions-max",
    standard: "95 % of the files the process may open",
  }),
  count("sessionsPerIpMax", "sessions", MILLION, {
    applies: "new-sessions",
    what: "sessions of one IPv4 address or IPv6 /64; 0: no limit",
    consequence: "HTTP 429, code 1303",
    counter: "sessionsPerIpMax",
    flag: "sessions-per-ip-max",
  }),
  count("sessionsPerUserMax", "sessions", MILLION, {
    applies: "new-sessions",
    what: "sessions of one user, once clients can log in; 0: no limit",
    consequence: "the login is refused, code 1303",
    counter: "sessionsPerUserMax",
  }),
  entry("connects.perSecond", "number", "sessions/s", 0, 1000, {
    applies: "new-sessions",
    what: "new sessions of one IPv4 address or IPv6 /64; 0: no limit",
    consequence: "HTTP 429, code 1304, with Retry-After",
    counter: "connects",
    flag: "connects-per-second",
  }),
  entry("connects.burst", "whole", "sessions", 1, 10_000, {
    applies: "new-sessions",
    what: "new sessions of one IPv4 address or IPv6 /64 at once, after a rest",
    consequence: "HTTP 429, code 1304, with Retry-After",
    counter: "connects",
    flag: "connects-burst",
  }),
  list("allow", "addresses", {
    applies: "new-sessions",
    ...ranges,
    what: "who may connect; none: everybody",
    consequence: "HTTP 403, code 1305, to all others, REST included",
    counter: "allow",
    flag: "allow",
  }),
  list("deny", "addresses", {
    applies: "new-sessions",
    ...ranges,
    what: "who may not, allowed or not",
    consequence: "HTTP 403, code 1305, REST included",
    counter: "deny",
    flag: "deny",
  }),
  list("origins", "origins", {
    applies: "new-sessions",
    judge: isOriginPattern,
    wanted: "an origin such as https://app.example.com or https://*.example.com",
    what: "pages whose scripts may connect; none: all. Programs that send no Origin always may",
    consequence: "HTTP 403, code 1306",
    counter: "origins",
    flag: "origins",
  }),
  list("trustedProxies", "addresses", {
    applies: "new-sessions",
    ...ranges,
    what: "who is believed when it names its client in X-Forwarded-For",
    consequence: "what others write there is ignored",
    counter: "none",
    flag: "trusted-proxies",
  }),

  // --- what a client sends ------------------------------------------------------------------------------------------
  bytes("frameBytesMax", 64, {
    applies: "restart",
    what: "size of a client's frame",
    consequence: "close 1009",
    counter: "frameBytesMax",
    flag: "frame-bytes-max",
  }),
  commandRate("commands.native", "commands-per-second", "error 1302 for each one over it; in the end close 1008"),
  entry("commands.native.burst", "whole", "frames", 1, 100_000, {
    applies: "new-sessions",
    what: "commands of a session at once, after a rest, native",
    consequence: "error 1302 for each one over it; in the end close 1008",
    counter: "commands",
  }),
  count("commands.native.refusalsMax", "errors", 100_000, {
    applies: "new-sessions",
    what: "commands of a session refused in a row, native",
    consequence: "close 1008",
    counter: "commands",
  }),
  commandRate("commands.binance.spot", "", "close 1008 `Too many requests`, as Binance does"),
  commandRate("commands.binance.usdm", "", "close 1008 `Too many requests`, as Binance does"),
  entry("subscriptionsMax", "whole", "subscriptions", 1, 100_000, {
    what: "subscriptions of a session",
    consequence: "error 1301 for each one over it; Binance: error 4 for the whole command",
    counter: "subscriptionsMax",
    flag: "subscriptions-max",
  }),
  count("restInFlightMax", "requests", MILLION, {
    what: "REST requests of one worker that wait",
    consequence: "HTTP 429 with Retry-After",
    counter: "restInFlightMax",
  }),
  ms("restMsMax", 10, 60_000, { what: "wait of a REST request", consequence: "HTTP 503", counter: "restMsMax" }),
  ms("restBatchMs", 0, 1000, {
    what: "time in which REST requests go to the engine together",
    consequence: "a request waits so long at most",
    counter: "none",
  }),

  // --- time ---------------------------------------------------------------------------------------------------------
  ms("pingAfterMs", 100, DAY_MS, {
    what: "silence of a client until the node pings it",
    consequence: "a ping, and another after each such time",
    counter: "none",
    flag: "ping-after-ms",
  }),
  ms("idleMsMax", 200, DAY_MS, {
    what: "silence of a client until it is closed",
    consequence: "close 4009",
    counter: "idleMsMax",
    flag: "idle-ms-max",
  }),
  ms("sessionMsMax", 0, 365 * DAY_MS, {
    applies: "new-sessions",
    what: "a session's life, up to a tenth less by chance so that not all end together; 0: no limit",
    consequence: "close 4012",
    counter: "sessionMsMax",
    flag: "session-ms-max",
  }),

  // --- what a client is sent ----------------------------------------------------------------------------------------
  entry("outbound.framesPerSecond", "number", "frames/s", 0, MILLION, {
    what: "frames sent to a session, over a second; 0: no limit",
    consequence: "one cadence slower for all its subscriptions: merged or batched, nothing left out",
    counter: "outbound",
    flag: "outbound-frames",
  }),
  entry("outbound.bytesPerSecond", "bytes", "bytes/s", 0, 2 ** 32, {
    what: "bytes sent to a session, over a second; 0: no limit",
    consequence: "one cadence slower for all its subscriptions: merged or batched, nothing left out",
    counter: "outbound",
    flag: "outbound-bytes",
  }),
  bytes("unsentBytesMax", 4096, {
    applies: "restart",
    what: "bytes that the kernel takes for a client without having sent them",
    consequence: "what is more waits in the outbox, where it can be seen",
    counter: "none",
  }),
  bytes("outboxBytesHigh", 1024, {
    what: "bytes that a client has not taken until it is slowed",
    consequence: "no further snapshot until it has; conflating subscriptions one cadence slower",
    counter: "`tidegate_slow_total`",
  }),
  bytes("outboxBytesMax", 4096, {
    applies: "restart",
    what: "bytes that a client has not taken, at most",
    consequence: "close 4008, or without a word where the socket takes none",
    counter: "outboxBytesMax",
    flag: "outbox-bytes-max",
  }),
  bytes("outboxBytesNodeMax", 4096, {
    applies: "restart",
    what: "bytes that all clients of the node have not taken",
    consequence: "close 4014 for those with the most",
    counter: "`tidegate_slow_total`",
    flag: "outbox-bytes-node-max",
    max: 2 ** 40,
  }),
  ms("outboxAgeMaxMs", 100, DAY_MS, {
    what: "age of the oldest byte that a client has not taken",
    consequence: "close 4008",
    counter: "`tidegate_slow_total`",
    flag: "outbox-age-ms-max",
  }),
  ms("slowPatienceMs", 10, DAY_MS, {
    what: "time that a slowed session must have kept up",
    consequence: "it goes one cadence faster; if that was too early, the time doubles",
    counter: "`tidegate_slow_total`",
  }),
  ms("slowPatienceMsMax", 10, DAY_MS, {
    what: "the most that this time becomes",
    consequence: "it doubles no further",
    counter: "none",
  }),
  ms("closeLingerMs", 0, 60_000, {
    applies: "restart",
    what: "time that a closed session has to take what it was sent",
    consequence: "then the socket is cut",
    counter: "`tidegate_slow_total`",
  }),
  entry("joinsInFlightMax", "whole", "subscriptions", 1, 100_000, {
    what: "subscriptions of a session that wait for their snapshots at once",
    consequence: "the others wait their turn",
    counter: "none",
  }),
  ms("joinTurnMsMax", 1, 1000, {
    what: "time of one turn for those who wait for one snapshot",
    consequence: "those left wait for the next snapshot",
    counter: "none",
  }),
  ms("askAgainMs", 50, 60_000, {
    applies: "restart",
    what: "time without an answer of the engine",
    consequence: "the worker asks again",
    counter: "none",
  }),
  ms("flushMsMax", 0, 1000, {
    applies: "restart",
    what: "time a worker waits between two flushes under load",
    consequence: "what came meanwhile shares one write per socket",
    counter: "none",
  }),
];

/** What a field of the limits is. */
export function limitAt(limits: EdgeLimits, path: string): unknown {
  return path.split(".").reduce<unknown>((at, field) => (at as Record<string, unknown> | undefined)?.[field], limits);
}

/** The default as a person writes it, without its unit. */
export function defaultText({ path, read, standard: text }: LimitEntry): string {
  if (text !== undefined) return text;
  const value = limitAt(DEFAULT_LIMITS, path);
  if (read === "list") return "none";
  return read === "bytes" ? sizeText(Number(value)) : Number(value).toLocaleString("en-US");
}

function sizeText(bytes: number): string {
  if (bytes > 0 && bytes % 2 ** 20 === 0) return `${bytes / 2 ** 20} MiB`;
  if (bytes > 0 && bytes % 1024 === 0) return `${bytes / 1024} KiB`;
  return String(bytes);
}

/** Relations between fields: what holds, and which of the two fields is to be changed. */
export const LIMIT_RELATIONS: readonly {
  readonly fields: readonly [string, string];
  readonly holds: (limits: EdgeLimits) => boolean;
  readonly wanted: string;
}[] = [
  {
    fields: ["outboxBytesHigh", "outboxBytesMax"],
    holds: (limits) => limits.outboxBytesHigh < limits.outboxBytesMax,
    wanted: "limits.outboxBytesHigh below limits.outboxBytesMax",
  },
  {
    fields: ["outboxBytesMax", "outboxBytesNodeMax"],
    holds: (limits) => limits.outboxBytesMax <= limits.outboxBytesNodeMax,
    wanted: "limits.outboxBytesMax not above limits.outboxBytesNodeMax",
  },
  {
    fields: ["slowPatienceMs", "slowPatienceMsMax"],
    holds: (limits) => limits.slowPatienceMs <= limits.slowPatienceMsMax,
    wanted: "limits.slowPatienceMs not above limits.slowPatienceMsMax",
  },
  {
    fields: ["pingAfterMs", "idleMsMax"],
    holds: (limits) => limits.pingAfterMs < limits.idleMsMax,
    wanted: "limits.pingAfterMs below limits.idleMsMax, so that a client is pinged before it is closed for silence",
  },
  {
    fields: ["connects.burst", "connects.perSecond"],
    holds: ({ connects }) => connects.perSecond === 0 || connects.burst / connects.perSecond <= FILL_SECONDS_MAX,
    wanted: "limits.connects.burst of at most what limits.connects.perSecond gives in an hour",
  },
];

/** `base` with some fields replaced; `given` has passed the table's checks. */
export function limitsWith(given: Readonly<Record<string, unknown>>, base: EdgeLimits = DEFAULT_LIMITS): EdgeLimits {
  return merged(base as unknown as Tree, given) as unknown as EdgeLimits;
}

type Tree = Readonly<Record<string, unknown>>;

const isTree = (value: unknown): value is Tree => typeof value === "object" && value !== null && !Array.isArray(value);

function merged(standard: Tree, given: Tree): Tree {
  const all: Record<string, unknown> = { ...standard };
  for (const [field, value] of Object.entries(given)) {
    const old = all[field];
    if (value !== undefined) all[field] = isTree(value) && isTree(old) ? merged(old, value) : value;
  }
  return all;
}
