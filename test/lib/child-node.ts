/**
 * A node in a process of its own, started as `npm start` does: for what depends on the program's own flags and signals.
 *
 * `await using node = await startChildNode([..])` ends it by SIGTERM, and by SIGKILL if that is not enough.
 */
import { join } from "node:path";
import type { Readiness } from "./test-node.ts";
import { waitFor } from "./wait.ts";

/** What the launcher gives to Bun (scripts/install.mjs). */
const BUN_FLAGS = ["--max-http-header-size=131072"];
const PROGRAM = join(import.meta.dir, "../../bin/tidegate.ts");
const END_MS_MAX = 15_000;

/** Settings that change the program under test are the test's own. */
const ENV = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("TIDEGATE_")));

export interface LogLine {
  readonly msg: string;
  readonly level: string;
  readonly [field: string]: unknown;
}

export class ChildNode implements AsyncDisposable {
  /** `http://127.0.0.1:<port>`, with TLS https. */
  http = "";
  admin = "";
  errors = "";
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #read: Promise<unknown>;
  #out = "";

  constructor(args: readonly string[]) {
    this.#child = Bun.spawn([process.execPath, ...BUN_FLAGS, PROGRAM, ...args], {
      env: ENV,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const out = this.#collect(this.#child.stdout, (text) => {
      this.#out += text;
    });
    const errors = this.#collect(this.#child.stderr, (text) => {
      this.errors += text;
    });
    this.#read = Promise.all([out, errors]);
  }

  get ws(): string {
    return this.http.replace("http", "ws");
  }

  get port(): number {
    return Number(new URL(this.http).port);
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** What it wrote to stdout. */
  get text(): string {
    return this.#out;
  }

  /** Every line of its log so far. */
  get log(): LogLine[] {
    return this.#out
      .slice(0, this.#out.lastIndexOf("\n") + 1)
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as LogLine);
  }

  /** The first line whose message begins so, once it is there. */
  async logged(begins: string): Promise<LogLine> {
    const find = () => this.log.find(({ msg }) => msg.startsWith(begins));
    await waitFor(
      () => find() !== undefined || this.ended,
      () => `"${begins}" in the log: ${this.#out}${this.errors}`,
      40_000,
    );
    const line = find();
    if (line === undefined) throw new Error(`the node ended without "${begins}": ${this.#out}${this.errors}`);
    return line;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** The exit status, once everything it said was read. */
  async status(): Promise<number> {
    const status = await this.#child.exited;
    await this.#read;
    return status;
  }

  async readiness(): Promise<Readiness> {
    return (await (await fetch(`${this.admin}/readyz`)).json()) as Readiness;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGTERM");
    const hard = setTimeout(() => this.signal("SIGKILL"), END_MS_MAX);
    await this.#child.exited;
    clearTimeout(hard);
  }

  async #collect(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
  }
}

/** A source that costs next to nothing and is there at once: one channel, `c0`, each publication the next of a chain. */
export const ONE_CHANNEL = ["--synthetic", "channels=1,rate=100,size=200"];

/** Flags that come later win. Its sessions are closed at once when it ends, unless a flag says otherwise. */
export async function startChildNode(flags: readonly string[]): Promise<ChildNode> {
  const ports = ["--port", "0", "--admin-port", "0", "--workers", "1", "--ring-bytes", "16MiB", "--drain-seconds", "0"];
  const node = new ChildNode(["serve", ...ports, "--log-format", "json", ...flags]);
  try {
    await hasBegun(node);
  } catch (error) {
    await node[Symbol.asyncDispose]();
    throw error;
  }
  return node;
}

/** Settles when the node is up and its sources have begun; from then on its addresses are known. */
export async function hasBegun(node: ChildNode): Promise<void> {
  const up = await node.logged("node is up");
  node.http = String(up.public);
  node.admin = String(up.admin);
  // A busy machine may need longer for the simulated history than the node waits: until then its streams race.
  const begun = async () => (await node.readiness()).parts.sources?.state === "ok";
  await waitFor(begun, "the sources have begun", 40_000);
}
