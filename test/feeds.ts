/**
 * Where the recorded feeds are: `../shared/feeds` beside the repository, or TIDEGATE_FEEDS. They are not part of it: a test
 * that needs one skips without it, and says so in one line.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const FOLDER = process.env.TIDEGATE_FEEDS ?? resolve(import.meta.dir, "../../shared/feeds");

/** The path of a recording, or null if the recorded feeds are not there. */
export function feed(name: string): string | null {
  const path = join(FOLDER, name);
  if (existsSync(path)) return path;
  console.warn(`skipped: recorded feed ${path} is absent (set TIDEGATE_FEEDS to the folder that holds it)`);
  return null;
}
