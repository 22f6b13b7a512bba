/** Programs of real servers: had by scripts/servers, which install what is missing into the cache. */
import { join } from "node:path";
import { nodeProgram } from "../python.ts";

export interface Obtained {
  readonly program: string;
  /** For this program only. */
  readonly env: Readonly<Record<string, string>>;
  readonly from: string;
  readonly version: string;
}

const found = new Map<string, Promise<unknown>>();

/** What scripts/servers/<name>.mjs prints, asked once; rejects with a sentence that says what to install. */
export function obtain<Kind = Obtained>(name: "redis" | "nats" | "kafka" | "chromium"): Promise<Kind> {
  let asked = found.get(name);
  if (asked === undefined) {
    asked = ask(name);
    found.set(name, asked);
    // Whatever was wrong, the next one asks again.
    asked.catch(() => found.delete(name));
  }
  return asked as Promise<Kind>;
}

async function ask(name: string): Promise<unknown> {
  const script = join(import.meta.dir, "../../../scripts/servers", `${name}.mjs`);
  const child = Bun.spawn([nodeProgram(), script], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, errors, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status !== 0) throw new Error(errors.trim());
  return JSON.parse(out);
}
