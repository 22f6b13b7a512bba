/**
 * The setting `addresses`: where a broker's address, as a configuration or the broker itself names it, is really dialled.
 *
 * So one configuration serves machines that reach the same servers in different ways: `kafka:9092=127.0.0.1:19092`.
 */
import { z } from "zod";

const wanted = { error: () => "a list of NAME:PORT=HOST:PORT, for example kafka:9092=127.0.0.1:19092" };

const HOST_PORT = String.raw`(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}`;
const PAIR = new RegExp(`^${HOST_PORT}=${HOST_PORT}$`);

const pairs = z.array(z.string(wanted).regex(PAIR, wanted), wanted).max(1000, wanted);

export const addressesSchema = pairs;

/** Where `host:port` is dialled: as it is, if nothing else is said. */
export function resolverOf(addresses: readonly string[]): (hostPort: string) => string {
  const table = new Map<string, string>();
  for (const pair of addresses) {
    const [from = "", to = ""] = pair.split("=");
    table.set(from.toLowerCase(), to);
  }
  return (hostPort) => table.get(hostPort.toLowerCase()) ?? hostPort;
}
