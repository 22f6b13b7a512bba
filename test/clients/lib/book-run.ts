/**
 * Books of real client libraries while a proxy of ours cuts, delays, throttles and stops their sockets: every book that a client holds, at every update
 * id it ends on, is the node's.
 *
 * Each client is a process of its own behind a proxy of its own; a native client that nobody cuts gives the node's book at
 * every seq. Libraries that keep a book hand over theirs; for the others we fold their events.
 */

import { CuttingProxy } from "../../lib/cutting-proxy.ts";
import type { Weather } from "../../lib/lane.ts";
import { NativeClient } from "../../lib/native-client.ts";
import { waitFor } from "../../lib/wait.ts";
import { BookHistory, type ClientBook, digestOf } from "./book-history.ts";
import { type DepthBody, type DepthEvent, FoldedBook } from "./folded-book.ts";
import { type Line, type Program, type ProgramName, startProgram } from "./program.ts";
import type { Market } from "./truth.ts";

export interface BookRun {
  /** A node of the simulated exchange; in a process of its own, so that nobody here holds it up. */
  readonly node: { readonly http: string; readonly ws: string };
  readonly seconds: number;
  readonly seed: number;
  /** What the sockets go through; without it that of a run of a few seconds. */
  readonly network?: Network;
  /** Every client has its first book: the time begins. */
  readonly onStart?: () => void;
}

/** Each connection lives for so long and goes through one of the weathers. */
export interface Network {
  readonly lifeMsMin: number;
  readonly lifeMsMax: number;
  readonly weathers: readonly Weather[];
}

/** One book that a library kept. */
export interface BookReport {
  readonly program: ProgramName;
  readonly market: Market;
  readonly symbol: string;
  /** Books compared, each at another update id; the last one began behind the last cut. */
  books: number;
  /** Books that were not the node's. */
  readonly faults: string[];
  /** Times that the library, or our fold of its events, began again. */
  restarts: number;
  /** Snapshots that the stream did not continue. */
  startGaps: number;
  /** What the library itself calls a broken book. */
  readonly complaints: string[];
}

export interface RunReport {
  readonly books: readonly BookReport[];
  /** Libraries that could not be had, and why. */
  readonly missing: Readonly<Partial<Record<ProgramName, string>>>;
  readonly cuts: Readonly<Partial<Record<ProgramName, number>>>;
  /** Connections of each, and how many of them the node has ended. */
  readonly connections: Readonly<Partial<Record<ProgramName, number>>>;
  readonly ended: Readonly<Partial<Record<ProgramName, number>>>;
  /** Cuts in the middle of what the node sent. */
  readonly torn: number;
  /** Times that the network stopped for a while. */
  readonly pauses: number;
  /** Publications of each book per second, where the native client saw all of them. */
  readonly rates: Readonly<Record<string, number>>;
  /** Of the native client: it is the truth only without any. */
  readonly nativeFaults: readonly string[];
}

export const SYMBOLS = ["btcusdt", "ethusdt"];
/**
 * Flags of a node that updates each of these books more than 100 times a second. It slows clients, but closes none for
 * being slow: the native one must stay, also on a machine that is busy with other things.
 */
export const NODE_FLAGS = ["--sim-rate", "1000", "--seed", "7", "--outbox-age-ms-max", "100000"];
export const CLIENTS: Readonly<Record<ProgramName, readonly Market[]>> = {
  ccxt: ["spot", "usdm"],
  binance: ["spot", "usdm"],
  "@binance/spot": ["spot"],
  "@binance/derivatives-trading-usds-futures": ["usdm"],
  // Its cache for USD-M takes a partial book whole.
  "python-binance": ["spot"],
  "binance-connector": ["spot"],
};
/** A connection with two books at 100 ms carries 30 to 40 kB a second. */
const NETWORK: Network = {
  lifeMsMin: 1500,
  lifeMsMax: 5000,
  weathers: [
    {},
    { delayMs: [5, 80] },
    { delayMs: [0, 20], bytesPerSecond: 25_000 },
    { bytesPerSecond: 8_000 },
    { delayMs: [0, 20], pause: { everyMs: [300, 1200], ms: [200, 1500] } },
  ],
};
/** A library's own delay before it dials again, and a snapshot, take up to so long. */
const RECOVERY_MS_MAX = 40_000;
/** Faults and complaints of one book that are kept to be shown. */
const SHOWN_MAX = 3;

