/**
 * What sample records become by a configuration: the mappers of a route, or one mapper, run without broker, bus and clients.
 *
 * Part of the composition root: here the mappers are picked, as in node-routes.ts.
 */
import type { Catalog } from "./channel/channel.ts";
import { symbolOf } from "./channel/name.ts";
import { InstrumentRegistry } from "./channel/registry.ts";
import type { DynamicConfig, MappingSpec, RouteSpec } from "./config/dynamic/types.ts";
import { faultOf } from "./ingest/check-update.ts";
import {
  createMapper,
  type Learn,
  learnInto,
  type MappedUpdate,
  type Mapper,
  mapperKinds,
  reasonOf,
  type Skipped,
} from "./ingest/mapper/mod.ts";
import { createRouteMapper } from "./ingest/mapper/route.ts";
import { createTopicPattern } from "./ingest/topic-pattern.ts";
import { GatewayError } from "./lib/errors.ts";
import { nearest } from "./lib/nearest.ts";
import { knowInstruments, knowTopics } from "./routes/mod.ts";

export interface DryRunChoice {
  /** A route's id. */
  readonly route?: string | undefined;
  /** A mapper on its own: the record says the channel. */
  readonly mapper?: string | undefined;
  /** The topic the record came on; needed where the route reads several, or `{symbol}` is in it. */
  readonly topic?: string | undefined;
}

export type DryRunResult =
  | { readonly updates: readonly MappedUpdate[]; readonly faults: readonly string[] }
  | { readonly malformed: string }
  | Skipped;

export type DryRun = (record: string) => DryRunResult;

/** Throws GatewayError USAGE if the choice does not say what to run. */
export function createDryRun(config: DynamicConfig, choice: DryRunChoice, defaultMarket: string): DryRun {
  const registry = new InstrumentRegistry(defaultMarket);
  const kindOf = (name: string) => [...config.mappers, ...mapperKinds].find((one) => one.name === name)?.kind ?? null;
  const know = (): void => knowTopics(config, registry, kindOf);
  knowInstruments(config, null, registry);
  know();
  registry.onChange((_, previous) => previous === null && know());
  const map =
    choice.mapper === undefined ? ofRoute(config, choice, registry) : ofMapper(config, choice.mapper, defaultMarket);
  return (record) => resultOf(map(record), choice.mapper === undefined ? registry : null);
}

type Mapped = ReturnType<Mapper["map"]>;

function resultOf(mapped: Mapped, catalog: Pick<Catalog, "resolve"> | null): DryRunResult {
  if ("malformed" in mapped) return { malformed: reasonOf(mapped) };
  if ("skipped" in mapped) return mapped;
  const faults = mapped.flatMap((update) => {
    const channel = catalog?.resolve(update.channel);
    if (channel === undefined) return [];
    const fault = channel === null ? "unknown channel" : faultOf(update, channel);
    return fault === null ? [] : [`${update.channel}: ${fault}`];
  });
  return { updates: mapped, faults };
}

function ofMapper(config: DynamicConfig, name: string, defaultMarket: string): (record: string) => Mapped {
  const names = [...config.mappers, ...mapperKinds].map((one) => one.name);
  if (!names.includes(name)) throw unknown("mapper", name, names);
  const learn: Learn = (market, spelling) => (market === defaultMarket ? "" : `${market}:`) + symbolOf(spelling);
  const mapper = createMapper(name, { learn }, config.mappers);
  return (record) => mapper.map(record);
}

function ofRoute(
  config: DynamicConfig,
  choice: DryRunChoice,
  registry: InstrumentRegistry,
): (record: string) => Mapped {
  const route = routeOf(config, choice.route);
  const listed = new Set(config.instruments.map(({ market }) => market));
  const type = config.datasource.find(({ name }) => name === route.data_source)?.type;
  const patternOf = (text: string) =>
    createTopicPattern(text, { has: () => true, list: () => [] }, type === "nats" || type === "jetstream");
  const source = topicOf(route, choice.topic, (text, topic) => patternOf(text).symbolOf(topic) !== null);
  const pattern = patternOf(source);
  const symbols = (symbol: string): boolean => {
    const markets = new Set(registry.list().map(({ market }) => market));
    return [...markets].some((market) => registry.find(market, symbol) !== null) || listed.size === 0;
  };
  const mapper = createRouteMapper(
    route.mappings.filter((mapping) => mapping.source_topic === source),
    {
      registry,
      pattern: {
        symbolOf(topic) {
          const symbol = pattern.symbolOf(topic);
          return symbol === null || symbol === "" || symbols(symbolOf(symbol)) ? symbol : null;
        },
      },
      learn: learnInto(registry, () => undefined),
      listed: (market) => listed.has(market),
      create: (name, tools) => createMapper(name, tools, config.mappers),
    },
  );
  const bytes = new TextEncoder();
  const topic = choice.topic ?? source;
  return (record) => mapper.map({ topic, key: null, value: bytes.encode(record), time: null });
}

function routeOf({ routes }: DynamicConfig, id: string | undefined): RouteSpec {
  const ids = routes.map((route) => route.id);
  const [only, ...others] = routes;
  if (id === undefined && only !== undefined && others.length === 0) return only;
  if (id === undefined)
    throw new GatewayError("USAGE", `--route: say which of the routes: ${ids.join(", ") || "none"}`);
  const route = routes.find((one) => one.id === id);
  if (route === undefined) throw unknown("route", id, ids);
  return route;
}

/** The source topic whose mappings get the record. */
function topicOf(
  { mappings }: RouteSpec,
  topic: string | undefined,
  fits: (pattern: string, topic: string) => boolean,
): string {
  const all = [...new Set(mappings.map(({ source_topic }: MappingSpec) => source_topic))];
  const [only, ...others] = all;
  if (topic === undefined && only !== undefined && others.length === 0 && !/\{symbol\}|[*>]/.test(only)) return only;
  if (topic === undefined)
    throw new GatewayError("USAGE", `--topic: say on which topic the record came: ${all.join(", ")}`);
  const found = all.find((one) => fits(one, topic));
  if (found === undefined) throw new GatewayError("USAGE", `--topic ${topic} is none of ${all.join(", ")}`);
  return found;
}

function unknown(what: string, name: string, known: readonly string[]): GatewayError {
  const close = nearest(name, known);
  return new GatewayError("USAGE", `no ${what} "${name}"${close === null ? "" : `, did you mean "${close}"?`}`);
}
