/**
 * How a client begins a book: it subscribes, waits for the reply, gets the REST snapshot, and joins the two. What came is
 * written down first and judged afterwards, by Binance's text and by ccxt's rule (reference/protocols.md, section 3).
 *
 * Invariant: a verdict of null means that neither client would have seen a gap or asked for a second snapshot.
 */

import { BinanceClient } from "../../lib/binance-client.ts";
import { NativeClient } from "../../lib/native-client.ts";
import { waitFor } from "../../lib/wait.ts";
import { BookHistory, DigestBook } from "./book-history.ts";
import type { DepthBody, DepthEvent } from "./folded-book.ts";
import type { Market } from "./truth.ts";

interface BookStart {
  readonly market: Market;
  readonly symbol: string;
  /** `@depth`, or with a speed. */
  readonly stream: string;
}

interface Started {
  readonly events: readonly DepthEvent[];
  /** Events that came before the reply to SUBSCRIBE: ccxt drops them. */
  readonly early: number;
  readonly snapshot: DepthBody;
}

/** Clients at the same time. */
const AT_ONCE = 50;
const SYMBOLS = ["btcusdt", "ethusdt", "solusdt", "xrpusdt"];
/** One in ten takes a stream of the default speed: a second on spot. */
const SLOW_EVERY = 10;

const startAt = (i: number): BookStart => ({
  market: i % 3 === 2 ? "usdm" : "spot",
  symbol: SYMBOLS[i % SYMBOLS.length]!,
  stream: i % SLOW_EVERY === 0 ? "@depth" : "@depth@100ms",
});

/** So many clients of a node of the simulated exchange; `faults`: of those that were not continuous or not exact. */
export async function beginBooks(options: {
  readonly node: { readonly http: string; readonly ws: string };
  readonly times: number;
}): Promise<{ readonly times: number; readonly faults: readonly string[] }> {
  const { node } = options;
  const native = await NativeClient.connect(`${node.ws}/ws/quote/v1`);
  try {
    const channels = SYMBOLS.flatMap((symbol) => [`${symbol}@depth`, `usdm:${symbol}@depth`]);
    await native.subscribe(channels);
    const histories = new Map(channels.map((channel) => [channel, new BookHistory(native.stream(channel))]));
    const faults: string[] = [];
    let next = 0;
    let times = 0;
    const client = async (): Promise<void> => {
      while (next < options.times) {
        const start = startAt(next++);
        const started = await beginBook(node.ws, node.http, start);
        const history = histories.get(`${start.market === "spot" ? "" : "usdm:"}${start.symbol}@depth`)!;
        const fault = verdict(start, started) ?? (await bookFault(native, history, started));
        if (fault !== null) faults.push(fault);
        times++;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, client));
    return { times, faults: [...faults, ...native.faults] };
  } finally {
    native.close();
  }
}

const PATHS = { spot: { ws: "/ws", rest: "/api/v3" }, usdm: { ws: "/public/ws", rest: "/fapi/v1" } } as const;
/** Events behind the snapshot that are waited for. */
const EVENTS = 2;

async function beginBook(ws: string, http: string, start: BookStart): Promise<Started> {
  const { market, symbol, stream } = start;
  const client = await BinanceClient.connect(ws + PATHS[market].ws);
  try {
    const events: DepthEvent[] = [];
    client.onEvent((_, event) => events.push(event as unknown as DepthEvent));
    const { error } = await client.request("SUBSCRIBE", [symbol + stream]);
    if (error !== undefined) throw new Error(JSON.stringify(error));
    const early = events.length;
    const response = await fetch(`${http}${PATHS[market].rest}/depth?symbol=${symbol.toUpperCase()}&limit=1000`);
    if (response.status !== 200) throw new Error(`depth: ${response.status} ${await response.text()}`);
    const snapshot = (await response.json()) as DepthBody;
    const behind = (): number => events.filter(({ u }) => u > snapshot.lastUpdateId).length;
    await waitFor(
      () => behind() >= EVENTS || client.closed !== null,
      () => `${EVENTS} events of ${symbol}${stream} behind ${snapshot.lastUpdateId}, not ${behind()}`,
    );
    if (client.closed !== null) throw new Error(`closed: ${JSON.stringify(client.closed)}`);
    return { events, early, snapshot };
  } finally {
    client.close();
  }
}

/**
 * What a client that follows Binance's text, and one that does as ccxt does, would object to. A snapshot that ends exactly
 * where an event ends is continued by the next one: by its `U`, or on USD-M by its `pu`.
 */
function verdict(start: BookStart, { events, early, snapshot }: Started): string | null {
  const { market, symbol, stream } = start;
  const fault = faultByText(market, events, snapshot) ?? faultByCcxt(market, events.slice(early), snapshot);
  if (fault === null) return null;
  const chain = events.map(({ U, u, pu }) => (pu === undefined ? `${U}..${u}` : `${U}..${u} (${pu})`));
  return `${market} ${symbol}${stream}: ${fault}; snapshot ${snapshot.lastUpdateId}, events ${chain.join(", ")}`;
}

function faultByText(market: Market, events: readonly DepthEvent[], { lastUpdateId }: DepthBody): string | null {
  for (const [i, event] of events.entries()) {
    const before = events[i - 1];
    if (before === undefined) continue;
    const follows = market === "spot" ? event.U === before.u + 1 : event.pu === before.u;
    if (!follows) return `event ${event.U} does not follow ${before.u}`;
  }
  const kept = events.filter(({ u }) => (market === "spot" ? u > lastUpdateId : u >= lastUpdateId));
  const first = kept[0]!;
  if (events[0]!.U > lastUpdateId + 1) return "the snapshot is older than the stream";
  const joins = first.U <= lastUpdateId + 1 && first.u >= lastUpdateId;
  return joins ? null : `the first event kept, ${first.U}..${first.u}, does not hold the snapshot's id`;
}

function faultByCcxt(market: Market, events: readonly DepthEvent[], { lastUpdateId }: DepthBody): string | null {
  let nonce = lastUpdateId;
  let isFirst = true;
  for (const { U, u, pu } of events) {
    if (market === "spot" ? u <= nonce : u < nonce) continue;
    const fits =
      market === "spot" ? (isFirst ? U - 1 <= nonce && u - 1 >= nonce : U - 1 === nonce) : U <= nonce || pu === nonce;
    if (!fits) return `ccxt refuses ${U}..${u} at ${nonce}`;
    nonce = u;
    isFirst = false;
  }
  return null;
}

/** What is wrong with the book that the snapshot and the events make; null if it is the node's. */
async function bookFault(
  native: NativeClient,
  history: BookHistory,
  { events, snapshot }: Started,
): Promise<string | null> {
  const book = new DigestBook();
  book.apply(snapshot.bids, snapshot.asks);
  let id = snapshot.lastUpdateId;
  for (const { u, b, a } of events) {
    if (u <= id) continue;
    book.apply(b, a);
    id = u;
  }
  await native.reaches(history.stream.asked, id);
  if (!history.knows(id)) return null;
  return history.fault({ id, digest: book.digest, ...book.levels() });
}
