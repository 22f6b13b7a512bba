/** The mappers by name. A mapper is added here and nowhere else. */
import type { Kind } from "../../channel/types.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Venue } from "../replay-file.ts";
import { createBinanceSpot, createBinanceUsdm } from "./binance.ts";
import { type CanonicalName, canonicalKind, createCanonical } from "./canonical.ts";
import { createCoinbase } from "./coinbase.ts";
import { createDeclarative, type DeclarativeSpec } from "./declarative/mod.ts";
import { createKrakenV1 } from "./kraken-v1.ts";
import { createKrakenV2 } from "./kraken-v2.ts";
import type { Learn, Mapper } from "./mapper.ts";
import { createOkx } from "./okx.ts";
import type { Place } from "./place.ts";
import { createTyped } from "./typed.ts";

export { createBinanceSpot, createBinanceUsdm, SNAPSHOT_STREAM } from "./binance.ts";
export { reasonOf } from "./blame.ts";
export { createCoinbase } from "./coinbase.ts";
export { createKrakenV1 } from "./kraken-v1.ts";
export { createKrakenV2 } from "./kraken-v2.ts";
export { learnInto } from "./learn.ts";
export type { Learn, Malformed, MappedUpdate, Mapper, Sequence, Skipped } from "./mapper.ts";
export { createOkx } from "./okx.ts";
export { createTyped } from "./typed.ts";

/** What a mapper may need from the node. */
export interface MapperTools {
  readonly learn: Learn;
  /** Levels per side that were subscribed to, where the venue's frames do not say it (Kraken v2). */
  readonly window?: number;
  /** Our own mappers: where a mapping's updates go. */
  readonly place?: Place;
}

const canonical =
  (name: CanonicalName) =>
  ({ learn, place }: MapperTools): Mapper =>
    createCanonical(name, place === undefined ? { learn } : { learn, place });

const MAPPERS = {
  kraken_v1: ({ learn }: MapperTools) => createKrakenV1(learn),
  kraken_v2: ({ learn, window }: MapperTools) => createKrakenV2(learn, window),
  coinbase: ({ learn }: MapperTools) => createCoinbase(learn),
  binance_spot: ({ learn }: MapperTools) => createBinanceSpot(learn),
  binance_usdm: ({ learn }: MapperTools) => createBinanceUsdm(learn),
  okx: ({ learn }: MapperTools) => createOkx(learn),
  trade_v1: canonical("trade_v1"),
  depth_v2: canonical("depth_v2"),
  kline_v1: canonical("kline_v1"),
  ticker_v1: canonical("ticker_v1"),
  bbo_v1: canonical("bbo_v1"),
  mark_price_v1: canonical("mark_price_v1"),
  balance: canonical("balance"),
  order: canonical("order"),
  json: canonical("json"),
  typed: () => createTyped(),
} satisfies Readonly<Record<string, (tools: MapperTools) => Mapper>>;

export type MapperName = keyof typeof MAPPERS;

export const mapperNames: readonly string[] = Object.keys(MAPPERS);

/** What mappers that configuration may name make of records; null: several kinds. */
export const mapperKinds: readonly { readonly name: string; readonly kind: Kind | null }[] = mapperNames
  .filter((name) => name !== "typed")
  .map((name) => ({ name, kind: canonicalKind(name) }));

/** `declared`: mappers of the configuration. Throws GatewayError if no mapper has that name. */
export function createMapper(name: string, tools: MapperTools, declared: readonly DeclarativeSpec[] = []): Mapper {
  const spec = declared.find((one) => one.name === name);
  if (spec !== undefined) return createDeclarative(spec, tools);
  const create = Object.hasOwn(MAPPERS, name) ? MAPPERS[name as MapperName] : undefined;
  if (create === undefined) {
    throw new GatewayError("UNKNOWN_MAPPER", `unknown mapper "${name}": use one of ${mapperNames.join(", ")}`);
  }
  return create(tools);
}

const MAPPER_OF: Readonly<Record<Venue, MapperName>> = {
  "kraken-v1": "kraken_v1",
  kraken: "kraken_v2",
  coinbase: "coinbase",
  binance: "binance_spot",
  "binance-usdm": "binance_usdm",
  okx: "okx",
};

/** The mapper for a venue's records; null if it is not known whose they are. */
export const mapperOfVenue = (venue: Venue | null): MapperName | null => (venue === null ? null : MAPPER_OF[venue]);
