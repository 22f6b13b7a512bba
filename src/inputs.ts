/**
 * The inputs of a node by its static configuration: each is one source with its mapper, to be run as one shard.
 *
 * Part of the composition root: here the sources and mappers are picked.
 */

import { readFileSync } from "node:fs";
import { channelName } from "./channel/name.ts";
import type { InstrumentRegistry } from "./channel/registry.ts";
import type { Kind } from "./channel/types.ts";
import type { StaticConfig } from "./config/static.ts";
import { createMapper, learnInto, type Mapper, mapperOfVenue } from "./ingest/mapper/mod.ts";
import { recorded } from "./ingest/recorded.ts";
import { createReplay } from "./ingest/replay.ts";
import { inspectReplay } from "./ingest/replay-file.ts";
import { createSim, type SimMarket, simInstruments } from "./ingest/sim.ts";
import type { Source } from "./ingest/source.ts";
import { createSynthetic, syntheticChannels } from "./ingest/synthetic.ts";
import { parseUpstream, upstreamInputs } from "./ingest/websocket/mod.ts";
import type { Clock } from "./lib/clock.ts";
import { GatewayError } from "./lib/errors.ts";
import type { Log } from "./lib/log.ts";

export interface Input {
  /** The shard's name. */
  readonly id: string;
  readonly source: Source;
  readonly mapper: Mapper;
  /** Kinds that the source yields itself: they are not derived. */
  readonly provides: readonly Kind[];
}

const SIM_MARKETS: readonly SimMarket[] = ["spot", "usdm"];

/** Makes the inputs, and their instruments and topics known. */
export function inputsOf(config: StaticConfig, registry: InstrumentRegistry, clock: Clock, log: Log): Input[] {
  const { source } = config;
  switch (source.kind) {
    case "sim":
      return SIM_MARKETS.map((market) => {
        for (const instrument of simInstruments(market)) registry.add(instrument);
        const naming = (m: string, symbol: string, stream: string) =>
          channelName(m, symbol, stream, config.defaultMarket);
        const sim = createSim({ market, seed: source.seed, rate: source.rate, clock, channelName: naming });
        return {
          id: `sim-${market}`,
          source: sim,
          mapper: typed(registry, log),
          provides: ["trade", "depth", "markPrice", "liquidation"],
        };
      });
    case "replay": {
      const head = inspectReplay(source.path);
      const { venue } = head;
      const name = mapperOfVenue(venue);
      if (name === null) {
        const why =
          head.url === null
            ? 'its first line must be the connection, like "wss://ws.kraken.com <-> 1618678132.38"'
            : `its connection is ${head.url}, want the address of Kraken, Coinbase, Binance or OKX`;
        throw new GatewayError("REPLAY_VENUE", `--replay ${source.path}: whose records these are is not known: ${why}`);
      }
      const { provides, window, repairs } = recorded(head);
      const replay = createReplay({ path: source.path, speed: source.speed, loop: source.loop, repairs, clock });
      return [
        {
          id: `replay-${venue}`,
          source: replay,
          mapper: createMapper(name, { learn: learning(registry, log), ...(window === undefined ? {} : { window }) }),
          provides,
        },
      ];
    }
    case "websocket": {
      const upstream = parseUpstream(source.upstream);
      const { mapper, market, provides, window } = upstream.venue;
      for (const symbol of upstream.symbols) registry.learn(market, symbol);
      const { url, rest, ca } = source;
      const options = { clock, random: Math.random, log, defaultMarket: config.defaultMarket };
      const inputs = upstreamInputs(upstream, {
        ...options,
        ...(url === undefined ? {} : { url }),
        ...(rest === undefined ? {} : { rest }),
        ...(ca === undefined ? {} : { tls: { ca: readFileSync(ca, "utf8") } }),
      });
      return inputs.map(({ id, source }) => ({
        id,
        source,
        mapper: createMapper(mapper, { learn: learning(registry, log), ...(window === undefined ? {} : { window }) }),
        provides,
      }));
    }
    case "synthetic": {
      for (const topic of syntheticChannels(source.shape.channels)) registry.addTopic(topic);
      const synthetic = createSynthetic({ ...source.shape, clock });
      return [{ id: "synthetic", source: synthetic, mapper: typed(registry, log), provides: ["json"] }];
    }
  }
}

/** Makes known what the sources of other nodes with the same settings have, where that can be told without reading them. */
export function knowInputs({ source }: StaticConfig, registry: InstrumentRegistry): void {
  if (source.kind === "synthetic")
    for (const topic of syntheticChannels(source.shape.channels)) registry.addTopic(topic);
}

const learning = (registry: InstrumentRegistry, log: Log) =>
  learnInto(registry, (error) => log.warn("an instrument is refused", { error: error.message }));

const typed = (registry: InstrumentRegistry, log: Log): Mapper =>
  createMapper("typed", { learn: learning(registry, log) });
