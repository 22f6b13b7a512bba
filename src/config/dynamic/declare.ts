/**
 * Makes what a dynamic configuration names known to a node: its instruments, and the channels that no instrument makes
 * known (bare topics, streams of a name of their own). On every node, whoever owns the routes.
 */
import { streamKind, topicKind } from "../../channel/kinds.ts";
import { channelName, parseChannelName } from "../../channel/name.ts";
import type { InstrumentRegistry } from "../../channel/registry.ts";
import type { Kind } from "../../channel/types.ts";
import { SYMBOL } from "./source-topic.ts";
import type { DynamicConfig, DynamicContext } from "./types.ts";

/** Kinds of a mapping's updates by its mapper; null: it names them itself. */
export type KindOf = (mapper: string) => Kind | null;

export const kindsIn = (config: Pick<DynamicConfig, "mappers">, context: Pick<DynamicContext, "mappers">): KindOf => {
  const kinds = new Map([...context.mappers, ...config.mappers].map(({ name, kind }) => [name, kind]));
  return (mapper) => kinds.get(mapper) ?? null;
};

/** Returns what ends it: until then streams with `{symbol}` are made known for instruments that come later. */
export function declareChannels(config: DynamicConfig, kindOf: KindOf, registry: InstrumentRegistry): () => void {
  const { defaultMarket } = registry;
  for (const instrument of config.instruments) registry.add(instrument);
  const templates: { readonly market: string; readonly stream: string; readonly kind: Kind | null }[] = [];
  for (const { mapper, ws_topic } of config.routes.flatMap(({ mappings }) => mappings)) {
    const parsed = parseChannelName(ws_topic.replace(SYMBOL, "x"), defaultMarket);
    if (parsed === null) continue;
    const { market, symbol, stream } = parsed;
    const isTemplate = ws_topic.includes(SYMBOL);
    // Written out in the configuration, an instrument exists.
    if (!isTemplate && symbol !== "" && registry.find(market, symbol) === null) {
      registry.learn(market, symbol.toUpperCase());
    }
    if (symbol === "") registry.addTopic(stream, kindOf(mapper) ?? topicKind(stream).kind);
    else if (streamKind(stream).kind !== "json") continue;
    else if (isTemplate) templates.push({ market, stream, kind: kindOf(mapper) });
    else registry.addTopic(ws_topic, kindOf(mapper) ?? "json");
  }
  const declare = (market: string, symbol: string): void => {
    for (const template of templates) {
      if (template.market !== market) continue;
      registry.addTopic(channelName(market, symbol, template.stream, defaultMarket), template.kind ?? "json");
    }
  };
  if (templates.length === 0) return () => undefined;
  for (const { market, symbol } of registry.list()) declare(market, symbol);
  return registry.onChange(({ market, symbol }, previous) => {
    if (previous === null) declare(market, symbol);
  });
}

/** Kinds that come from the sources themselves, and so are not derived, in any route. */
export function providedKinds(config: DynamicConfig, defaultMarket: string): readonly Kind[] {
  const kinds = config.routes.flatMap(({ mappings }) =>
    mappings.flatMap(({ ws_topic }) => {
      const parsed = parseChannelName(ws_topic.replace(SYMBOL, "x"), defaultMarket);
      if (parsed === null) return [];
      return parsed.symbol === "" ? topicKind(parsed.stream).kind : streamKind(parsed.stream).kind;
    }),
  );
  return [...new Set(kinds)];
}

/** Markets of which the document lists the instruments: no other symbols of them match `{symbol}`. */
export const listedMarkets = ({ instruments }: DynamicConfig): ReadonlySet<string> =>
  new Set(instruments.map(({ market }) => market));
