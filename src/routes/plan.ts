/**
 * What the routes of a configuration come to: which source topics are read by which mappings, and what is known by that.
 *
 * Pure. Invariants: one plan per route and source topic, in the order of the configuration; `provides` is over the whole
 * configuration, so that all shards and engines agree on what is derived.
 */
import { streamKind, topicKind } from "../channel/kinds.ts";
import { parseChannelName } from "../channel/name.ts";
import type { InstrumentRegistry } from "../channel/registry.ts";
import { canonicalTopic } from "../channel/topic-settings.ts";
import type { Kind } from "../channel/types.ts";
import type { DynamicConfig, MappingSpec } from "../config/dynamic/types.ts";
import type { BrokerInput } from "../ingest/broker.ts";

const SYMBOL = "{symbol}";

export interface RoutePlan {
  readonly route: string;
  /** What shards of it are called: the route, the data source; the input's id is to follow. */
  readonly prefix: string;
  readonly peerId: string | undefined;
  /** Name of the data source. */
  readonly source: string;
  readonly topic: string;
  /** Source topics of the whole route: what one of them names a template of another may stand for too. */
  readonly named: ReadonlySet<string>;
  readonly mappings: readonly MappingSpec[];
  /** Plans of the same key and signature are the same. */
  readonly key: string;
  readonly signature: string;
}

export function plansOf(config: DynamicConfig, provides: readonly Kind[]): RoutePlan[] {
  return config.routes.flatMap(({ id, peer_id, data_source, mappings }) => {
    const topics = new Map<string, MappingSpec[]>();
    for (const mapping of mappings) {
      const list = topics.get(mapping.source_topic);
      if (list === undefined) topics.set(mapping.source_topic, [mapping]);
      else list.push(mapping);
    }
    const named = new Set(topics.keys());
    return [...topics].map(([topic, list]): RoutePlan => {
      const used = new Set(list.map(({ mapper }) => mapper));
      const declared = config.mappers.filter(({ name }) => used.has(name));
      return {
        route: id,
        prefix: `${id}/${data_source}`,
        peerId: peer_id,
        source: data_source,
        topic,
        named,
        mappings: list,
        key: JSON.stringify([id, data_source, topic]),
        signature: JSON.stringify([peer_id, list, declared, provides]),
      };
    });
  });
}

/** Of a topic that is both written out and stood for by a template, each has a shard of its own. */
export function shardName({ prefix, topic, named }: RoutePlan, input: Pick<BrokerInput, "id" | "topic">): string {
  const isNamed = input.topic !== topic && named.has(input.topic);
  return `${prefix}/${input.id}${isNamed ? `/${SYMBOL}` : ""}`;
}

/** Kind of a mapper's updates; null: several, or not known. */
export type KindOf = (mapper: string) => Kind | null;

/** Kinds that mappings bring: they are not derived anywhere. */
export function providedBy(config: DynamicConfig, kindOf: KindOf): Kind[] {
  const kinds = new Set<Kind>();
  for (const { mapper, ws_topic } of config.routes.flatMap(({ mappings }) => mappings)) {
    const { symbol, stream } = partsOf(ws_topic, "spot");
    kinds.add(kindOf(mapper) ?? (symbol === "" ? topicKind(stream).kind : streamKind(stream).kind));
  }
  return [...kinds].sort();
}

/** A channel name, or a template with `x` for the symbol. */
function partsOf(topic: string, defaultMarket: string): { market: string; symbol: string; stream: string } {
  const parsed = parseChannelName(topic.replaceAll(SYMBOL, "x"), defaultMarket);
  return parsed ?? { market: "", symbol: "", stream: topic };
}

/** Makes the instruments known that are listed (`before`: or have changed since) or whose channels are written out. */
export function knowInstruments(
  config: DynamicConfig,
  before: DynamicConfig | null,
  registry: InstrumentRegistry,
): void {
  const unchanged = new Set(before?.instruments.map((spec) => JSON.stringify(spec)));
  for (const spec of config.instruments) if (!unchanged.has(JSON.stringify(spec))) registry.add(spec);
  for (const { ws_topic } of config.routes.flatMap(({ mappings }) => mappings)) {
    if (ws_topic.includes(SYMBOL)) continue;
    const { market, symbol } = partsOf(ws_topic, registry.defaultMarket);
    if (symbol !== "" && registry.find(market, symbol) === null) registry.learn(market, symbol.toUpperCase());
  }
}

/** Makes the channels known that are none by their instrument's name alone. */
export function knowTopics(config: DynamicConfig, registry: InstrumentRegistry, kindOf: KindOf): void {
  const { defaultMarket } = registry;
  const mapped = config.routes.flatMap(({ mappings }) => mappings);
  for (const { ws_topic, mapper } of mapped) {
    if (!ws_topic.includes(SYMBOL)) addTopic(registry, ws_topic, kindOf(mapper));
  }
  for (const { topic } of config.topics) {
    if (!topic.includes(SYMBOL) && partsOf(topic, defaultMarket).symbol === "") addTopic(registry, topic, null);
  }
  for (const { ws_topic, mapper } of mapped) {
    if (!ws_topic.includes(SYMBOL)) continue;
    for (const { market, symbol } of registry.list()) {
      if (market === partsOf(ws_topic, defaultMarket).market) {
        addTopic(registry, ws_topic.replaceAll(SYMBOL, symbol), kindOf(mapper));
      }
    }
  }
}

/** Only names that are not channels by themselves need to be made known. */
function addTopic(registry: InstrumentRegistry, name: string, kind: Kind | null): void {
  if (registry.resolve(name) !== null) return;
  const { symbol, stream } = partsOf(name, registry.defaultMarket);
  const builtIn = symbol === "" ? topicKind(stream) : streamKind(stream);
  if (symbol !== "" && builtIn.kind !== "json") return;
  registry.addTopic(
    canonicalTopic(name, registry.defaultMarket),
    builtIn.kind === "json" && kind !== null ? kind : undefined,
  );
}
