/** A node in a process of its own whose threads tell what they hold (heap-watch.ts). */
import { join } from "node:path";
import { TempFolder } from "../../lib/temp-folder.ts";
import { waitFor } from "../../lib/wait.ts";
import { HEAP_FOLDER } from "./heap-watch.ts";

export interface Watched extends AsyncDisposable {
  readonly pid: number;
  readonly ws: string;
  readonly admin: string;
  /** Of the heap samples. */
  readonly folder: string;
  readonly threads: number;
}

const WORKERS = 2;
const PROGRAM = join(import.meta.dir, "watched-node.ts");
const PORTS = ["--port", "0", "--admin-port", "0", "--workers", String(WORKERS), "--ring-bytes", "16MiB"];

export async function startWatched(flags: readonly string[]): Promise<Watched> {
  const folder = new TempFolder();
  const child = Bun.spawn(
    [process.execPath, "--max-http-header-size=131072", PROGRAM, "serve", ...PORTS, "--log-format", "json", ...flags],
    { stdin: "ignore", stdout: "pipe", stderr: "inherit", env: { ...process.env, [HEAP_FOLDER]: folder.path } },
  );
  const end = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
    folder[Symbol.dispose]();
  };
  try {
    const { http, admin } = await addresses(child.stdout);
    await waitFor(async () => (await fetch(`${admin}/readyz`)).ok, "the node is ready", 60_000);
    const ws = http.replace("http", "ws");
    return { pid: child.pid, ws, admin, folder: folder.path, threads: 1 + WORKERS, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Where the node listens, from its log; the rest of the log is read and dropped. */
async function addresses(stdout: ReadableStream<Uint8Array>): Promise<{ http: string; admin: string }> {
  const decoder = new TextDecoder();
  const reader = stdout.getReader();
  let log = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the node ended: ${log}`);
    log += decoder.decode(value, { stream: true });
    const up = log.split("\n").find((line) => line.includes('"node is up"') && line.endsWith("}"));
    if (up === undefined) continue;
    void (async () => {
      while (!(await reader.read()).done);
    })();
    const { public: http, admin } = JSON.parse(up) as { public: string; admin: string };
    return { http, admin };
  }
}
