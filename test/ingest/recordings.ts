/** The recorded feeds as scripts of the test server: the data frames of one, without acknowledgements and heartbeats. */
import { readFileSync } from "node:fs";
import { feed } from "../feeds.ts";

/** Frames of a recording; null if the recorded feeds are absent. */
export function framesOf(name: string): string[] | null {
  const path = feed(name);
  if (path === null) return null;
  return readFileSync(path, "utf8")
    .split("\n")
    .flatMap((line) => /^\d+(?:\.\d+)?: (.*)$/.exec(line)?.[1] ?? []);
}
