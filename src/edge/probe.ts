/** Finds out that a port cannot be listened on, before SO_REUSEPORT makes two programs share it silently. */
import { GatewayError } from "../lib/errors.ts";

/** Throws a GatewayError with one sentence if `host:port` cannot be bound exclusively. */
export function probePort(host: string, port: number): void {
  try {
    Bun.listen({ hostname: host, port, socket: { data: () => undefined } }).stop(true);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    throw failure(host, port, code, cause);
  }
}

function failure(host: string, port: number, code: string, cause: unknown): GatewayError {
  switch (code) {
    case "EADDRINUSE":
      return new GatewayError("PORT_IN_USE", `port ${port} on ${host} is in use: choose another one`, { cause });
    case "EACCES":
      return new GatewayError("PORT_FORBIDDEN", `port ${port} needs privileges: choose one from 1024 on`, { cause });
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new GatewayError("HOST_UNKNOWN", `${host} is not an address of this machine: choose another host`, {
        cause,
      });
    default:
      return new GatewayError("LISTEN_FAILED", `cannot listen on ${host}:${port}: ${code || String(cause)}`, { cause });
  }
}
