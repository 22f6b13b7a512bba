/**
 * A node in a process of its own, started as `npm start` does: for what depends on the program's own flags.
 *
 * `await using node = await startChildNode([..])` ends it by SIGTERM.
 */
import { join } from "node:path";
import type { Readiness } from "./test-node.ts";
import { waitFor } from "./wait.ts";

/** What the launcher gives to Bun (scripts/install.mjs). */
const BUN_FLAGS = ["--max-http-header-size=131072"];
const PROGRAM = join(import.meta.dir, "../../bin/tidegate.ts");

export interface ChildNode extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly http: string;
  readonly ws: string;
}

async function sourcesState(admin: string): Promise<string | undefined> {
  const { parts } = (await (await fetch(`${admin}/readyz`)).json()) as Readiness;
  return parts.sources?.state;
}

export async function startChildNode(flags: readonly string[]): Promise<ChildNode> {
  const ports = ["--port", "0", "--admin-port", "0", "--workers", "1", "--ring-bytes", "16MiB", "--drain-seconds", "0"];
  const child = Bun.spawn(
    [process.execPath, ...BUN_FLAGS, PROGRAM, "serve", ...ports, "--log-format", "json", ...flags],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  const errors = new Response(child.stderr).text();
  const end = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
  };
  let log = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    log += decoder.decode(chunk, { stream: true });
    const up = log.split("\n").find((line) => line.includes('"node is up"'));
    if (up === undefined) continue;
    const { public: http, admin } = JSON.parse(up) as { public: string; admin: string };
    // A busy machine may need longer for the simulated history than the node waits: until then its streams race.
    const begun = waitFor(async () => (await sourcesState(admin)) === "ok", "the sources have begun", 40_000);
    await begun.catch(async (error: unknown) => {
      await end();
      throw error;
    });
    return { http, ws: http.replace("http", "ws"), [Symbol.asyncDispose]: end };
  }
  throw new Error(`the node ended with status ${await child.exited}: ${log}${await errors}`);
}
