/** How many connections to a port some process still holds on the accepting side; only Linux tells. */
import { readFileSync } from "node:fs";

export const canCountSockets = process.platform === "linux";

const LISTEN = "0A";

/** Of the kernel's table: `sl local_address rem_address st .. inode`, addresses as `0100007F:1F90`. */
export function heldSockets(port: number): number {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/self/net/tcp", "utf8")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
  // Without an inode no process has it open any more: the kernel says its last goodbye.
  return rows.filter(
    ([, local = "", , state, , , , , , inode = "0"]) => local.endsWith(suffix) && state !== LISTEN && inode !== "0",
  ).length;
}
