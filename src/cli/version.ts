/** Which program this is: version, Bun, and the commit if that can be known. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };

export const VERSION: string = manifest.version;

export function versionLine(env: Readonly<Record<string, string | undefined>>): string {
  const known = env.TIDEGATE_COMMIT ?? commitOf(join(import.meta.dir, "..", ".."));
  return `tidegate ${VERSION} (bun ${Bun.version}${known === null ? "" : `, commit ${known.slice(0, 12)}`})`;
}

/** The commit a working copy is at; null outside of one. */
function commitOf(root: string): string | null {
  const head = read(join(root, ".git", "HEAD"));
  const ref = /^ref: (.+)$/.exec(head ?? "")?.[1];
  if (head === null || ref === undefined) return head;
  const packed = read(join(root, ".git", "packed-refs"))?.split("\n") ?? [];
  return read(join(root, ".git", ref)) ?? packed.find((line) => line.endsWith(` ${ref}`))?.split(" ")[0] ?? null;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
}
