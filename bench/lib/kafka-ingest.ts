/**
 * Child of bench/kafka.ts: source kafka, the mapper, one shard per partition and a memory bus that wants everything, in one
 * process: reads a topic from its start to its end. Prints one JSON line.
 *
 *     bun bench/lib/kafka-ingest.ts KAFKA TOPIC MAPPER SYMBOLS RECORDS
 */
import { createMemoryBus } from "../../src/bus/memory.ts";
import { InstrumentRegistry } from "../../src/channel/registry.ts";
import type { BrokerInput } from "../../src/ingest/broker.ts";
import { MemoryCheckpoints } from "../../src/ingest/checkpoint.ts";
import { createKafkaBroker } from "../../src/ingest/kafka/mod.ts";
import { createCanonical } from "../../src/ingest/mapper/canonical.ts";
import { ChannelOwners } from "../../src/ingest/owners.ts";
import { Shard } from "../../src/ingest/shard.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { PARTITIONS, symbolOf } from "./kafka-desk.ts";

export interface IngestMeasured {
  readonly records: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly published: number;
  /** Longest time the loop did nothing else, ms. */
  readonly stallMs: number;
  readonly rssBytes: number;
  readonly fault: string | null;
}

const [server, topic, mapperName, symbolsText, recordsText] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const [symbols, records] = [Number(symbolsText), Number(recordsText)];
const clock = systemClock();
const registry = new InstrumentRegistry();
for (let at = 0; at < symbols; at++) {
  registry.add({
    market: "spot",
    spelling: `S${at}/USDT`,
    base: `S${at}`,
    quote: "USDT",
    tick: "0.01",
    lot: "0.01",
    status: "trading",
  });
}
const bus = createMemoryBus({ clock });
let published = 0;
const isTrades = mapperName === "trade_v1";
for (let at = 0; at < symbols; at++) {
  bus.subscribe(`${symbolOf(at)}@${isTrades ? "trade" : "depth"}`, ({ publications }) => {
    published += publications.length;
  });
}
const log = {
  info: () => undefined,
  warn: (message: string, fields?: object) => console.error(message, fields),
  error: (message: string, fields?: object) => console.error(message, fields),
};
const broker = createKafkaBroker({
  ...{ name: "bench", clock, random: Math.random, log, resolveAddress: (hostPort: string) => hostPort },
  properties: { "bootstrap.servers": server, "auto.offset.reset": "earliest" },
});
const inputs = await new Promise<readonly BrokerInput[]>((resolve) => {
  const pattern = { text: topic, symbolOf: (of: string) => (of === topic ? "" : null), topics: () => [topic] };
  broker.watch(pattern, (found) => found.length === PARTITIONS && resolve(found));
});
const learn = (market: string, symbol: string): string | null =>
  market === "spot" ? symbol.replace("/", "").toLowerCase() : null;
const canonical = createCanonical(isTrades ? "trade_v1" : "depth_v2", { learn });
const mapper = { ...canonical, map: (value: unknown) => canonical.map((value as { value: Uint8Array }).value) };
const [owners, checkpoints] = [new ChannelOwners(), new MemoryCheckpoints()];
let stallMs = 0;
let lookedMs = performance.now();
const look = setInterval(() => {
  stallMs = Math.max(stallMs, performance.now() - lookedMs - 5);
  lookedMs = performance.now();
}, 5);
const cpu = process.cpuUsage();
const start = performance.now();
const shards = inputs.map(
  (input) =>
    new Shard({
      ...{ id: input.id, source: input.open(), mapper, bus, catalog: registry, owners, checkpoints, clock, log },
      ...{ topicOf: (channel: string) => channel, provides: [], randomId: () => crypto.randomUUID().slice(0, 8) },
    }),
);
await Promise.all(shards.map((shard) => shard.start()));
const taken = (): number => shards.reduce((sum, shard) => sum + shard.status().records, 0);
while (taken() < records && performance.now() - start < 60_000) await Bun.sleep(5);
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(cpu);
clearInterval(look);
const malformed = shards.map((shard) => ({ ...shard.status().malformed, ...shard.status().refused }));
const wrong = malformed.find((one) => Object.keys(one).length > 0);
const fault =
  taken() < records ? `${taken()} of ${records} records` : wrong === undefined ? null : JSON.stringify(wrong);
const measured: IngestMeasured = {
  ...{ records: taken(), seconds, cpuSeconds: (user + system) / 1e6, published, stallMs },
  ...{ rssBytes: process.memoryUsage().rss, fault },
};
console.log(JSON.stringify(measured));
process.exit(0);
