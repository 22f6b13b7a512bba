/**
 * Lets the brokers judge the properties of the data sources: whatever a node would refuse at start.
 *
 * Part of the composition root. Nothing is dialled: every address is that of a port that nobody listens on, and each broker
 * is closed at once.
 */
import type { DynamicConfig } from "./config/dynamic/types.ts";
import { systemClock } from "./lib/clock.ts";
import { GatewayError } from "./lib/errors.ts";
import { silentLog } from "./lib/log.ts";
import { loadBrokers } from "./node-brokers.ts";

const NOWHERE = "127.0.0.1:1";

/** What is wrong, by the place of the data source in the list. */
export async function judgeSources({
  datasource,
}: Pick<DynamicConfig, "datasource">): Promise<readonly { readonly index: number; readonly message: string }[]> {
  const brokers = await loadBrokers(datasource);
  const found: { index: number; message: string }[] = [];
  for (const [index, { type, name, properties }] of datasource.entries()) {
    const tools = { name, properties, clock: systemClock(), random: Math.random, log: silentLog };
    try {
      await brokers[type]?.({ ...tools, resolveAddress: () => NOWHERE }).close();
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      found.push({ index, message: error.message });
    }
  }
  return found;
}
