/**
 * Redis alone: streams in, checkpoints beside them. A node that is replaced by another goes on with the same epoch and
 * numbers, and a client resumes there what came while no node was there.
 */
import { afterAll, beforeAll, setDefaultTimeout, test } from "bun:test";
import { type OneServer, throughBadWeather, throughDeathAndTakeOver } from "../lib/one-server.ts";
import { RedisDriver } from "../lib/redis-driver.ts";
import { startRedis } from "../lib/services/mod.ts";
import { TEST_MS_MAX } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

const KEY = "md:trade:btcusdt";

let redis: OneServer;
let driver: RedisDriver;

beforeAll(async () => {
  const server = await startRedis({ settings: ["appendfsync always"] });
  driver = new RedisDriver(server.url);
  redis = {
    server,
    shard: `r1/redis/${KEY}`,
    document: documentOf,
    write: (trades) => driver.add(KEY, trades),
    ask: () => driver.call("PING"),
  };
});

afterAll(async () => {
  await driver?.close();
  await redis?.server.stop();
});

function documentOf(url: string): unknown {
  const mapping = { mapper: "trade_v1", source_topic: "md:trade:{symbol}", fanout_topic: "t.{symbol}" };
  return {
    datasource: [{ type: "redis-stream", name: "redis", properties: { servers: [url] } }],
    instruments: [{ symbol: "BTC/USDT" }],
    routes: [{ id: "r1", data_source: "redis", mappings: [{ ...mapping, ws_topic: "{symbol}@trade" }] }],
  };
}

test("redis - streams in and checkpoints in one Redis: killed under a node, and another node goes on where it stopped", () =>
  throughDeathAndTakeOver(redis));

test("redis - a slow way, answers torn and cut off: every trade once, in order, without a word to clients", () =>
  throughBadWeather(redis));
