/**
 * A client program (test/clients/programs) in a process of its own: Node or Python, a real client library, and lines of
 * JSON on its stdout about what that library handed to its user.
 *
 * `await using program = await startProgram(..)` ends it. Whoever waits for it fails at once if it ended by itself.
 */
import { join } from "node:path";
import { nodeProgram, pythonEnv, pythonWith } from "../../lib/python.ts";
import { waitFor } from "../../lib/wait.ts";

/** Of the program's folder: how it is started and, for Python, which library it needs. */
export const PROGRAMS = {
  ccxt: { file: "ccxt.mjs" },
  binance: { file: "binance.mjs" },
  "@binance/spot": { file: "binance-spot.mjs" },
  "@binance/derivatives-trading-usds-futures": { file: "binance-usdm.mjs" },
  "python-binance": { file: "python_binance.py" },
  "binance-connector": { file: "binance_connector.py" },
} as const;

export type ProgramName = keyof typeof PROGRAMS;

export interface Asked {
  /** Base URLs. */
  readonly http: string;
  readonly ws: string;
  /** What its README shows, or a book of each of the symbols. */
  readonly mode: "readme" | "book";
  readonly symbols?: readonly string[];
}

/** What a program said: `what`, and fields that go with it. */
export interface Line extends Readonly<Record<string, unknown>> {
  readonly what: string;
}

const FOLDER = join(import.meta.dir, "../programs");
/** Characters of its log that are kept to be shown. */
const LOG_MAX = 4000;

export class Program implements AsyncDisposable {
  readonly name: ProgramName;
  readonly lines: Line[] = [];
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #listeners: ((line: Line) => void)[] = [];
  readonly #reading: Promise<unknown>;
  #log = "";

  constructor(name: ProgramName, command: readonly string[], asked: Asked, env: Readonly<Record<string, string>>) {
    this.name = name;
    this.#child = Bun.spawn([...command, JSON.stringify(asked)], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, ...env },
    });
    this.#reading = Promise.all([
      eachLine(this.#child.stdout, (text) => this.#take(text)),
      eachLine(this.#child.stderr, (text) => this.#keep(text)),
    ]);
  }

  /** Hears every line from now on, in order. */
  onLine(listener: (line: Line) => void): void {
    this.#listeners.push(listener);
  }

  of(what: string): readonly Line[] {
    return this.lines.filter((line) => line.what === what);
  }

  /** Why it is not running any more; null while it is. */
  get ended(): string | null {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) return null;
    return `${this.name} ended with status ${exitCode ?? signalCode}: ${this.#log}`;
  }

  /** The end of what it wrote beside its lines. */
  get log(): string {
    return this.#log;
  }

  async until(condition: () => boolean, what: () => string, ms = 45_000): Promise<void> {
    const check = (): boolean => {
      if (condition()) return true;
      if (this.ended !== null) throw new Error(this.ended);
      return false;
    };
    await waitFor(check, () => `${this.name}: ${what()}; its log: ${this.#log}`, ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 3000);
    await this.#child.exited;
    clearTimeout(timer);
    await this.#reading;
  }

  #take(text: string): void {
    // Libraries write their log to stdout too.
    if (!text.startsWith('{"what"')) {
      this.#keep(text);
      return;
    }
    const line = JSON.parse(text) as Line;
    this.lines.push(line);
    for (const listener of this.#listeners) listener(line);
  }

  #keep(text: string): void {
    this.#log = `${this.#log}${text}\n`.slice(-LOG_MAX);
  }
}

export async function startProgram(name: ProgramName, asked: Asked): Promise<Program> {
  const { file } = PROGRAMS[name];
  const path = join(FOLDER, file);
  if (file.endsWith(".mjs")) return new Program(name, [nodeProgram(), path], asked, {});
  const { python, path: packages } = await pythonWith(name);
  return new Program(name, [python, path], asked, pythonEnv(packages));
}

async function eachLine(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const texts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = texts.pop() ?? "";
    for (const text of texts) take(text);
  }
  if (rest !== "") take(rest);
}
