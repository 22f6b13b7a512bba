/**
 * One connection to one broker, logged in and with its versions known.
 *
 * Invariants: opening and every request are bounded in time; a connection with a request that failed for another reason
 * than a broker's error code is closed by its user and made anew, never repaired.
 */
import { apiVersionsV3, Connection } from "@platformatic/kafka";
import { GatewayError } from "../../lib/errors.ts";
import type { KafkaSettings } from "./properties.ts";

export interface Dialer {
  readonly settings: KafkaSettings;
  /** Where `host:port` is really dialled. */
  readonly resolve: (hostPort: string) => string;
}

export interface Link {
  /** As the configuration or the broker names it. */
  readonly address: string;
  /** As a sentence names it. */
  readonly where: string;
  readonly isOpen: boolean;
  /** The newest of `apis` (newest first) that the broker speaks too. */
  newest<T extends Versioned>(apis: readonly T[]): T;
  readonly connection: Connection;
  /** Why it was closed; undefined while it is open, or if nobody said. */
  readonly reason: unknown;
  /** `reason`: what all requests that are under way fail of, told as that. */
  close(reason?: unknown): void;
}

interface Versioned {
  readonly key: number;
  readonly version: number;
}

export interface Place {
  readonly host: string;
  readonly port: number;
}

export function placeOf(hostPort: string): Place {
  const colon = hostPort.lastIndexOf(":");
  return { host: hostPort.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(hostPort.slice(colon + 1)) };
}

/** The address as a sentence names it: where it is dialled, and what that is called. */
export function whereOf(address: string, { resolve }: Pick<Dialer, "resolve">): string {
  const dialled = resolve(address);
  return dialled === address ? address : `${dialled} (${address} by --addresses)`;
}

/** `lost` is called once if it breaks after it was open. */
export async function openLink(dialer: Dialer, address: string, lost: () => void): Promise<Link> {
  const { settings, resolve } = dialer;
  const name = placeOf(address).host;
  const { host, port } = placeOf(resolve(address));
  const connection = new Connection(settings.clientId, {
    connectTimeout: settings.connectTimeoutMs,
    requestTimeout: settings.requestTimeoutMs,
    ...(settings.tls === null ? {} : { tls: settings.tls, ...(isAddress(name) ? {} : { tlsServerName: name }) }),
    ...(settings.sasl === null ? {} : { sasl: settings.sasl }),
  });
  // Without a listener an error would be thrown where nobody can catch it; requests under way fail by themselves.
  connection.on("error", (error) => close(error));
  let open = true;
  let why: unknown;
  const close = (reason?: unknown): void => {
    if (!open) return;
    open = false;
    why = reason;
    connection.socket?.destroy();
    lost();
  };
  connection.on("close", () => close());
  try {
    await connection.connect(host, port);
    const { apiKeys } = await apiVersionsV3.api.async(connection, settings.clientId, "1");
    const versions = new Map(
      apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion] as const]),
    );
    const where = whereOf(address, dialer);
    return {
      address,
      where,
      connection,
      get isOpen() {
        return open;
      },
      get reason() {
        return why;
      },
      newest: (apis) => newest(apis, versions, where),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function newest<T extends Versioned>(
  apis: readonly T[],
  versions: ReadonlyMap<number, readonly [number, number]>,
  where: string,
): T {
  const [least, most] = versions.get(apis[0]?.key ?? -1) ?? [0, -1];
  const found = apis.find(({ version }) => version >= least && version <= most);
  if (found === undefined) {
    throw new GatewayError("BROKER_VERSION", `${where} is too old: Kafka 2.8 or newer is needed`);
  }
  return found;
}

const isAddress = (host: string): boolean => /^[\d.]+$/.test(host) || host.includes(":");
