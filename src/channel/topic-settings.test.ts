import { expect, test } from "bun:test";
import { canonicalTopic, isTopic, PLAIN, TopicSettings } from "./topic-settings.ts";

const settings = new TopicSettings(
  [
    { version: 1, topic: "btcusdt@trade", rate: 20, burst: 60, auth: "public" },
    { topic: "{symbol}@trade", rate: 4, onSlow: "gap" },
    { topic: "usdm:{symbol}@markPrice", rate: 1, history: { count: 5 } },
    { topic: "spot:ethusdt@depth", rate: 2 },
    { topic: "{symbol}", rate: 1 },
    { topic: "news.{symbol}", onSlow: "gap" },
    { topic: "balance", rate: 1, burst: 60, auth: "private" },
  ],
  "spot",
);

test("topic settings - a name of its own beats a template, in any spelling", () => {
  const own = { periodMsMin: 50, pace: { perSecond: 20, burst: 60 }, auth: "public", onSlow: "wait", history: {} };
  expect(settings.of("btcusdt@trade")).toEqual(own as never);
  expect(settings.of("spot:btcusdt@trade")).toEqual(own as never);
  expect(settings.of("ethusdt@depth").periodMsMin).toBe(500);
});

test("topic settings - a template is for its market and stream alone", () => {
  expect(settings.of("ethusdt@trade")).toMatchObject({ periodMsMin: 250, pace: null, onSlow: "gap" });
  expect(settings.of("usdm:btcusdt@markPrice")).toMatchObject({ periodMsMin: 1000, history: { count: 5 } });
  expect(settings.of("usdm:btcusdt@trade")).toBe(PLAIN);
  expect(settings.of("btcusdt@markPrice")).toBe(PLAIN);
  expect(settings.of("@trade")).toBe(PLAIN);
});

test("topic settings - of two templates the one with more text of its own", () => {
  expect(settings.of("news.btcusdt")).toMatchObject({ onSlow: "gap", periodMsMin: 0 });
  expect(settings.of("btcusdt").periodMsMin).toBe(1000);
});

test("topic settings - private kinds are never held back", () => {
  expect(settings.of("balance")).toEqual({ ...PLAIN, auth: "private" });
});

test("topic settings - with instruments a template is for their symbols alone", () => {
  const known = new TopicSettings(
    [
      { topic: "{symbol}@depth", rate: 1 },
      { topic: "usdm:{symbol}@depth", rate: 2 },
    ],
    "spot",
    (market, symbol) => `${market}:${symbol}` === "spot:btcusdt" || `${market}:${symbol}` === "usdm:ethusdt",
  );
  const periods = ["btcusdt@depth", "ethusdt@depth", "usdm:ethusdt@depth", "usdm:btcusdt@depth"].map(
    (name) => known.of(name).periodMsMin,
  );
  expect(periods).toEqual([1000, 0, 500, 0]);
});

test("topic settings - what is a topic", () => {
  const good = [
    "btcusdt@depth",
    "{symbol}@depth",
    "usdm:{symbol}@markPrice",
    "balance",
    "news.{symbol}",
    "!ticker@arr",
  ];
  expect(good.filter((topic) => !isTopic(topic, "spot"))).toEqual([]);
  const bad = ["", "BTC@depth", "{symbol}@{symbol}", "{Symbol}@depth", "a b", "@depth", "{symbol}{symbol}"];
  expect(bad.filter((topic) => isTopic(topic, "spot"))).toEqual([]);
  expect(canonicalTopic("spot:{symbol}@depth", "spot")).toBe("{symbol}@depth");
  expect(canonicalTopic("spot:{symbol}@depth", "usdm")).toBe("spot:{symbol}@depth");
});
