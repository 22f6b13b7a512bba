/** The program with a watch in each of its threads (heap-watch.ts): `bun watched-node.ts serve ...`. */
import { HEAP_FOLDER } from "./heap-watch.ts";

const watch = new URL("./heap-watch.ts", import.meta.url).href;
const Plain = globalThis.Worker;
globalThis.Worker = class extends Plain {
  constructor(url: string | URL, options: WorkerOptions = {}) {
    super(url, { ...options, preload: [watch] });
  }
};
if (process.env[HEAP_FOLDER] === undefined) throw new Error(`${HEAP_FOLDER} names the folder of the samples`);
await import("../../../bin/tidegate.ts");
