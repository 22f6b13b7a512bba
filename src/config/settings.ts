/**
 * Every static setting that has a flag: one table for the command line, the environment and the help text.
 *
 * A setting `--admin-port` is also the variable `TIDEGATE_ADMIN_PORT` and the field `admin.port` of the config file.
 * Limits come from the table of limits; those without a flag, and `topics`, are fields of the config file only.
 */

import { defaultText, LIMIT_TABLE, type LimitEntry } from "../edge/limit-table.ts";

export interface Setting {
  /** Without dashes: `admin-port`. */
  readonly flag: string;
  /** Where it stands in the config file. `source` settings are put together by source-setting.ts. */
  readonly path: readonly string[];
  /** How its text is read; zod judges the value. */
  readonly read: "text" | "number" | "bytes" | "list" | "switch";
  /** Name of the value in the help; '' for a switch. */
  readonly value: string;
  readonly help: string;
  /** Heading under which the help lists it. */
  readonly group?: string;
}

const setting = (
  flag: string,
  value: string,
  read: Setting["read"],
  path: string,
  help: string,
): Setting & { readonly path: readonly string[] } => ({ flag, value, read, path: path.split("."), help });

const limitSetting = (entry: LimitEntry): Setting => {
  const { flag, path, read, what, unit } = entry;
  const help = `${what} (${defaultText(entry)}${unit === "ms" ? " ms" : ""})`;
  const value = read === "list" ? "LIST" : read === "bytes" ? "SIZE" : "N";
  const text = setting(flag, value, read === "whole" ? "number" : read, `limits.${path}`, help);
  return { ...text, group: "Limits (all of them: docs/limits.md):" };
};

export const SETTINGS: readonly Setting[] = [
  setting("host", "ADDRESS", "text", "host", "public address (127.0.0.1)"),
  setting("port", "N", "number", "port", "public port (8080); 0 takes a free one"),
  setting("admin-host", "ADDRESS", "text", "admin.host", "admin address (127.0.0.1)"),
  setting("admin-port", "N", "number", "admin.port", "admin port (9090); 0 takes a free one"),
  setting("tls-cert", "FILE", "text", "tls.cert", "PEM of the public listener's certificate and its chain (no TLS)"),
  setting("tls-key", "FILE", "text", "tls.key", "PEM of its private key; both are read again when they change"),
  setting("share-port", "", "switch", "sharePort", "let another node of this machine listen on the same public port"),
  setting("drain-seconds", "N", "number", "drainSeconds", "on SIGTERM close the sessions over so many seconds (10)"),
  setting("replay", "FILE", "text", "source.path", "read a recorded feed instead of the simulated exchange"),
  setting("speed", "N|max", "text", "source.speed", "replay N times faster, or as fast as possible (1)"),
  setting("loop", "", "switch", "source.loop", "replay again and again, each time as a new epoch"),
  setting(
    "upstream",
    "VENUE:SYMBOLS",
    "text",
    "source.upstream",
    "another exchange's public feed: kraken:BTC/USD,ETH/USD",
  ),
  setting("upstream-url", "URL", "text", "source.url", "its WebSocket address, for a proxy (the venue's own)"),
  setting(
    "upstream-rest",
    "URL",
    "text",
    "source.rest",
    "its REST address, where books come from there (the venue's own)",
  ),
  setting("upstream-ca", "FILE", "text", "source.ca", "PEM of the authorities to trust for both (the system's)"),
  setting("synthetic", "SPEC", "text", "source.shape", "benchmark source: channels=N,rate=N,size=BYTES[,spread]"),
  setting(
    "sim-rate",
    "N",
    "number",
    "source.rate",
    "updates per second of each market (spot, usdm) of the simulated exchange (1000)",
  ),
  setting("seed", "N", "number", "source.seed", "seed of the simulated exchange (1)"),
  setting("workers", "N", "number", "workers", "edge worker threads (cores - 1, at least 1)"),
  setting("ring-bytes", "SIZE", "bytes", "ringBytes", "shared ring between engine and workers, a power of two (64MiB)"),
  setting("node-id", "NAME", "text", "nodeId", "name of this node (the host's name)"),
  setting(
    "config-store",
    "STORE",
    "text",
    "configStore",
    "file:PATH of the dynamic configuration; its routes run instead of a source",
  ),
  setting("cluster", "NAME", "text", "cluster", "nodes of one name on one bus are one gateway (tidegate)"),
  setting("bus", "KIND", "text", "bus.kind", "what joins the nodes: memory (one node), nats or jetstream (memory)"),
  setting("bus-servers", "LIST", "list", "bus.servers", "NATS servers of the bus (nats://127.0.0.1:4222)"),
  setting("bus-user", "NAME", "text", "bus.user", "our user on them; the password is better given as a variable"),
  setting("bus-password", "TEXT", "text", "bus.password", "its password"),
  setting("bus-token", "TEXT", "text", "bus.token", "a token instead of a user"),
  setting("bus-credentials", "FILE", "text", "bus.credentials", "a credentials file instead of a user"),
  setting("bus-tls-ca", "FILE", "text", "bus.tls.ca", "PEM of the authorities to trust for them (the system's)"),
  setting("bus-tls-cert", "FILE", "text", "bus.tls.cert", "PEM of our certificate for them"),
  setting("bus-tls-key", "FILE", "text", "bus.tls.key", "PEM of its private key"),
  setting("bus-linger-ms", "MS", "number", "bus.lingerMs", "how long a publication waits for others of its topic (1)"),
  setting("bus-batch", "N", "number", "bus.batch", "publications in one message at most (100)"),
  setting(
    "checkpoints",
    "STORE",
    "text",
    "checkpoints",
    "where shards keep their place: memory, redis://host:6379 or nats://host:4222 (memory)",
  ),
  setting("peers", "LIST", "list", "peers", "names of all ingest nodes, the same on each node (this node alone)"),
  setting(
    "addresses",
    "LIST",
    "list",
    "addresses",
    "where brokers are dialled: kafka:9092=127.0.0.1:19092,... (as named)",
  ),
  setting("roles", "LIST", "list", "roles", "ingest,edge,admin (all)"),
  setting("default-market", "NAME", "text", "defaultMarket", "market of channel names without a prefix (spot)"),
  setting("watchdog-ms", "MS", "number", "watchdogMs", "restart a worker that is silent for so long (3000)"),
  setting("log-level", "LEVEL", "text", "log.level", "debug, info, warn, error or silent (info)"),
  setting("log-format", "FORMAT", "text", "log.format", "json, pretty or auto: pretty on a terminal (auto)"),
  ...LIMIT_TABLE.filter(({ flag }) => flag !== "").map(limitSetting),
];

/** The config file itself: a flag and a variable, but no field of the file. */
export const CONFIG_FLAG = { flag: "config", value: "FILE", help: "JSON file with settings; flags and variables win" };

export const envName = (flag: string): string => `TIDEGATE_${flag.toUpperCase().replaceAll("-", "_")}`;

/** `--admin-port` as commander keys its value: `adminPort`. */
export const flagKey = (flag: string): string => flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
