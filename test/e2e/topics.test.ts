/**
 * Settings of topics on a real node: the ceiling of a rate, how it is told, and topics that want a login.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { TempFolder } from "../lib/temp-folder.ts";
import { startTestNode, type TestNode } from "../lib/test-node.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

const DEPTH = "btcusdt@depth";
const TRADE = "btcusdt@trade";

const TOPICS = {
  topics: [
    { version: 1, topic: "{symbol}@depth", rate: 2 },
    { version: 1, topic: TRADE, rate: 20, burst: 60, auth: "public" },
    { version: 1, topic: "ethusdt@trade", auth: "private" },
    { topic: "{symbol}@aggTrade", history: { count: 1 } },
  ],
};

let node: TestNode;
let folder: TempFolder;

beforeAll(async () => {
  folder = new TempFolder();
  node = await startTestNode({ config: folder.write("tidegate.json", JSON.stringify(TOPICS)) });
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

test("topics - a rate is the ceiling of every cadence, and the replies tell what holds", async () => {
  const client = await node.native();
  const cadences = async (channel: string, cadence?: number) =>
    (await client.subscribe([channel], cadence === undefined ? {} : { cadence })).channels[channel]?.cadence;
  expect(await cadences(DEPTH)).toBe(500);
  expect(await cadences(TRADE)).toBe(50);
  expect(await cadences("ethusdt@depth", 2000)).toBe(2000);
  expect(await cadences("btcusdt@bookTicker")).toBe(0);
  const ask = async (channel: string, ms: number) => (await client.ask({ op: "cadence", channel, ms })).cadence;
  expect([await ask(DEPTH, 0), await ask(DEPTH, 700), await ask("ethusdt@depth", 100)]).toEqual([500, 1000, 500]);
  await waitFor(
    () => client.stream("ethusdt@depth").notices.some(({ type, ms }) => type === "cadence" && ms === 500),
    "the move to the ceiling has happened",
  );
  const { have } = client.stream("ethusdt@depth");
  await client.reaches("ethusdt@depth", Number(have) + 1);
  expect(client.faults).toEqual([]);
});

test("topics - no more flushes than the rate allows, and every one exact", async () => {
  const client = await node.native();
  await client.subscribe([DEPTH]);
  const deltas = () => client.stream(DEPTH).pushes.filter(({ type }) => type === "delta");
  await waitFor(() => deltas().length >= 7, "some flushes");
  const times = deltas().map(({ sentUs }) => Number(sentUs) / 1000);
  // Flushes of 500 ms lie in different half seconds: of n the first and the last are more than n - 2 apart.
  expect(times.at(-1)! - times[0]!).toBeGreaterThan((times.length - 2) * 500);
  expect(client.faults).toEqual([]);
  const binance = await node.binance("/ws");
  await binance.ask({ method: "SUBSCRIBE", params: ["btcusdt@depth@100ms"] });
  await waitFor(() => binance.of("").length >= 4, "events of the stream");
  const spans = binance.of("").map((event) => Number(event.E));
  expect(spans.at(-1)! - spans[0]!).toBeGreaterThan((spans.length - 2) * 500);
});

test("topics - as much history as is configured: who comes back later hears of the gap", async () => {
  const client = await node.native();
  const asked = "btcusdt@aggTrade";
  const { epoch, seq } = (await client.subscribe([asked])).channels[asked]!;
  await waitFor(() => client.stream(asked).pushes.length > 5, "some trades");
  await client.unsubscribe([asked]);
  const back = await client.subscribe([asked], { since: { [asked]: { epoch, seq: Number(seq) } } });
  expect(back.channels[asked]?.recovered).toBe(false);
  await waitFor(() => client.stream(asked).pushes.length > 1, "a gap, then what is kept");
  expect(client.stream(asked).pushes[0]).toMatchObject({ type: "gap", reason: "history", from: Number(seq) + 1 });
  expect(client.faults).toEqual([]);
});

test("topics - a private topic wants a login", async () => {
  const client = await node.native();
  const reply = await client.subscribe([TRADE, "ethusdt@trade"]);
  expect(reply.errors).toEqual([{ channel: "ethusdt@trade", code: 1101, message: "the channel is private" }]);
  expect(Object.keys(reply.channels)).toEqual([TRADE]);
  const binance = await node.binance("/ws/ethusdt@trade");
  expect(await binance.ask({ method: "LIST_SUBSCRIPTIONS" })).toMatchObject({ result: [] });
  expect(await binance.ask({ method: "SUBSCRIBE", params: ["ethusdt@trade"] })).toMatchObject({ error: { code: 2 } });
});