export async function runBooks({ node, seconds, seed, network = NETWORK, onStart }: BookRun): Promise<RunReport> {
  await using stack = new AsyncDisposableStack();
  const port = Number(new URL(node.http).port);
  const native = await NativeClient.connect(`${node.ws}/ws/quote/v1`);
  stack.defer(() => native.close());
  const channels = SYMBOLS.flatMap((symbol) => [`${symbol}@depth`, `usdm:${symbol}@depth`]);
  await native.subscribe(channels);
  const histories = new Map(channels.map((channel) => [channel, new BookHistory(native.stream(channel))]));

  const clients: { program: Program; proxy: CuttingProxy; books: Map<string, ClientBooks> }[] = [];
  const missing: Partial<Record<ProgramName, string>> = {};
  const starting = Object.entries(CLIENTS).map(async ([key, markets], i) => {
    const name = key as ProgramName;
    const proxy = stack.use(await CuttingProxy.start({ port, seed: seed * 100 + i, ...network }));
    const ws = `ws://127.0.0.1:${proxy.port}`;
    let program: Program;
    try {
      program = stack.use(await startProgram(name, { http: node.http, ws, mode: "book", symbols: SYMBOLS }));
    } catch (error) {
      missing[name] = error instanceof Error ? error.message : String(error);
      return;
    }
    const books = new Map<string, ClientBooks>();
    for (const market of markets) {
      for (const symbol of SYMBOLS) {
        const history = histories.get(`${market === "spot" ? "" : "usdm:"}${symbol}@depth`)!;
        books.set(`${market} ${symbol}`, new ClientBooks({ program: name, market, symbol }, history, node.http));
      }
    }
    program.onLine((line) => hear(books, line));
    clients.push({ program, proxy, books });
  });
  await Promise.all(starting);

  const all = clients.flatMap(({ program, books }) => [...books.values()].map((book) => ({ program, book })));
  const every = (condition: (book: ClientBooks) => boolean, what: string, ms: number): Promise<unknown> =>
    Promise.all(
      all.map(({ program, book }) =>
        program.until(
          () => condition(book),
          () => `${what} of ${book.report.market} ${book.report.symbol} (${JSON.stringify(book.report)})`,
          ms,
        ),
      ),
    );
  await every(({ report }) => report.books > 0, "the first book", RECOVERY_MS_MAX);
  onStart?.();
  const start = performance.now();
  const before = new Map([...histories].map(([channel, history]) => [channel, history.count]));
  const end = start + seconds * 1000;
  await waitFor(
    () => performance.now() >= end || clients.some(({ program }) => program.ended !== null),
    "the time is over",
    seconds * 1000 + 10_000,
  );
  const elapsed = (performance.now() - start) / 1000;
  const rates = Object.fromEntries(
    [...histories]
      .filter(([, history]) => history.whole)
      .map(([channel, history]) => [channel, (history.count - before.get(channel)!) / elapsed]),
  );
  // What is cut no more finds its way back: every library ends with a book that it began after its last cut.
  for (const { proxy } of clients) proxy.calm();
  const last = Math.max(...[...histories.values()].map((history) => history.last));
  await every((book) => book.id > last, "a book behind the last cut", RECOVERY_MS_MAX);
  for (const { book } of all) book.compareAll();
  const counts = (count: (proxy: CuttingProxy) => number): Partial<Record<ProgramName, number>> =>
    Object.fromEntries(clients.map(({ program, proxy }) => [program.name, count(proxy)]));
  return {
    books: all.map(({ book }) => book.report),
    missing,
    cuts: counts(({ cuts }) => cuts),
    connections: counts(({ connections }) => connections),
    ended: counts(({ ended }) => ended),
    torn: clients.reduce((sum, { proxy }) => sum + proxy.torn, 0),
    pauses: clients.reduce((sum, { proxy }) => sum + proxy.pauses, 0),
    rates,
    nativeFaults: native.faults,
  };
}

