/** Makes sure that both ports are free before a node starts, and names the flag of the one that is not. */
import type { StaticConfig } from "../config/static.ts";
import { probePort } from "../edge/probe.ts";
import { GatewayError } from "../lib/errors.ts";

type Ports = Pick<StaticConfig, "host" | "port" | "admin" | "sharePort">;

export function checkPorts({ host, port, admin, sharePort }: Ports): void {
  if (!sharePort) check(host, port, "--port, --host; --share-port if another node may have it too");
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
