/**
 * What owners keep, for REST: trades, candles, tickers. An empty answer means that there are none, never that nobody could
 * be asked.
 *
 * On the path: REST request -> REST KEPT -> the bus -> the owner. "Nobody knows the channel" is believed only while every
 * shard that this node has heard of can be heard, and of a channel for which no owner has ever answered here.
 * At the limit: KNOWN_MAX channels are remembered, the oldest is forgotten first.
 */
import type { Bus, StateReply } from "./bus/bus.ts";
import { GatewayError } from "./lib/errors.ts";

const KNOWN_MAX = 10_000;

export interface RestKeptPorts {
  readonly bus: Pick<Bus, "request">;
  readonly shards: () => readonly { readonly shard: string; readonly silent: boolean }[];
}

export class RestKept {
  readonly #ports: RestKeptPorts;
  readonly #known = new Set<string>();

  constructor(ports: RestKeptPorts) {
    this.#ports = ports;
  }

  /** Null: no owner knows the channel. Rejects with BUS_NO_ANSWER where its owner may be away. */
  async of(channel: string): Promise<StateReply | null> {
    const { bus, shards } = this.#ports;
    const reply = await bus.request({ channel, user: "", since: null });
    if (reply !== null) {
      this.#remember(channel);
      return reply;
    }
    const silent = shards().find((one) => one.silent);
    if (silent !== undefined)
      throw new GatewayError("BUS_NO_ANSWER", `nobody answers for ${channel} while shard ${silent.shard} is silent`);
    if (this.#known.has(channel)) throw new GatewayError("BUS_NO_ANSWER", `nobody answers for ${channel} any more`);
    return null;
  }

  #remember(channel: string): void {
    // Again at the end: the one not asked for longest is the first.
    this.#known.delete(channel);
    this.#known.add(channel);
    if (this.#known.size > KNOWN_MAX) for (const oldest of this.#known.keys()) return void this.#known.delete(oldest);
  }
}
