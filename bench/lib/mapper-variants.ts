/** Variants of the mapper benchmark: the same records through the built-in mapper, a declarative one, and routes of these. */
import { symbolOf } from "../../src/channel/name.ts";
import { InstrumentRegistry } from "../../src/channel/registry.ts";
import type { BrokerRecord } from "../../src/ingest/broker.ts";
import type { DeclarativeSpec } from "../../src/ingest/mapper/declarative/mod.ts";
import { createMapper, learnInto, type Mapper } from "../../src/ingest/mapper/mod.ts";
import { createRouteMapper, type RouteMapping } from "../../src/ingest/mapper/route.ts";
import { createTopicPattern } from "../../src/ingest/topic-pattern.ts";

const DECLARED: readonly DeclarativeSpec[] = [
  {
    name: "trade",
    kind: "trade",
    fields: { symbol: "symbol", time: "time", id: "id", price: "price", quantity: "quantity", side: "side" },
  },
  {
    name: "depth",
    kind: "depth",
    fields: { symbol: "symbol", time: "time", type: "type", bids: "bids", asks: "asks", prev: "prev", seq: "seq" },
  },
];

const TRADE: RouteMapping = { mapper: "trade_v1", ws_topic: "{symbol}@trade" };
const DEPTH: RouteMapping = { mapper: "depth_v2", ws_topic: "{symbol}@depth" };

/** What is read, and by which mappings; the first of each kind of record is what the others are compared with. */
export const VARIANTS = {
  "trade built-in": { record: "trade", mappings: [TRADE] },
  "trade declarative": { record: "trade", mappings: [{ ...TRADE, mapper: "trade" }] },
  "depth built-in": { record: "depth", mappings: [DEPTH] },
  "depth declarative": { record: "depth", mappings: [{ ...DEPTH, mapper: "depth" }] },
  "depth of numbers, declarative": { record: "depthNumbers", mappings: [{ ...DEPTH, mapper: "depth" }] },
  "mixed, two built-in": { record: "mixed", mappings: [TRADE, DEPTH] },
} as const satisfies Readonly<Record<string, { record: string; mappings: readonly RouteMapping[] }>>;

export type VariantName = keyof typeof VARIANTS;

const SYMBOLS = ["BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT"];
const LEVELS = 10;

function trade(at: number): string {
  const side = at % 2 === 0 ? "buy" : "sell";
  const symbol = SYMBOLS[at % SYMBOLS.length];
  return JSON.stringify({ symbol, id: at, price: `27508.${10 + (at % 90)}`, quantity: "0.50000000", side, time: at });
}

function depth(at: number, price: (text: string) => unknown): string {
  const side = (from: number) =>
    Array.from({ length: LEVELS }, (_, level) => [price(`${from + level}.${10 + (at % 90)}`), price("1.25")]);
  const symbol = SYMBOLS[at % SYMBOLS.length];
  return JSON.stringify({ symbol, type: "delta", time: at, prev: at, seq: at + 1, bids: side(100), asks: side(200) });
}

const RECORDS = {
  trade,
  depth: (at: number) => depth(at, (text) => text),
  depthNumbers: (at: number) => depth(at, Number),
  mixed: (at: number) => (at % 2 === 0 ? trade(at) : depth(at, (text) => text)),
};

/** Records as a broker hands them over, and the mapper of the variant. */
export function variant(
  name: VariantName,
  count: number,
): { readonly records: readonly BrokerRecord[]; readonly mapper: Mapper } {
  const { record, mappings } = VARIANTS[name];
  const bytes = new TextEncoder();
  const records = Array.from({ length: count }, (_, at) => ({
    topic: "md",
    key: null,
    value: bytes.encode(RECORDS[record](at)),
    time: null,
  }));
  const registry = new InstrumentRegistry();
  for (const symbol of SYMBOLS) registry.learn("spot", symbol);
  const mapper = createRouteMapper(mappings, {
    registry,
    learn: learnInto(registry, (error) => {
      throw error;
    }),
    listed: () => true,
    pattern: createTopicPattern("md", {
      has: (symbol) => registry.find("spot", symbolOf(symbol)) !== null,
      list: () => [],
    }),
    create: (of, tools) => createMapper(of, tools, DECLARED),
  });
  return { records, mapper };
}
