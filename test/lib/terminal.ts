/** A command as a person runs it: what it shows, and Ctrl-C. */
import { join } from "node:path";
import { waitFor } from "./wait.ts";

/** Of the repository. */
export const ROOT = join(import.meta.dir, "../..");
/** Java programs and whole nodes on a busy machine. */
const STEP_MS_MAX = 60_000;

const ENV = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => name === "TIDEGATE_CACHE" || !name.startsWith("TIDEGATE_")),
);

/** A command in a terminal of its own: a process group, as Ctrl-C reaches it. */
export class Terminal implements AsyncDisposable {
  text = "";
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #read: Promise<unknown>;

  constructor(command: string, cwd: string, env: Readonly<Record<string, string>> = {}) {
    this.#child = Bun.spawn(["bash", "-c", command], {
      cwd,
      env: { ...ENV, TIDEGATE: ROOT, ...env },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      detached: true,
    });
    this.#read = Promise.all([this.#take(this.#child.stdout), this.#take(this.#child.stderr)]);
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Once its text matches. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    await waitFor(
      () => pattern.test(this.text) || this.ended,
      () => `${pattern} in: ${this.text}`,
      STEP_MS_MAX,
    );
    const found = pattern.exec(this.text);
    if (found === null) throw new Error(`it ended without ${pattern}: ${this.text}`);
    return found;
  }

  async over(): Promise<number> {
    const status = await this.#child.exited;
    await this.#read;
    return status;
  }

  /** Ctrl-C: reaches every program of the command. */
  interrupt(): void {
    if (!this.ended) process.kill(-this.#child.pid, "SIGINT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.interrupt();
    const hard = setTimeout(() => process.kill(-this.#child.pid, "SIGKILL"), STEP_MS_MAX);
    await this.over();
    clearTimeout(hard);
  }

  async #take(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) this.text += decoder.decode(bytes, { stream: true });
  }
}
