/** How mappers make instruments known: the registry behind the face they take (`Learn`). */
import type { InstrumentRegistry } from "../../channel/registry.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Learn } from "./mapper.ts";

/** Refused instruments (a spelling that makes no name, or another's name) are reported once per spelling. */
export function learnInto(
  registry: Pick<InstrumentRegistry, "learn" | "defaultMarket">,
  refused: (error: GatewayError) => void,
): Learn {
  const told = new Set<string>();
  return (market, spelling) => {
    try {
      const { symbol } = registry.learn(market, spelling);
      return market === registry.defaultMarket ? symbol : `${market}:${symbol}`;
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      if (told.size < TOLD_MAX && !told.has(spelling)) {
        told.add(spelling);
        refused(error);
      }
      return null;
    }
  };
}

/** Later ones are only counted, as malformed records. */
const TOLD_MAX = 1000;
