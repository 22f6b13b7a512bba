/**
 * Redis alone: streams in, checkpoints beside them. A node that is replaced by another goes on with the same epoch and
 * numbers, and a client resumes there what came while no node was there.
 */
import { setDefaultTimeout, test } from "bun:test";
import { redisOfFile } from "../lib/driven-redis.ts";
import { type OneServer, throughBadWeather, throughDeathAndTakeOver } from "../lib/one-server.ts";
import { TEST_MS_MAX } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

const KEY = "md:trade:btcusdt";

const redis = redisOfFile();

const one = (): OneServer => ({
  server: redis.server,
  shard: `r1/redis/${KEY}`,
  document: documentOf,
  write: (trades) => redis.driver.add(KEY, trades),
  ask: () => redis.driver.call("PING"),
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
  throughDeathAndTakeOver(one()));

test("redis - a slow way, answers torn and cut off: every trade once, in order, without a word to clients", () =>
  throughBadWeather(one()));