/** One book of a client: compared as it comes, once the native client is there too. */
class ClientBooks {
  readonly report: BookReport;
  /** Update id of the newest book. */
  id = -1;
  readonly #history: BookHistory;
  readonly #waiting: ClientBook[] = [];
  /** Where the library says so: the id of its snapshot. */
  #snapshot: number | null = null;
  readonly #fold: FoldedBook;

  constructor(of: Pick<BookReport, "program" | "market" | "symbol">, history: BookHistory, http: string) {
    this.report = { ...of, books: 0, faults: [], restarts: 0, startGaps: 0, complaints: [] };
    this.#history = history;
    const url = `${http}${of.market === "spot" ? "/api/v3" : "/fapi/v1"}/depth?symbol=${of.symbol.toUpperCase()}&limit=1000`;
    const fetchBook = async (): Promise<DepthBody> => {
      const response = await fetch(url);
      if (response.status !== 200) throw new Error(`${url}: ${response.status} ${await response.text()}`);
      return (await response.json()) as DepthBody;
    };
    this.#fold = new FoldedBook(
      fetchBook,
      (book) => this.take(book),
      (error) => this.complain(String(error)),
    );
  }

  take(book: ClientBook): void {
    // A library may hand over the same book twice.
    if (book.id === this.id) return;
    this.id = book.id;
    this.#waiting.push(book);
    this.compareAll();
  }

  event(event: DepthEvent): void {
    this.#fold.take(event);
    this.report.restarts = this.#fold.restarts;
    this.report.startGaps = this.#fold.startGaps;
  }

  /** Which snapshot the library's book began with. */
  snapshot(id: number): void {
    if (this.#snapshot !== null && this.#snapshot !== id) this.report.restarts++;
    this.#snapshot = id;
  }

  /** What the library threw at its user, who tries again. */
  exception(text: string): void {
    if (this.#snapshot === null) this.report.restarts++;
    if (/checksum|nonce|out of sync/i.test(text)) this.complain(text);
  }

  complain(complaint: string): void {
    if (this.report.complaints.length < SHOWN_MAX) this.report.complaints.push(complaint);
  }

  compareAll(): void {
    while (this.#waiting.length > 0 && this.#waiting[0]!.id <= this.#history.last) {
      const book = this.#waiting.shift()!;
      if (!this.#history.knows(book.id)) continue;
      const fault = this.#history.fault(book);
      this.report.books++;
      if (fault !== null && this.report.faults.length < SHOWN_MAX) this.report.faults.push(fault);
    }
  }
}

function hear(books: ReadonlyMap<string, ClientBooks>, line: Line): void {
  const { what, market, symbol } = line;
  if (what === "event") {
    const event = line.event as DepthEvent & { readonly s: string };
    books.get(`${market} ${event.s.toLowerCase()}`)?.event(event);
    return;
  }
  const book = books.get(`${market} ${symbol}`);
  if (book === undefined) return;
  if (what === "book") {
    const { id, bids, asks } = line as unknown as Omit<ClientBook, "digest">;
    if (typeof line.snapshot === "number") {
      book.snapshot(line.snapshot);
      // python-binance goes back behind a snapshot that it took in the middle of a chain: its book is right again, and
      // meant to be, once its updates have passed that snapshot.
      if (id < line.snapshot) return;
    }
    book.take({ id, digest: digestOf(bids, asks), bids, asks });
  } else if (what === "exception") {
    book.exception(JSON.stringify(line));
  }
}
