/** Who connects where and asks for what: the work of a run, shared out to processes and to their connections. */
import { GatewayError } from "../src/lib/errors.ts";
import type { LoadOptions } from "./options.ts";
import type { Target } from "./socket/client.ts";
import { textFrame } from "./socket/frames.ts";
import { contentOf } from "./verify/checks.ts";
import type { FeedPlan } from "./verify/feed.ts";

/** One process's part: connections `first` to `first + count - 1` of the run. */
export interface PartPlan {
  readonly options: LoadOptions;
  readonly first: number;
  readonly count: number;
  readonly connectRate: number;
  readonly localAddresses: readonly string[];
}

export interface Place {
  readonly target: Target;
  readonly plan: FeedPlan;
}

/** Sockets of one process: what it needs besides, and what a table of that size costs, is left out. */
const SOCKETS_MAX = 18_000;
const DESCRIPTORS_BESIDES = 1000;
/**
 * Connections from one address to one port that are made at once. Linux has 28,000 ports, but looks at every second one
 * first: behind 14,000 a connection waits seconds for its turn, measured.
 */
const PORTS_OF_AN_ADDRESS = 8000;

export const socketsOfAProcess = (descriptors: number): number =>
  Math.max(1, Math.min(SOCKETS_MAX, descriptors - DESCRIPTORS_BESIDES));

/** `descriptors`: how many one process may have. */
export function partsOf(options: LoadOptions, descriptors: number, linux: boolean): PartPlan[] {
  const { connections, connectRate } = options;
  const most = socketsOfAProcess(descriptors);
  const processes = Math.min(connections, options.processes ?? Math.ceil(connections / most));
  if (connections > processes * most) {
    throw new GatewayError(
      "USAGE",
      `--processes: ${processes} of them can hold ${processes * most} connections (${descriptors} descriptors each), not ${connections}`,
    );
  }
  const parts: PartPlan[] = [];
  for (let at = 0, first = 0; at < processes; at++) {
    const count = Math.ceil((connections - first) / (processes - at));
    const localAddresses = addressesOf(options, at, count, linux);
    parts.push({ options, first, count, connectRate: (connectRate * count) / connections, localAddresses });
    first += count;
  }
  return parts;
}

/** On loopback each process of a large run has addresses of its own; elsewhere the system chooses. */
function addressesOf(
  { localAddresses, connections, urls }: LoadOptions,
  part: number,
  count: number,
  linux: boolean,
): readonly string[] {
  if (localAddresses !== "auto") return localAddresses;
  const loopback = urls.every((url) => /^(127\.\d+\.\d+\.\d+|localhost)$/.test(new URL(url).hostname));
  if (!linux || !loopback || connections / urls.length <= PORTS_OF_AN_ADDRESS) return [];
  const each = Math.ceil(Math.min(count, SOCKETS_MAX) / PORTS_OF_AN_ADDRESS);
  return Array.from({ length: each }, (_, at) => `127.0.${part}.${2 + at}`);
}

/** Where each connection goes and what it wants. Connections that want the same share it. */
export class Places {
  readonly #options: LoadOptions;
  readonly #plans = new Map<number, FeedPlan>();
  readonly #targets = new Map<string, Target>();

  constructor({ options }: PartPlan) {
    this.#options = options;
  }

  of(connection: number): Place {
    const { urls, channels, perConnection } = this.#options;
    const take = Math.min(perConnection ?? channels.length, channels.length);
    const start = take === channels.length ? 0 : (connection * take) % channels.length;
    const plan = this.#plan(start, take);
    return { plan, target: this.#target(urls[connection % urls.length]!, plan, start) };
  }

  #plan(start: number, take: number): FeedPlan {
    const known = this.#plans.get(start);
    if (known !== undefined) return known;
    const { channels, dialect, cadence } = this.#options;
    const names = Array.from({ length: take }, (_, at) => channels[(start + at) % channels.length]!);
    const command =
      dialect === "binance"
        ? { method: "SUBSCRIBE", params: names, id: 1 }
        : { id: 1, op: "subscribe", channels: names, ...(cadence === null ? {} : { cadence }) };
    const plan: FeedPlan = {
      names,
      indexOf: new Map(names.map((name, at) => [name, at])),
      hasBook: names.some((name) => contentOf(name) === "book"),
      command,
      subscribeFrame: textFrame(JSON.stringify(command)),
    };
    this.#plans.set(start, plan);
    return plan;
  }

  #target(text: string, { names }: FeedPlan, start: number): Target {
    const key = this.#options.byUrl ? `${start} ${text}` : text;
    const known = this.#targets.get(key);
    if (known !== undefined) return known;
    const url = new URL(text);
    const secure = url.protocol === "wss:";
    const hostname = url.hostname.replace(/^\[|\]$/g, "");
    const target: Target = {
      hostname,
      port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
      host: url.host,
      path: this.#options.byUrl ? withStreams(url, names) : url.pathname + url.search,
      tls: secure ? { serverName: hostname, ...trust(this.#options) } : null,
    };
    this.#targets.set(key, target);
    return target;
  }
}

/** Whom to believe that it is the node. */
export const trust = ({ tls }: LoadOptions): { rejectUnauthorized: boolean; ca?: string } => ({
  rejectUnauthorized: !tls.insecure,
  ...(tls.ca === null ? {} : { ca: tls.ca }),
});

/** `/ws` + `/a/b`, or `/stream` + `?streams=a/b`. */
function withStreams(url: URL, names: readonly string[]): string {
  const streams = names.join("/");
  if (!isCombined(url)) return `${url.pathname.replace(/\/$/, "")}/${streams}${url.search}`;
  return `${url.pathname}${url.search === "" ? "?" : `${url.search}&`}streams=${streams}`;
}

/** A path of Binance's combined form. */
export const isCombined = (url: URL): boolean => /\/stream\/?$/.test(url.pathname);

/** The depth call of the market that a Binance path belongs to. */
export function depthUrl(text: string, symbol: string): string {
  const url = new URL(text);
  const usdm = /^\/(public|market|private|fstream|fapi)\b/.test(url.pathname);
  const origin = url.origin.replace(/^ws/, "http");
  return usdm
    ? `${origin}/fapi/v1/depth?symbol=${symbol.toUpperCase()}&limit=1000`
    : `${origin}/api/v3/depth?symbol=${symbol.toUpperCase()}&limit=5000`;
}
