/** The mappers by name. A mapper is added here and nowhere else. */
import { GatewayError } from "../../lib/errors.ts";
import type { Venue } from "../replay-file.ts";
import { createKrakenV1 } from "./kraken-v1.ts";
import type { Learn, Mapper } from "./mapper.ts";
import { createTyped } from "./typed.ts";

export { createKrakenV1 } from "./kraken-v1.ts";
export { learnInto } from "./learn.ts";
export type { Learn, Malformed, MappedUpdate, Mapper, Sequence } from "./mapper.ts";
export { createTyped } from "./typed.ts";

/** What a mapper may need from the node. */
export interface MapperTools {
  readonly learn: Learn;
  /** Levels per side that were subscribed to, where the venue's frames do not say it (Kraken v2). */
  readonly window?: number;
}

const MAPPERS = {
  kraken_v1: ({ learn }: MapperTools) => createKrakenV1(learn),
  typed: () => createTyped(),
} satisfies Readonly<Record<string, (tools: MapperTools) => Mapper>>;

export type MapperName = keyof typeof MAPPERS;

export const mapperNames: readonly string[] = Object.keys(MAPPERS);

/** Throws GatewayError if no mapper has that name. */
export function createMapper(name: string, tools: MapperTools): Mapper {
  const create = Object.hasOwn(MAPPERS, name) ? MAPPERS[name as MapperName] : undefined;
  if (create === undefined) {
    throw new GatewayError("UNKNOWN_MAPPER", `unknown mapper "${name}": use one of ${mapperNames.join(", ")}`);
  }
  return create(tools);
}

/** The mapper for a venue's records; null if there is none (yet). */
export function mapperOfVenue(venue: Venue | null): string | null {
  return venue === "kraken" ? "kraken_v1" : null;
}
