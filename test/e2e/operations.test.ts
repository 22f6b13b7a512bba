/** docs/operations.md, "Two nodes by hand", followed literally in an empty folder. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../lib/services/mod.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { waitFor } from "../lib/wait.ts";

const ROOT = join(import.meta.dir, "../..");
const MS_MAX = 180_000;
/** Java programs and whole nodes on a busy machine. */
const STEP_MS_MAX = 60_000;

const ENV = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => name === "TIDEGATE_CACHE" || !name.startsWith("TIDEGATE_")),
);

/** The commands of a section of the page, in its order. */
function commandsOf(page: string, section: string): string[] {
  const text = readFileSync(join(ROOT, "docs", page), "utf8");
  const [, after = ""] = text.split(`\n## ${section}\n`);
  const [inside = ""] = after.split(/\n## /);
  return [...inside.matchAll(/^```sh\n([^`]*)```$/gm)].map(([, command]) => command!.trim());
}

/** A command in a terminal of its own: a process group, as Ctrl-C reaches it. */
class Terminal implements AsyncDisposable {
  text = "";
  readonly #child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #read: Promise<unknown>;

  constructor(command: string, cwd: string, env: Readonly<Record<string, string>>) {
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

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.ended) process.kill(-this.#child.pid, "SIGINT");
    const hard = setTimeout(() => process.kill(-this.#child.pid, "SIGKILL"), STEP_MS_MAX);
    await this.over();
    clearTimeout(hard);
  }

  async #take(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) this.text += decoder.decode(bytes, { stream: true });
  }
}

test(
  "operations - two nodes by hand: what Kafka's console producer writes arrives at tail on either node",
  async () => {
    using folder = new TempFolder();
    const commands = commandsOf("operations.md", "Two nodes by hand");
    expect(commands).toHaveLength(5);
    const portOfA = String(await freePort());
    // What the page says, but for ports that others may have.
    const places: [string, string][] = [
      ["8081", String(await freePort())],
      ["9091", String(await freePort())],
    ];
    const run = (command: string, env: Record<string, string> = {}): Terminal => {
      const text = places.reduce((sum, [from, to]) => sum.replaceAll(from, to), command);
      return new Terminal(text, folder.path, env);
    };
    await using services = run(commands[0]!);
    await services.shows(/stop +Ctrl-C/);
    const at = (pattern: RegExp): string => pattern.exec(services.text)?.[1] ?? "";
    places.push(["127.0.0.1:9092", at(/^ +Kafka +(\S+)/m)]);
    places.push(["127.0.0.1:4222", at(/^ +NATS +nats:\/\/(\S+)/m)]);
    places.push(["127.0.0.1:6379", at(/^ +Redis +redis:\/\/(\S+)/m)]);
    await using a = run(commands[1]!, { TIDEGATE_PORT: portOfA, TIDEGATE_ADMIN_PORT: String(await freePort()) });
    await using b = run(commands[2]!);
    await Promise.all([a.shows(/node is up/), b.shows(/node is up/)]);
    await using ofB = run(commands[3]!);
    await using ofA = run(commands[3]!.replace("127.0.0.1:8081", `127.0.0.1:${portOfA}`));
    await using produced = run(commands[4]!);
    expect([await produced.over(), produced.text]).toEqual([0, expect.any(String)]);
    const trade = /\{.*"price":"64000\.10".*\}/;
    const [seenByA, seenByB] = await Promise.all([ofA.shows(trade), ofB.shows(trade)]);
    const { sentUs: _, ...pushOfA } = JSON.parse(seenByA[0]) as Record<string, unknown>;
    const { sentUs: __, ...pushOfB } = JSON.parse(seenByB[0]) as Record<string, unknown>;
    expect(pushOfA).toEqual(pushOfB);
    expect(pushOfA).toMatchObject({ channel: "btcusdt@trade", epoch: expect.any(String), seq: expect.any(Number) });
  },
  MS_MAX,
);
