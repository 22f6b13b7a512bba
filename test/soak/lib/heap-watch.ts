/**
 * Preloaded into every thread of a watched node: writes what is alive in its heap to a file of its own, when asked by a
 * file `ask` that is newer than its last answer.
 *
 * Invariants: it holds one interval per thread, from the beginning on; what it writes was counted right after a full
 * collection, which takes a second of a large heap: so never unasked.
 */
import { heapStats } from "bun:jsc";
import { renameSync, statSync, writeFileSync } from "node:fs";
import { isMainThread, threadId } from "node:worker_threads";

export interface HeapSample {
  readonly thread: string;
  readonly timers: number;
  readonly objects: number;
  readonly bytes: number;
  /** Objects by type. */
  readonly types: Readonly<Record<string, number>>;
}

/** The folder of the files. */
export const HEAP_FOLDER = "TIDEGATE_TEST_HEAPS";
/** In it: touched by who wants samples. */
export const HEAP_ASK = "ask";
const LOOK_MS = 500;

const folder = process.env[HEAP_FOLDER];
let answered = 0;
if (folder !== undefined) {
  setInterval(() => {
    const asked = statSync(`${folder}/${HEAP_ASK}`, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (asked <= answered) return;
    answered = asked;
    write(folder);
  }, LOOK_MS);
}

function write(into: string): void {
  Bun.gc(true);
  const { objectTypeCounts, objectCount, heapSize } = heapStats();
  const thread = isMainThread ? "main" : `worker-${threadId}`;
  const timers = objectTypeCounts.Timeout ?? 0;
  const sample: HeapSample = { thread, timers, objects: objectCount, bytes: heapSize, types: objectTypeCounts };
  // Whoever reads it finds a whole one.
  const path = `${into}/${thread}.json`;
  writeFileSync(`${path}.new`, JSON.stringify(sample));
  renameSync(`${path}.new`, path);
}
