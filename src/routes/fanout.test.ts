import { expect, test } from "bun:test";
import { subjectOf } from "../bus/subject.ts";
import type { MappingSpec } from "../config/dynamic/types.ts";
import { Fanout, userHash } from "./fanout.ts";

const mapping = (ws_topic: string, fanout_topic: string, bus?: "nats" | "jetstream"): MappingSpec => ({
  mapper: "json",
  source_topic: fanout_topic,
  ...{ fanout_topic, ws_topic, bus },
});

const fanout = new Fanout(
  [
    mapping("{symbol}@trade", "fanout.trade.{symbol}", "jetstream"),
    mapping("btcusdt@trade", "btc.trades"),
    mapping("usdm:{symbol}@markPrice", "marks"),
    mapping("balance", "fanout.balance", "jetstream"),
    mapping("{symbol}@trade", "never.{symbol}"),
  ],
  "spot",
);

test("fanout - a mapping's topic, with the channel's symbol in its place; what no mapping names has its own name", () => {
  const of = (channel: string) => fanout.topicOf(channel, "");
  expect(of("ethusdt@trade")).toBe("fanout.trade.ethusdt");
  expect(of("spot:ethusdt@trade")).toBe("fanout.trade.ethusdt");
  expect(of("btcusdt@trade")).toBe("btc.trades");
  expect(of("usdm:btcusdt@markPrice")).toBe("marks");
  expect(of("usdm:btcusdt@trade")).toBe("usdm:btcusdt@trade");
  expect(of("btcusdt@kline_1m")).toBe("btcusdt@kline_1m");
  expect(of("balance")).toBe("fanout.balance");
});

test("fanout - a user's topic ends with a hash that can stand in a subject and does not tell the user", () => {
  const topic = fanout.topicOf("balance", "some one * of > us");
  expect(topic).toBe(`fanout.balance.${userHash("some one * of > us")}`);
  expect(subjectOf("c", topic)).toBe(`tg.c.${topic}`);
  expect(fanout.topicOf("balance", "another")).not.toBe(topic);
});

test("fanout - the bus that a mapping names carries its topic, of every symbol and user", () => {
  expect(fanout.busOf("fanout.trade.ethusdt")).toBe("jetstream");
  expect(fanout.busOf("btc.trades")).toBeNull();
  expect(fanout.busOf("fanout.balance")).toBe("jetstream");
  expect(fanout.busOf(fanout.topicOf("balance", "u1"))).toBe("jetstream");
  expect(fanout.busOf("ethusdt@kline_1m")).toBeNull();
});
