/** What the benchmarks of recorded feeds share: a recording's texts, and the turn the event loop has every BATCH of them. */
import { readFileSync } from "node:fs";
import { parseLine } from "../../src/ingest/replay-file.ts";
import type { Source } from "../../src/ingest/source.ts";

/** As in the replay source. */
export const BATCH = 256;

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The texts of a recording's records. */
export function textsOf(path: string): string[] {
  const texts: string[] = [];
  for (const text of readFileSync(path, "utf8").split("\n")) {
    const line = parseLine(text);
    // Its own bytes, not a slice of the file's text: as a record comes from a socket.
    if (line.type === "record") texts.push(Buffer.from(line.text).toString());
  }
  return texts;
}

/** The benchmark hands the records on itself; this only stands for their source. */
export const recordedSource: Source = {
  name: "recorded",
  replayable: false,
  run: (_sink, _from, signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve())),
  status: () => ({ state: { name: "connected" }, lagMs: null, records: 0, reconnects: 0 }),
};
