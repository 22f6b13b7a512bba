/**
 * What a dynamic configuration makes of a node: instruments and channels that are known, fanout topics, and routes.
 *
 * Part of the composition root: here the mappers of routes are picked.
 */
import type { ConfigView } from "./admin/mod.ts";
import { parseChannelName, symbolOf } from "./channel/name.ts";
import type { InstrumentRegistry } from "./channel/registry.ts";
import { canonicalTopic, type TopicSpec } from "./channel/topic-settings.ts";
import type { Kind } from "./channel/types.ts";
import { resolverOf } from "./config/addresses.ts";
import type { DynamicConfig } from "./config/dynamic/types.ts";
import type { StaticConfig } from "./config/static.ts";
import { createFileStore } from "./config/store/file.ts";
import type { ConfigStore } from "./config/store/store.ts";
import { dynamicContext } from "./dynamic-context.ts";
import type { TopicPattern } from "./ingest/broker.ts";
import { createDeclarative } from "./ingest/mapper/declarative/mod.ts";
import { createMapper, learnInto, type Mapper, type MapperTools, mapperKinds } from "./ingest/mapper/mod.ts";
import { createRouteMapper } from "./ingest/mapper/route.ts";
import { createTopicPattern } from "./ingest/topic-pattern.ts";
import type { Clock } from "./lib/clock.ts";
import type { Log } from "./lib/log.ts";
import { loadBrokers } from "./node-brokers.ts";
import {
  type BrokerFactories,
  Brokers,
  Fanout,
  knowInstruments,
  knowTopics,
  type RoutePlan,
  Routes,
} from "./routes/mod.ts";
import type { ShardCommon } from "./routes/routed-shard.ts";

const SYMBOL = "{symbol}";

/** The configuration as the parts of a node use it. */
export class Dynamic {
  config: DynamicConfig;
  readonly fanout: Fanout;
  readonly #name: string;
  readonly #store: ConfigStore;
  readonly #registry: InstrumentRegistry;
  #configured: ReadonlySet<string> = new Set();
  #listed: ReadonlySet<string> = new Set();

  /** Throws GatewayError CONFIG: every mistake of the document by its path. */
  static async open(name: string, store: ConfigStore, registry: InstrumentRegistry): Promise<Dynamic> {
    return new Dynamic(name, store, await store.load(), registry);
  }

  private constructor(name: string, store: ConfigStore, config: DynamicConfig, registry: InstrumentRegistry) {
    this.#name = name;
    this.#store = store;
    this.config = config;
    this.#registry = registry;
    const mappings = config.routes.flatMap((route) => route.mappings);
    this.fanout = new Fanout(mappings, registry.defaultMarket);
    this.#know(null);
    const isPatterned = mappings.some(({ ws_topic }) => ws_topic.includes(SYMBOL));
    // Channels that only a template names are known with their instrument.
    if (isPatterned) registry.onChange((_, previous) => previous === null && this.#knowTopics());
  }

  /**
   * Calls `changed` whenever a document brings what a running node can take, which is in `config` then. If that fails the
   * document is refused, and `config` is again what it was.
   */
  watch(changed: () => void): void {
    this.#store.watch(({ running }) => {
      const before = this.config;
      this.config = running;
      try {
        this.#know(before);
        changed();
      } catch (error) {
        this.config = before;
        this.#list();
        throw error;
      }
    });
  }

  /** Reads it now. */
  reload(): Promise<void> {
    return this.#store.reload();
  }

  stop(): void {
    this.#store.stop();
  }

  /** Throws GatewayError if there is no such mapper. */
  mapper(name: string, tools: MapperTools): Mapper {
    const declared = this.config.mappers.find((spec) => spec.name === name);
    return declared === undefined ? createMapper(name, tools) : createDeclarative(declared, tools);
  }

  view(): ConfigView {
    const { taken, refused, error, waiting } = this.#store.status();
    return { store: this.#name, version: taken, refused, mistake: error ?? "", restart: waiting };
  }

  readonly kindOf = (mapper: string): Kind | null => {
    const declared = this.config.mappers.find(({ name }) => name === mapper);
    return declared?.kind ?? mapperKinds.find(({ name }) => name === mapper)?.kind ?? null;
  };

  /** The settings of topics: those of the node where the configuration is silent. */
  topicsOver(node: readonly TopicSpec[]): readonly TopicSpec[] {
    const { defaultMarket } = this.#registry;
    const named = new Set(this.config.topics.map(({ topic }) => canonicalTopic(topic, defaultMarket)));
    return [...this.config.topics, ...node.filter(({ topic }) => !named.has(canonicalTopic(topic, defaultMarket)))];
  }

  isConfigured(market: string, symbol: string): boolean {
    return this.#configured.has(`${market}:${symbol}`);
  }

  /** The configuration says which instruments a market has. */
  isListed(market: string): boolean {
    return this.#listed.has(market);
  }

  #list(): void {
    const { instruments } = this.config;
    this.#configured = new Set(instruments.map(({ market, spelling }) => `${market}:${symbolOf(spelling)}`));
    this.#listed = new Set(instruments.map(({ market }) => market));
  }

  #know(before: DynamicConfig | null): void {
    this.#list();
    knowInstruments(this.config, before, this.#registry);
    this.#knowTopics();
  }

  #knowTopics(): void {
    knowTopics(this.config, this.#registry, this.kindOf);
  }
}

