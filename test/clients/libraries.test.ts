/**
 * Client libraries as they come from npm and PyPI, told only another base URL, each doing what its README shows: what they
 * hand to their user is what a native client of the same node saw.
 *
 * Their sockets go through a network that delays, throttles and stops them (cuts: test/clients/books.test.ts, where those
 * that dial again by themselves do so). They all run at once, each in a process of its own (test/clients/programs), while the tests look at what they say.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { CuttingProxy } from "../lib/cutting-proxy.ts";
import { PATIENT, startTestNode, type TestNode } from "../lib/test-node.ts";
import { type Program, type ProgramName, startProgram } from "./lib/program.ts";
import { confirmRest } from "./lib/rest-facts.ts";
import { type Event, type Market, Truth } from "./lib/truth.ts";
import { WEATHERS } from "./lib/way.ts";

/** Events of each kind that are held against the truth: there are many of some. */
const EACH = 8;
/** Ids that are looked at for a hole, at least. */
const UNBROKEN_MIN = 10;
/** The first time, Python packages are installed. */
const INSTALL_MS_MAX = 240_000;

// Six programs start at once, on a machine that may be busy.
setDefaultTimeout(60_000);

let node: TestNode;
let network: CuttingProxy;
let truth: Truth;
/** A rejection is that library's own: only its tests fail. */
const programs = new Map<ProgramName, Promise<Program>>();

beforeAll(async () => {
  node = await startTestNode({ simRate: "600", seed: "11", config: PATIENT });
  truth = await Truth.start(await node.native());
  network = await CuttingProxy.start({ port: node.port, seed: 5, weathers: WEATHERS });
  const asked = { http: node.http, ws: `ws://127.0.0.1:${network.port}`, mode: "readme" } as const;
  for (const name of ["binance", "@binance/spot", "@binance/derivatives-trading-usds-futures"] as const)
    programs.set(name, startProgram(name, asked));
  for (const name of ["python-binance", "binance-connector"] as const) programs.set(name, startProgram(name, asked));
  await Promise.allSettled(programs.values());
}, INSTALL_MS_MAX);

afterAll(async () => {
  for (const result of await Promise.allSettled(programs.values())) {
    if (result.status === "fulfilled") await result.value[Symbol.asyncDispose]();
  }
  network?.[Symbol.dispose]();
  await node?.[Symbol.asyncDispose]();
});

/** One kind of event: its `e`, "[e]" in an array of all symbols, or what it is recognised by without one. */
function kindOf(event: Event | readonly Event[]): string {
  if (Array.isArray(event)) return `[${kindOf(event[0] as Event)}]`;
  const { e, bids, k } = event as Event;
  if (bids !== undefined) return "partialDepth";
  if (e === undefined) return "bookTicker";
  return e === "kline" || e === "continuous_kline" ? `${e}_${(k as Event).i}` : String(e);
}

/** The program hears every one of these kinds, and what it hears is true. */
async function confirmEvents(program: Program, market: Market, kinds: readonly string[]): Promise<void> {
  const heard = (kind: string): (Event | readonly Event[])[] =>
    program
      .of("event")
      .filter((line) => line.market === market)
      .map((line) => line.event as Event | readonly Event[])
      .filter((event) => kindOf(event) === kind);
  for (const kind of kinds) {
    await program.until(
      () => heard(kind).length > 0,
      () => `hears ${market} ${kind}`,
    );
    for (const event of heard(kind).slice(0, EACH)) {
      if (!Array.isArray(event)) await truth.confirm(market, event as Event);
      else {
        const bitcoin = (event as readonly Event[]).find(({ s }) => s === "BTCUSDT");
        if (bitcoin !== undefined) await truth.confirm(market, bitcoin);
        expect(new Set((event as readonly Event[]).map(({ s }) => s)).size).toBe(event.length);
      }
    }
  }
}

