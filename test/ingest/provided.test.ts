/** What a venue gives itself reaches clients as the venue said it, and is not derived a second time. */
import { expect, test } from "bun:test";
import { feed } from "../feeds.ts";
import { startTestNode } from "../lib/test-node.ts";
import { waitFor } from "../lib/wait.ts";
import { framesOf } from "./recordings.ts";

const path = feed("BINANCE_FUTURES.ws.1.0");

test.skipIf(path === null)("provided - Binance's own best prices and candles, its aggTrades each once", async () => {
  const last = new Map<string, Record<string, unknown>>();
  for (const frame of framesOf("BINANCE_FUTURES.ws.1.0") ?? []) {
    const { stream, data } = JSON.parse(frame) as { stream: string; data: Record<string, unknown> };
    last.set(stream, data);
  }
  await using node = await startTestNode({ replay: path ?? "", speed: "max" });
  await node.ended();
  const client = await node.native();
  const channels = ["usdm:ctkusdt@bookTicker", "usdm:ctkusdt@kline_1m"];
  const reply = await client.subscribe(channels);
  expect(reply.errors).toBeUndefined();
  await waitFor(() => channels.every((one) => client.stream(one).pushes.length > 0), "both have come");
  const { b, B, a, A } = last.get("ctkusdt@bookTicker") ?? {};
  expect(client.stream(channels[0]!).value).toEqual({ bid: b, bidQuantity: B, ask: a, askQuantity: A });
  const { k } = last.get("ctkusdt@kline_1m") as { k: Record<string, unknown> };
  expect(client.stream(channels[1]!).candles.get(Number(k.t))).toMatchObject({ close: k.c, volume: k.v, count: k.n });
  const { publications, refused, malformed } = node.shard();
  expect({ refused, malformed }).toEqual({ refused: {}, malformed: {} });
  expect(publications.aggTrade).toBe(91);
});
