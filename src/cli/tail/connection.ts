/**
 * The connection of `tail` to a node: the client of client/, with what `tail` shows of it.
 *
 * Invariants: the listener gets each channel's pushes in order and once; whatever is missing was told to it before.
 * At the limit: a node that cannot be reached is tried again for ever, at most 5 s apart; a connection on which nothing
 * came for `silenceMsMax`, although we ask, is given up and made again.
 */
import { type ChannelPush, type Client, connect, type DrainPush, TidegateError } from "../../../client/src/mod.ts";
import { GatewayError } from "../../lib/errors.ts";
import { trusting } from "./trusting.ts";

const pingMs = 5000;
const silenceMsMax = 15_000;

export interface ConnectionListener {
  connected(): void;
  /** `first`: it never was connected before. */
  lost(reason: string, retryMs: number, first: boolean): void;
  refused(channel: string, code: number, message: string): void;
  /** A push to show. `restart`: what was shown before is void. */
  push(push: ChannelPush, raw: string, restart: boolean): void;
  /** Something before it is missing; it was asked for again. */
  broken(push: ChannelPush): void;
  drain(push: Pick<DrainPush, "afterMs">): void;
  /** A frame that is neither a push nor a reply. */
  odd(frame: string): void;
}

export interface ConnectionOptions {
  readonly url: string;
  readonly channels: readonly string[];
  /** ms; null: real time. */
  readonly cadence: number | null;
  /** PEM of the authorities to trust; null: the system's. */
  readonly ca: string | null;
}

export interface Connection {
  close(): void;
}

export function openConnection({ channels, ...options }: ConnectionOptions, listener: ConnectionListener): Connection {
  const client = connected(options);
  client.on("connected", () => listener.connected());
  client.on("lost", ({ reason, retryMs, first }) => listener.lost(reason, retryMs, first));
  client.on("refused", ({ channel, error }) => listener.refused(channel, Number(error.code), error.text));
  client.on("push", ({ push, raw, restart }) => listener.push(push, raw, restart));
  client.on("broken", ({ push }) => listener.broken(push));
  client.on("drain", (drain) => listener.drain(drain));
  client.on("odd", ({ frame }) => listener.odd(frame));
  for (const channel of channels) client.subscribe(channel);
  return client;
}

function connected({ url, cadence, ca }: Omit<ConnectionOptions, "channels">): Client {
  const own = { ...(cadence === null ? {} : { cadence }), ...(ca === null ? {} : { WebSocket: trusting(ca) }) };
  try {
    return connect(url, { pingMs, silenceMsMax, ...own });
  } catch (error) {
    if (error instanceof TidegateError) throw new GatewayError("USAGE", error.message, { cause: error });
    throw error;
  }
}
