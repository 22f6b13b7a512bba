import { expect, test } from "bun:test";
import { InstrumentRegistry } from "../channel/registry.ts";
import type { Kind } from "../channel/types.ts";
import type { DynamicConfig, MappingSpec, RouteSpec } from "../config/dynamic/types.ts";
import { DEFAULT_LIMITS } from "../edge/config.ts";
import { knowInstruments, knowTopics, plansOf, providedBy } from "./plan.ts";

const mapping = (mapper: string, source_topic: string, ws_topic: string): MappingSpec => ({
  ...{ mapper, source_topic, ws_topic },
  fanout_topic: `f.${source_topic}`,
});
const route = (id: string, mappings: readonly MappingSpec[]): RouteSpec => ({
  ...{ id, version: 1, data_source: "k", mappings },
});
const config = (routes: readonly RouteSpec[], more: Partial<DynamicConfig> = {}): DynamicConfig => ({
  datasource: [{ version: 1, type: "kafka", name: "k", properties: {} }],
  ...{ topics: [], routes, mappers: [], instruments: [], limits: DEFAULT_LIMITS, ...more },
});

const KINDS: Readonly<Record<string, Kind>> = {
  trade_v1: "trade",
  depth_v2: "depth",
  balance: "private",
  json: "json",
};
const kindOf = (mapper: string): Kind | null => KINDS[mapper] ?? null;

const TRADES = mapping("trade_v1", "market", "{symbol}@trade");
const BOOKS = mapping("depth_v2", "market", "{symbol}@depth");
const NEWS = mapping("json", "news", "news");

test("plan - one per route and source topic, with all the mappings that read it", () => {
  const plans = plansOf(config([route("r1", [TRADES, NEWS, BOOKS]), route("r2", [TRADES])]), ["trade"]);
  expect(plans.map(({ prefix, topic, mappings }) => [prefix, topic, mappings.length])).toEqual([
    ["r1/k", "market", 2],
    ["r1/k", "news", 1],
    ["r2/k", "market", 1],
  ]);
});

test("plan - its signature changes with its mappings, its mappers and what is derived, and with nothing else", () => {
  const declared = { name: "mine", kind: "trade", fields: { price: "p" } } as const;
  const mine = mapping("mine", "market", "{symbol}@trade");
  const signature = (of: DynamicConfig, provides: readonly Kind[] = []) => plansOf(of, provides)[0]?.signature;
  const before = signature(config([route("r1", [mine])], { mappers: [declared] }));
  expect(signature(config([route("r1", [mine])], { mappers: [declared, { ...declared, name: "other" }] }))).toBe(
    before,
  );
  expect(signature(config([route("r1", [mine])], { mappers: [{ ...declared, fields: { price: "q" } }] }))).not.toBe(
    before,
  );
  expect(signature(config([route("r1", [mine])], { mappers: [declared] }), ["kline"])).not.toBe(before);
  expect(signature(config([route("r1", [TRADES])]))).not.toBe(before);
});

test("plan - what is provided is over all routes: by the mapper's kind, else by the channel's", () => {
  const venue = mapping("kraken_v2", "k", "{symbol}@kline_1m");
  expect(providedBy(config([route("r1", [TRADES]), route("r2", [venue, NEWS])]), kindOf)).toEqual([
    ...(["json", "kline", "trade"] as const),
  ]);
});

test("plan - known are the listed instruments, those of channels written out, and topics of their own", () => {
  const registry = new InstrumentRegistry();
  const spec = {
    market: "spot",
    spelling: "ETH/BTC",
    base: "ETH",
    quote: "BTC",
    tick: "0.1",
    lot: "1",
    status: "trading",
  } as const;
  const scores = mapping("json", "scores", "{symbol}@score");
  const balance = mapping("balance", "b", "balance");
  const one = mapping("trade_v1", "x", "btcusdt@trade");
  const first = config([route("r1", [NEWS, scores, balance, one])], {
    instruments: [spec],
    topics: [{ topic: "notice" }],
  });
  expect(registry.resolve("news")).toBeNull();
  knowInstruments(first, null, registry);
  knowTopics(first, registry, kindOf);
  expect(registry.find("spot", "ethbtc")).toMatchObject({ spelling: "ETH/BTC", inferred: false });
  expect(registry.find("spot", "btcusdt")).toMatchObject({ spelling: "BTCUSDT", inferred: true });
  const kinds = ["news", "ethbtc@score", "btcusdt@score", "balance", "notice"].map(
    (name) => registry.resolve(name)?.kind,
  );
  expect(kinds).toEqual(["json", "json", "json", "private", "json"]);

  // A listed instrument is taken again only if it says something else: what was seen since then stays.
  registry.update("spot", "ethbtc", { status: "halt" });
  knowInstruments(first, first, registry);
  expect(registry.find("spot", "ethbtc")?.status).toBe("halt");
  const finer = { ...first, instruments: [{ ...spec, tick: "0.01" }] };
  knowInstruments(finer, first, registry);
  expect(registry.find("spot", "ethbtc")).toMatchObject({ tick: "0.01", status: "trading" });
});