/** Ids of a real-time stream have no hole from the first to the last. */
async function unbroken(program: Program, market: Market, kind: string, id: (event: Event) => number): Promise<void> {
  const ids = (): number[] =>
    program
      .of("event")
      .filter((line) => line.market === market && !Array.isArray(line.event))
      .map((line) => line.event as Event)
      .filter((event) => kindOf(event) === kind)
      .map(id);
  await program.until(
    () => ids().length >= UNBROKEN_MIN,
    () => `hears ${UNBROKEN_MIN} of ${kind}`,
  );
  const heard = ids();
  expect(heard.at(-1)! - heard[0]!).toBe(heard.length - 1);
}

const SPOT_REST = [
  "exchangeInfo",
  "depth",
  "trades",
  "aggTrades",
  "klines",
  "avgPrice",
  "ticker24hr",
  "tickerPrice",
  "bookTicker",
];
const USDM_REST = [
  "exchangeInfo",
  "depth",
  "trades",
  "aggTrades",
  "klines",
  "ticker24hr",
  "tickerPrice",
  "bookTicker",
  "premiumIndex",
];

describe("npm binance", () => {
  test("spot streams", async () => {
    const program = await programs.get("binance")!;
    await confirmEvents(program, "spot", [
      "trade",
      "aggTrade",
      "bookTicker",
      "partialDepth",
      "depthUpdate",
      "kline_1m",
      "24hrTicker",
      "avgPrice",
      "[1hTicker]",
      "[24hrMiniTicker]",
    ]);
    await unbroken(program, "spot", "trade", ({ t }) => t as number);
  });

  test("USD-M streams", async () => {
    const program = await programs.get("binance")!;
    await confirmEvents(program, "usdm", [
      "aggTrade",
      "bookTicker",
      "depthUpdate",
      "kline_1m",
      "24hrTicker",
      "markPriceUpdate",
      "[24hrMiniTicker]",
    ]);
    await unbroken(program, "usdm", "aggTrade", ({ a }) => a as number);
  });

  test("its beautifier knows every event", async () => {
    const program = await programs.get("binance")!;
    const types = (): string[] => program.of("formatted").map((line) => String((line.event as Event).eventType));
    for (const type of ["trade", "aggTrade", "depthUpdate", "kline", "24hrTicker", "avgPrice", "markPriceUpdate"]) {
      await program.until(
        () => types().includes(type),
        () => `formats a ${type}`,
      );
    }
    expect(program.of("exception")).toEqual([]);
  });

  test("MainClient and USDMClient", async () => {
    const program = await programs.get("binance")!;
    await confirmRest(truth, program, "spot", ["ping", ...SPOT_REST, "unknownSymbol"]);
    await confirmRest(truth, program, "usdm", ["ping", ...USDM_REST]);
  });
});

describe("@binance/spot", () => {
  test("streams", async () => {
    const program = await programs.get("@binance/spot")!;
    await confirmEvents(program, "spot", [
      "trade",
      "aggTrade",
      "bookTicker",
      "partialDepth",
      "depthUpdate",
      "kline_1m",
      "24hrTicker",
      "24hrMiniTicker",
      "1hTicker",
      "avgPrice",
      "[24hrMiniTicker]",
    ]);
    await unbroken(program, "spot", "aggTrade", ({ a }) => a as number);
    expect(program.of("close")).toEqual([]);
  });

  test("an unsubscribed stream ends", async () => {
    const program = await programs.get("@binance/spot")!;
    await program.until(
      () => program.of("unsubscribed").length > 0,
      () => "unsubscribes",
    );
    const aggregates = (): number =>
      program.of("event").filter(({ event }) => kindOf(event as Event) === "aggTrade").length;
    const enough = aggregates() + 30;
    await program.until(
      () => aggregates() >= enough,
      () => "goes on with the others",
    );
    const kinds = program
      .of("event")
      .slice(-20)
      .map(({ event }) => kindOf(event as Event));
    expect(kinds).not.toContain("trade");
  });

  test("REST", async () => {
    await confirmRest(truth, await programs.get("@binance/spot")!, "spot", ["ping", ...SPOT_REST, "unknownSymbol"]);
  });
});

