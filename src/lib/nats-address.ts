/**
 * Addresses of NATS servers as people write them, and one look whether a NATS server answers there.
 *
 * Beside the path: nats.ts looks before it connects, so that what is wrong with an address is told in a sentence within
 * `timeoutMs`, and a server that hangs costs no connection that is never closed.
 */
import { connect } from "node:net";
import { GatewayError } from "./errors.ts";

export interface NatsAddress {
  readonly host: string;
  readonly port: number;
  /** `tls://`. */
  readonly tls: boolean;
  readonly user: string;
  readonly password: string;
}

const PORT = 4222;

/** `nats://host:port`, `tls://host:port`, `host:port` or `host`, each also with `user:password@`. Throws NATS_ADDRESS. */
export function parseNatsAddress(text: string): NatsAddress {
  const [, scheme = "nats", rest = ""] = /^(?:([a-z]+):\/\/)?(.+)$/i.exec(text.trim()) ?? [];
  const secure = scheme.toLowerCase() === "tls";
  const url = URL.parse(`http://${rest}`);
  if (
    url === null ||
    url.hostname === "" ||
    !(secure || scheme.toLowerCase() === "nats") ||
    !/^\/?$/.test(url.pathname)
  ) {
    const shown = JSON.stringify(text.replace(/^\s*([a-z]+:\/\/)?.*@/is, "$1***@"));
    throw new GatewayError("NATS_ADDRESS", `${shown} is no NATS server, want nats://host:4222`);
  }
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    // The default port of http, which our stand-in scheme leaves out of the address.
    port: url.port === "" ? (/:0*80\/?$/.test(rest) ? 80 : PORT) : Number(url.port),
    tls: secure,
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
}

export const hostPort = (host: string, port: number): string => `${host.includes(":") ? `[${host}]` : host}:${port}`;

/** Settles when a NATS server says who it is at this address; rejects with NATS_UNREACHABLE or NATS_PROTOCOL. */
export function lookForNats(host: string, port: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const at = hostPort(host, port);
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    let greeting = "";
    const end = (error: GatewayError | null): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      socket.removeAllListeners();
      // Destroying can still fail late; that must not end the process.
      socket.on("error", () => undefined);
      socket.destroy();
      if (error === null) resolve();
      else reject(error);
    };
    const unreachable = (what: string): void => end(new GatewayError("NATS_UNREACHABLE", what));
    const timer = setTimeout(() => unreachable(`no NATS server answers at ${at} within ${timeoutMs} ms`), timeoutMs);
    const aborted = (): void => unreachable("given up");
    signal.addEventListener("abort", aborted);
    socket.on("data", (bytes: Uint8Array) => {
      greeting += Buffer.from(bytes).toString("latin1");
      if (greeting.startsWith("INFO ")) end(null);
      else if (greeting.length >= 5) end(new GatewayError("NATS_PROTOCOL", `what answers at ${at} is no NATS server`));
    });
    socket.on("error", (error: NodeJS.ErrnoException) => unreachable(why(error, host, at)));
    socket.on("close", () => unreachable(`${at} closes the connection at once`));
  });
}

function why(error: NodeJS.ErrnoException, host: string, at: string): string {
  if (error.code === "ECONNREFUSED") return `no NATS server listens at ${at} (connection refused)`;
  if (error.code === "ENOTFOUND") return `the host name ${host} is not known`;
  return `${at} cannot be reached (${error.code ?? error.message})`;
}
