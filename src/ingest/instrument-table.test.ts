/** What an owner tells other nodes of the instruments of its shard. */
import { expect, test } from "bun:test";
import { instrumentsOf, type StateRequest } from "../bus/bus.ts";
import type { Instrument } from "../channel/instruments.ts";
import type { SourceRecord } from "./source.ts";
import { data, recordsOf, rig, trade, trades } from "./testing/rig.ts";

const T = 1_767_225_600_000;
const CHANNEL = instrumentsOf("shard-1");

/** Nothing is derived: these are about instruments. */
const PROVIDES = ["trade", "aggTrade", "kline", "ticker", "miniTicker"] as const;

async function started(channels: readonly string[]) {
  const steps = channels.map((channel, at) => data(trades([trade(T + at, "1", "1")], channel)));
  const one = rig(recordsOf(steps), { provides: PROVIDES });
  await one.shard.start();
  await one.source.through;
  const ask = (since: StateRequest["since"]) => {
    const reply = one.bus.serving.get("shard-1")?.({ channel: CHANNEL, user: "", since });
    const items = reply?.state?.type === "items" ? reply.state.data : [];
    const told = items.map((item) => JSON.parse("json" in item ? item.json : "null") as Instrument);
    return { seq: reply?.seq, symbols: told.map(({ symbol }) => symbol), told };
  };
  /** What the next HEAD says. */
  const headed = () => {
    one.clock.advance(500);
    return one.bus.headed.at(-1)?.instruments;
  };
  return { ...one, ask, headed, token: String(one.shard.status().token) };
}

test("instrument table - HEADs carry a number only, and none before there is an instrument", async () => {
  const { shard, bus, headed } = await started([]);
  expect(headed()).toBeUndefined();
  expect(bus.headed.every((head) => !("instruments" in head))).toBe(true);
  await shard.stop();
});

test("instrument table - the instruments of its channels, each once, and behind a number only what changed since", async () => {
  const { shard, registry, ask, headed, token } = await started(["btcusdt@trade", "ethusdt@trade", "btcusdt@trade"]);
  expect(headed()).toBe(2);
  expect(ask(null)).toMatchObject({ seq: 2, symbols: ["btcusdt", "ethusdt"] });
  expect(ask({ epoch: token, seq: 2 })).toMatchObject({ seq: 2, symbols: [] });
  registry.update("spot", "btcusdt", { status: "halt" });
  registry.update("usdm", "btcusdt", { status: "halt" });
  expect(headed()).toBe(3);
  const { seq, symbols, told } = ask({ epoch: token, seq: 2 });
  expect([seq, symbols, told[0]?.status]).toEqual([3, ["btcusdt"], "halt"]);
  // The number of another owner says nothing here.
  expect(ask({ epoch: "1", seq: 2 }).symbols).toEqual(["ethusdt", "btcusdt"]);
  expect(shard.feeds("spot", "btcusdt")).toBe(true);
  expect(shard.feeds("usdm", "btcusdt")).toBe(false);
  await shard.stop();
});

test("instrument table - thousands are told in parts that follow one another", async () => {
  const { shard, registry, ask, headed, source, token } = await started([]);
  const symbols = Array.from({ length: 2100 }, (_, n) => `s${n}`);
  for (const symbol of symbols) registry.learn("spot", symbol.toUpperCase());
  for (const [offset, symbol] of symbols.entries()) {
    const record = { ...data(trades([trade(T, "1", "1")], `${symbol}@trade`)), offset, receivedUs: offset };
    source.sink?.accept(record as SourceRecord);
  }
  expect(headed()).toBe(2100);
  const parts = [ask(null), ask({ epoch: token, seq: 1000 }), ask({ epoch: token, seq: 2000 })];
  expect(parts.map((part) => [part.seq, part.symbols.length])).toEqual([
    [1000, 1000],
    [2000, 1000],
    [2100, 100],
  ]);
  expect(parts.flatMap((part) => part.symbols)).toEqual(symbols);
  await shard.stop();
});
