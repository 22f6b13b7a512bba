/**
 * The dynamic configuration under which nodes read the markets of producer.ts: what comes by Kafka is served in the market
 * spot, what comes by NATS in usdm, as a channel has one source.
 */
export const TOPIC = "market";

export interface MarketSymbols {
  readonly kafkaSymbols: readonly string[];
  readonly natsSymbols: readonly string[];
}

/** Of a symbol: its channels begin with this. */
export const channelOf = ({ natsSymbols }: MarketSymbols, symbol: string): string =>
  natsSymbols.includes(symbol) ? `usdm:${symbol}` : symbol;

/** Trades and depth stand mixed in one topic: each record is what one of the two mappers knows. */
const mappings = (source_topic: string, market: "spot" | "usdm"): unknown[] => {
  const prefix = market === "spot" ? "" : "usdm:";
  return [
    { mapper: "trade_v1", source_topic, fanout_topic: `${market}.trade.{symbol}`, ws_topic: `${prefix}{symbol}@trade` },
    { mapper: "depth_v2", source_topic, fanout_topic: `${market}.depth.{symbol}`, ws_topic: `${prefix}{symbol}@depth` },
  ];
};

const instrument = (market: "spot" | "usdm") => (spelling: string) => ({ market, spelling, tick: "0.01", lot: "1" });

export const marketDocument = ({ kafkaSymbols, natsSymbols }: MarketSymbols): unknown => ({
  datasource: [
    {
      type: "kafka",
      name: "kafka",
      properties: { "bootstrap.servers": "kafka:9092", "group.id": "market", "auto.offset.reset": "earliest" },
    },
    { type: "nats", name: "nats", properties: { servers: ["nats://nats:4222"], reconnect_time_wait: 0.2 } },
  ],
  instruments: [...kafkaSymbols.map(instrument("spot")), ...natsSymbols.map(instrument("usdm"))],
  routes: [
    { id: "by-kafka", data_source: "kafka", mappings: mappings(TOPIC, "spot") },
    { id: "by-nats", data_source: "nats", mappings: mappings(`${TOPIC}.{symbol}`, "usdm") },
  ],
});