describe("@binance/derivatives-trading-usds-futures", () => {
  test("streams", async () => {
    const program = await programs.get("@binance/derivatives-trading-usds-futures")!;
    await confirmEvents(program, "usdm", [
      "aggTrade",
      "bookTicker",
      "depthUpdate",
      "kline_1m",
      "continuous_kline_1m",
      "24hrTicker",
      "24hrMiniTicker",
      "markPriceUpdate",
      "[24hrMiniTicker]",
    ]);
    await unbroken(program, "usdm", "aggTrade", ({ a }) => a as number);
  });

  test("REST", async () => {
    const program = await programs.get("@binance/derivatives-trading-usds-futures")!;
    await confirmRest(truth, program, "usdm", ["ping", ...USDM_REST]);
  });
});

describe("PyPI python-binance", () => {
  test("BinanceSocketManager", async () => {
    const program = await programs.get("python-binance")!;
    await confirmEvents(program, "spot", [
      "trade",
      "aggTrade",
      "bookTicker",
      "partialDepth",
      "depthUpdate",
      "kline_1m",
      "24hrTicker",
      "24hrMiniTicker",
      "avgPrice",
      "[24hrMiniTicker]",
    ]);
    await confirmEvents(program, "usdm", ["aggTrade", "kline_1m", "markPriceUpdate", "depthUpdate"]);
    await unbroken(program, "spot", "trade", ({ t }) => t as number);
  });

  test("DepthCacheManager", async () => {
    const program = await programs.get("python-binance")!;
    type Cache = { id: number; snapshot: number; bids: number[][]; asks: number[][] };
    // It applies events that are older than its snapshot, and is right once it has passed that.
    const caches = (): Cache[] =>
      (program.of("cache") as unknown as Cache[]).filter(({ id, snapshot }) => id >= snapshot);
    await program.until(
      () => caches().length >= 2,
      () => "has a depth cache",
    );
    for (const { id, bids, asks } of caches()) {
      expect(bids.length).toBe(5);
      await truth.top("spot", id, bids, asks);
    }
  });

  test("AsyncClient", async () => {
    const program = await programs.get("python-binance")!;
    await confirmRest(truth, program, "spot", [...SPOT_REST, "unknownSymbol"]);
    await confirmRest(truth, program, "usdm", USDM_REST);
  });
});

describe("PyPI binance-connector", () => {
  test("SpotWebsocketStreamClient", async () => {
    const program = await programs.get("binance-connector")!;
    await confirmEvents(program, "spot", [
      "trade",
      "aggTrade",
      "bookTicker",
      "partialDepth",
      "depthUpdate",
      "kline_1m",
      "24hrTicker",
      "24hrMiniTicker",
      "1hTicker",
      "avgPrice",
      "[24hrMiniTicker]",
    ]);
    const listed = (): readonly unknown[] | undefined =>
      program
        .of("reply")
        .map(({ reply }) => (reply as { result: unknown }).result)
        .find(Array.isArray);
    await program.until(
      () => listed() !== undefined,
      () => "lists its subscriptions",
    );
    expect(listed()).toContain("btcusdt@depth@100ms");
    expect(listed()).not.toContain("btcusdt@trade");
  });

  test("Spot", async () => {
    await confirmRest(truth, await programs.get("binance-connector")!, "spot", [
      "ping",
      "time",
      ...SPOT_REST,
      "unknownSymbol",
    ]);
  });
});

test("client libraries - meanwhile the native client's chains were unbroken", () => {
  expect(truth.faults).toEqual([]);
});

test("client libraries - their network did stop now and then", () => {
  expect(network.connections).toBeGreaterThan(5);
  expect(network.pauses).toBeGreaterThan(3);
});
