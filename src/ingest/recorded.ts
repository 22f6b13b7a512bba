/**
 * What a recording holds, by its head: the kinds its venue's own streams gave, and the window of its books.
 *
 * A kind that stands in the recording is not derived; whatever is not there is, where it can be.
 */
import { streamKind } from "../channel/kinds.ts";
import type { Kind } from "../channel/types.ts";
import type { ReplayHead } from "./replay-file.ts";

export interface Recorded {
  readonly provides: readonly Kind[];
  /** Levels per side of the books; undefined where frames say it or there is no limit. */
  readonly window: number | undefined;
  /** It holds the snapshots that were asked for when a book turned out wrong. */
  readonly repairs: boolean;
}

/** Stands among the requests of a recording that our own source made. */
export const RECORDER_NOTE = '{"recorder":"tidegate","version":1}';

const TICKERS: readonly Kind[] = ["ticker", "miniTicker"];

/** Kinds by a venue's name of its channel. */
const KINDS: Readonly<Record<string, readonly Kind[]>> = {
  level2: ["depth"],
  level2_batch: ["depth"],
  matches: ["trade"],
  ticker: TICKERS,
  tickers: TICKERS,
  "bbo-tbt": ["bookTicker"],
  books5: ["partialDepth"],
};

export function recorded({ url, venue, requests }: ReplayHead): Recorded {
  const kinds = new Set<Kind>(["trade", "depth"]);
  if (venue === "binance" || venue === "binance-usdm") {
    const names = [...pathStreams(url ?? ""), ...requests.flatMap((one) => texts(member(one, "params")))];
    for (const name of names) {
      const stream = name.startsWith("!") ? name.slice(1) : (name.split("@")[1] ?? "");
      const { kind } = streamKind(stream.split("@")[0] ?? "");
      if (kind !== "json") kinds.add(kind);
    }
  } else if (venue === "coinbase" || venue === "okx") {
    for (const channel of requests.flatMap(channelsOf)) for (const kind of KINDS[channel] ?? []) kinds.add(kind);
  }
  const repairs = requests.some((request) => JSON.stringify(request) === RECORDER_NOTE);
  return { provides: [...kinds], window: venue === "kraken" ? depthOf(requests) : undefined, repairs };
}

/** Streams in a Binance URL: `/ws/a@b/c@d` or `?streams=a@b/c@d`. */
function pathStreams(url: string): string[] {
  if (!URL.canParse(url)) return [];
  const { pathname, searchParams } = new URL(url);
  return [...(searchParams.get("streams") ?? "").split("/"), ...pathname.split("/")].filter((part) => part !== "");
}

/** Channels of a subscription by Coinbase (`channels`: names or objects) or OKX (`args`: objects). */
function channelsOf(request: unknown): string[] {
  const names = list(member(request, "channels")).map((one) => (typeof one === "string" ? one : member(one, "name")));
  const topics = list(member(request, "args")).map((one) => member(one, "channel"));
  return texts([...names, ...topics]);
}

function depthOf(requests: readonly unknown[]): number | undefined {
  for (const request of requests) {
    const params = member(request, "params");
    const depth = member(params, "depth");
    if (member(params, "channel") === "book" && typeof depth === "number") return depth;
  }
  return undefined;
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const texts = (value: unknown): string[] => list(value).filter((one): one is string => typeof one === "string");
