/** Makes sure that both ports are free before a node starts, and names the flag of the one that is not. */
import type { StaticConfig } from "../config/static.ts";
import { probePort } from "../edge/probe.ts";
import { GatewayError } from "../lib/errors.ts";

export function checkPorts({ host, port, admin }: Pick<StaticConfig, "host" | "port" | "admin">): void {
  check(host, port, "--port, --host");
  check(admin.host, admin.port, "--admin-port, --admin-host");
}

function check(host: string, port: number, flags: string): void {
  try {
    probePort(host, port);
  } catch (error) {
    if (error instanceof GatewayError)
      throw new GatewayError(error.code, `${error.message} (${flags})`, { cause: error });
    throw error;
  }
}
