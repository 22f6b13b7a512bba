/** Spot streams that each node makes itself, end to end: windows, averages, days of UTC+8, all-market arrays. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { BinanceClient } from "../lib/binance-client.ts";
import type { Frame } from "../lib/frame-socket.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { waitFor } from "../lib/wait.ts";

let node: TestNode;

beforeAll(async () => {
  node = await startTestNode({ simRate: "500", seed: "55" });
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
});

const WINDOW = "e E s p P o h l c w v q O C F L n";
const MINI = "e E s c o h l v q";
const TICKER = "e E s p P w x c Q b B a A o h l v q O C F L n";
/** Keys of an event, or of an array's events. */
const KEYS: Readonly<Record<string, string>> = {
  "ethusdt@ticker_1h": WINDOW,
  "ethusdt@ticker_4h": WINDOW,
  "ethusdt@ticker_1d": WINDOW,
  "ethusdt@avgPrice": "e E s i w T",
  "ethusdt@kline_1d@+08:00": "e E s k",
  "ethusdt@kline_1h@+08:00": "e E s k",
  "!miniTicker@arr": MINI,
  "!ticker@arr": TICKER,
  "!ticker_1h@arr": WINDOW,
  "!ticker_4h@arr": WINDOW,
  "!ticker_1d@arr": WINDOW,
};
const STREAMS = Object.keys(KEYS);

const eventsOf = (client: BinanceClient, stream: string): Frame[] => client.of(stream).flat() as Frame[];
const hasAll = (client: BinanceClient, streams: readonly string[]): Promise<void> =>
  waitFor(
    () => streams.every((stream) => client.of(stream).length > 1),
    () => `two events of ${streams.filter((stream) => client.of(stream).length < 2)}`,
  );

test.concurrent("made - every stream, its keys in Binance's order, subscribed by URL and by request", async () => {
  const [byUrl, byRequest] = [
    await node.binance(`/stream?streams=${STREAMS.join("/")}`),
    await node.binance("/stream"),
  ];
  expect(await byRequest.request("SUBSCRIBE", STREAMS)).toEqual({ result: null, id: 1 });
  for (const client of [byUrl, byRequest]) {
    await hasAll(client, STREAMS);
    for (const stream of STREAMS) {
      for (const event of eventsOf(client, stream)) {
        expect([stream, Object.keys(event).join(" ")]).toEqual([stream, KEYS[stream]!]);
      }
    }
  }
  const names = (stream: string) => [...new Set(eventsOf(byUrl, stream).map((event) => event.e))];
  expect([names("ethusdt@ticker_4h"), names("!ticker_1d@arr"), names("ethusdt@avgPrice")]).toEqual([
    ["4hTicker"],
    ["1dTicker"],
    ["avgPrice"],
  ]);
  // The best prices of an array's tickers are those of the books on this node, once it has them.
  const last = (byUrl.of("!ticker@arr").at(-1) as unknown as Frame[]) ?? [];
  expect(last.map(({ b, a }) => Number(b) > 0 && Number(a) > Number(b))).not.toContain(false);
});

test.concurrent("made - a day of UTC+8 begins at 16:00 UTC and is what REST says of that time zone", async () => {
  const client = await node.binance("/ws/ltcusdt@kline_1d@+08:00");
  await waitFor(async () => {
    const k = client.of("").at(-1)?.k as Frame | undefined;
    if (k === undefined) return false;
    expect(Number(k.t) % 86_400_000).toBe(16 * 3_600_000);
    const response = await fetch(`${node.http}/api/v3/klines?symbol=LTCUSDT&interval=1d&timeZone=8&limit=1`);
    const [row] = (await response.json()) as unknown[][];
    return Bun.deepEquals(row, [k.t, k.o, k.h, k.l, k.c, k.v, k.T, k.q, k.n, k.V, k.Q, "0"]);
  }, "REST's candle is the stream's");
});

test.concurrent("made - microseconds", async () => {
  const client = await node.binance(
    "/stream?streams=ethusdt@ticker_1h/ethusdt@avgPrice/!miniTicker@arr&timeUnit=MICROSECOND",
  );
  const streams = ["ethusdt@ticker_1h", "ethusdt@avgPrice", "!miniTicker@arr"];
  await hasAll(client, streams);
  for (const stream of streams) {
    for (const { E } of eventsOf(client, stream)) expect(String(E)).toHaveLength(16);
  }
  for (const { O, C } of eventsOf(client, "ethusdt@ticker_1h"))
    expect([String(O).length, String(C).length]).toEqual([16, 16]);
});

test.concurrent("made - native clients may have them too, at their own cadence and in an unbroken chain", async () => {
  const client = await node.native();
  const channels = ["ticker_1h", "avgPrice", "kline_1d_utc8"].map((stream) => `ethusdt@${stream}`);
  const reply = await client.subscribe(channels, { cadence: 100 });
  expect(reply.errors).toBeUndefined();
  await waitFor(() => channels.every((channel) => client.stream(channel).pushes.length > 5), "pushes of each");
  expect(client.faults).toEqual([]);
  expect(Object.keys(client.stream("ethusdt@ticker_1h").value as Frame)).toEqual([
    ...["open", "high", "low", "close", "volume", "quoteVolume", "openTime", "closeTime", "partial"],
    ...["change", "changePercent", "weightedAverage", "firstId", "lastId", "count"],
  ]);
  expect(client.stream("ethusdt@avgPrice").value).toMatchObject({ interval: "5m" });
  const refused = await client.subscribe(["!ticker@arr"]);
  expect(refused.ok).toBe(false);
});