/** Undefined: the node is told no configuration store. */
export async function openDynamic(
  config: StaticConfig,
  registry: InstrumentRegistry,
  clock: Clock,
  log: Log,
): Promise<Dynamic | undefined> {
  if (config.configStore === undefined) return undefined;
  const { path } = config.configStore;
  const store = createFileStore({ path, context: dynamicContext(config), clock, log });
  return await Dynamic.open(`file:${path}`, store, registry);
}

export interface RoutesParts {
  readonly config: StaticConfig;
  readonly dynamic: Dynamic;
  readonly registry: InstrumentRegistry;
  readonly common: ShardCommon;
  /** In the place of this build's brokers of their type. */
  readonly brokers: BrokerFactories;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
}

/** Throws GatewayError BROKER_PROPERTIES where a data source cannot work. */
export async function startRoutes(parts: RoutesParts): Promise<Routes> {
  const { config, dynamic, registry, common, clock, random, log } = parts;
  const peers = config.peers.length === 0 ? [config.nodeId] : config.peers;
  if (!peers.includes(config.nodeId)) {
    log.warn("this node is not among the peers: it owns no shard", { node: config.nodeId, peers });
  }
  const tools = { clock, random, log, resolveAddress: resolverOf(config.addresses) };
  const learn = learnInto(registry, (error) => log.warn("an instrument is refused", { error: error.message }));
  const listed = (market: string) => dynamic.isListed(market);
  const factories = await loadBrokers(dynamic.config.datasource, parts.brokers);
  const routes = new Routes({
    nodeId: config.nodeId,
    peers,
    brokers: new Brokers(factories, tools, log),
    common,
    patternOf: (plan) => patternOf(plan, dynamic.config, registry, listed),
    mapperOf: (plan, pattern) => mapperOf(plan, pattern),
    kindOf: dynamic.kindOf,
    clock,
    random,
    log,
  });
  const mapperOf = (plan: RoutePlan, pattern: TopicPattern): Mapper =>
    createRouteMapper(plan.mappings, {
      registry,
      learn,
      listed,
      pattern,
      create: (...made) => dynamic.mapper(...made),
    });
  try {
    routes.apply(dynamic.config);
  } catch (error) {
    await routes.stop();
    throw error;
  }
  return routes;
}

/** `{symbol}` stands for the instruments of the markets that the plan's mappings feed. */
function patternOf(
  plan: RoutePlan,
  config: DynamicConfig,
  registry: InstrumentRegistry,
  listed: (market: string) => boolean,
): TopicPattern {
  const { defaultMarket } = registry;
  const markets = [
    ...new Set(
      plan.mappings.map(({ ws_topic }) => parseChannelName(ws_topic.replace(SYMBOL, "x"), defaultMarket)?.market ?? ""),
    ),
  ];
  const symbols = {
    has: (symbol: string) => markets.some((market) => !listed(market) || registry.find(market, symbol) !== null),
    list: () => [...new Set(markets.flatMap((market) => registry.list(market).map(({ symbol }) => symbol)))],
  };
  const type = config.datasource.find(({ name }) => name === plan.source)?.type;
  return createTopicPattern(plan.topic, symbols, type === "nats" || type === "jetstream");
}
