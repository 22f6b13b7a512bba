/** PEM files that a flag of the command line names. */
import { readFileSync } from "node:fs";
import { GatewayError } from "../lib/errors.ts";

/** Throws GatewayError USAGE that names the flag. */
export function readPem(flag: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new GatewayError("USAGE", `${flag}: cannot read ${path}`, { cause });
  }
}
