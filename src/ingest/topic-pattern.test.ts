import { expect, test } from "bun:test";
import { createTopicPattern, type Symbols } from "./topic-pattern.ts";

const listed = (...symbols: string[]): Symbols => ({ has: (symbol) => symbols.includes(symbol), list: () => symbols });

test("topic pattern - without {symbol} it is the topic itself", () => {
  const pattern = createTopicPattern("fanout.trade.btcusdt", listed("ethusdt"));
  expect(pattern.topics()).toEqual(["fanout.trade.btcusdt"]);
  expect(pattern.symbolOf("fanout.trade.btcusdt")).toBe("");
  expect(pattern.symbolOf("fanoutxtrade.btcusdt")).toBeNull();
});

test("topic pattern - {symbol} is any spelling of a known instrument", () => {
  const pattern = createTopicPattern("md.trade.{symbol}", listed("btcusdt", "kiteusdt"));
  expect(pattern.topics()).toEqual(["md.trade.btcusdt", "md.trade.kiteusdt"]);
  for (const spelling of ["btcusdt", "BTCUSDT", "BTC-USDT", "btc_usdt"]) {
    expect(pattern.symbolOf(`md.trade.${spelling}`)).toBe("btcusdt");
  }
  for (const topic of ["md.trade.ethusdt", "md.trade.", "md.trade.btcusdt.x", "md.trade", "xmd.trade.btcusdt"]) {
    expect(pattern.symbolOf(topic)).toBeNull();
  }
});

test("topic pattern - instruments that come later count at once", () => {
  const symbols = ["btcusdt"];
  const pattern = createTopicPattern("md:{symbol}:{x}", listed());
  expect(pattern.topics()).toEqual([]);
  const live = createTopicPattern("md:{symbol}:{x}", { has: (one) => symbols.includes(one), list: () => symbols });
  expect(live.symbolOf("md:ethusdt:{x}")).toBeNull();
  symbols.push("ethusdt");
  expect(live.symbolOf("md:ETHUSDT:{x}")).toBe("ethusdt");
  expect(live.topics()).toEqual(["md:btcusdt:{x}", "md:ethusdt:{x}"]);
});

test("topic pattern - wildcards are those of NATS only where they are asked for", () => {
  const all = createTopicPattern("md.*.{symbol}.>", listed("btcusdt"), true);
  expect(all.symbolOf("md.trade.btcusdt.a.b")).toBe("btcusdt");
  expect(all.symbolOf("md.trade.x.btcusdt.a")).toBeNull();
  expect(createTopicPattern("md.>", listed(), true).symbolOf("md.trade.x")).toBe("");
  expect(createTopicPattern("a*b", listed()).symbolOf("axb")).toBeNull();
  expect(createTopicPattern("a*b", listed()).symbolOf("a*b")).toBe("");
});
