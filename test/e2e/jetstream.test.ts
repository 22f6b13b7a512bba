/**
 * NATS alone: a stream in, checkpoints beside it, core NATS in. A node that is replaced by another goes on with the same
 * epoch and numbers of the stream; what core NATS lost is told.
 */
import { afterAll, beforeAll, setDefaultTimeout, test } from "bun:test";
import { Desk } from "../ingest/nats-rig.ts";
import { type OneServer, throughBadWeather, throughDeathAndTakeOver } from "../lib/one-server.ts";
import { tradeOf } from "../lib/routed-node.ts";
import { startNats } from "../lib/services/mod.ts";
import { TEST_MS_MAX } from "../lib/wait.ts";

setDefaultTimeout(TEST_MS_MAX);

let nats: OneServer;
let desk: Desk;

beforeAll(async () => {
  const server = await startNats();
  desk = await Desk.open(server.url);
  await desk.stream("MD", ["md.>"], { storage: "file" });
  nats = {
    server,
    shard: "r1/stored/md.trade.*",
    document: documentOf,
    write: (trades) => desk.store("md.trade.btcusdt", trades),
    ask: () => desk.connection.flush(),
    live: {
      channel: "usdm:ethusdt@trade",
      say: (id) => desk.say("live.trade.ethusdt", JSON.stringify(tradeOf("ETH/USDT", id))),
    },
  };
});

afterAll(async () => {
  await desk?.close();
  await nats?.server.stop();
});

function documentOf(url: string): unknown {
  const properties = { servers: [url], reconnect_time_wait: 0.2 };
  const stored = { mapper: "trade_v1", fanout_topic: "t.{symbol}", ws_topic: "{symbol}@trade" };
  const live = { mapper: "trade_v1", fanout_topic: "l.{symbol}", ws_topic: "usdm:{symbol}@trade" };
  return {
    datasource: [
      { type: "jetstream", name: "stored", properties },
      { type: "nats", name: "live", properties },
    ],
    instruments: [{ symbol: "BTC/USDT" }, { market: "usdm", symbol: "ETH/USDT" }],
    routes: [
      { id: "r1", data_source: "stored", mappings: [{ ...stored, source_topic: "md.trade.{symbol}" }] },
      { id: "r2", data_source: "live", mappings: [{ ...live, source_topic: "live.trade.{symbol}" }] },
    ],
  };
}

test("nats - a stream, core NATS and checkpoints on one server: killed under a node, and another node goes on where it stopped", () =>
  throughDeathAndTakeOver(nats));

test("nats - a slow way, answers torn and cut off: every trade of the stream once, in order; what core NATS lost is told", () =>
  throughBadWeather(nats));
