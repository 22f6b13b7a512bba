/**
 * A real server in a process of its own, on a free port, with its files in a temporary folder.
 *
 * Invariants: once started it keeps its port and its data until `stop`; it does not outlive this process, whatever ends that
 * (where setpriv is there; else unless this process is killed).
 * At the limit: one that is not ready in time is killed, and the error ends with the tail of what it wrote.
 */
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { waitFor } from "../wait.ts";
import { freePort, isFree } from "./port.ts";

/** What starts it, given its port and folder. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface Plan {
  /** `redis`, for the folder's name and for errors. */
  readonly name: string;
  /** `7.0.15 from PATH`. */
  readonly about: string;
  /** The port it has if that is free; without it, or if it is not, some free one. */
  readonly port?: number | undefined;
  /** Its folder, which then stays; without it a temporary one that goes. */
  readonly folder?: string | undefined;
  /** Writes what it needs into its folder; once, but again if the port turns out to be taken. */
  prepare(port: number, folder: string): Command | Promise<Command>;
  /** What it writes when it listens: who answers on its port before may be another server. */
  readonly listens: string;
  /** Whether it serves, once it listens. May throw where nobody answers yet. */
  ready(port: number): Promise<boolean>;
  readonly readyMsMax: number;
}

const HOST = "127.0.0.1";
const PORTS_TRIED_MAX = 8;
const TAIL_LINES = 15;
/** An orderly end takes Kafka two seconds. */
const TERM_MS_MAX = 15_000;
const FREEZE_MS_MAX = 2000;
const TAKEN = /address already in use|bind: address in use|BindException|EADDRINUSE/i;

const begun = new Set<RealServer>();
process.on("exit", () => {
  for (const server of begun) server.abandon();
});

export class RealServer implements AsyncDisposable {
  readonly host = HOST;
  readonly folder: string;
  readonly #plan: Plan;
  #port = 0;
  #child: Bun.Subprocess | null = null;
  #command: Command | null = null;
  /** Where in its log the last start begins. */
  #logFrom = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.folder = plan.folder ?? mkdtempSync(join(tmpdir(), `tidegate-${plan.name}-`));
  }

  /** Its version and where it was found. */
  get about(): string {
    return this.#plan.about;
  }

  get port(): number {
    return this.#port;
  }

  /** Its process, while it runs; else 0. */
  get pid(): number {
    return this.running ? (this.#child?.pid ?? 0) : 0;
  }

  get running(): boolean {
    return this.#child !== null && !hasEnded(this.#child);
  }

  /** How its process came to its end: `status 1`, `SIGKILL`; empty while it runs or was ended by us. */
  get ending(): string {
    const child = this.#child;
    if (child === null || !hasEnded(child)) return "";
    return child.signalCode === null ? `status ${child.exitCode}` : `${child.signalCode}`;
  }

  /** The last lines of what it wrote, each on a line of its own. */
  get tail(): string {
    const lines = this.log.trim().split("\n").slice(-TAIL_LINES);
    return `\n  ${lines.join("\n  ")}`;
  }

  /** What it wrote. */
  get log(): string {
    return existsSync(this.#logPath) ? readFileSync(this.#logPath, "utf8") : "";
  }

  /** For the factories: settles when it serves. */
  async begin(): Promise<void> {
    begun.add(this);
    for (let tried = 1; ; tried++) {
      const { port } = this.#plan;
      this.#port = port !== undefined && tried === 1 && (await isFree(port)) ? port : await freePort();
      try {
        this.#command = await this.#plan.prepare(this.#port, this.folder);
        await this.#run();
        return;
      } catch (error) {
        await this.kill("SIGKILL");
        // Somebody took the port between our look and its start.
        const again = tried < PORTS_TRIED_MAX && TAKEN.test(this.log.slice(this.#logFrom));
        if (again) continue;
        this.#remove();
        throw error;
      }
    }
  }

  /** For good: its folder goes too. Nothing of a temporary server is worth an orderly end. */
  async stop(): Promise<void> {
    await this.kill("SIGKILL");
    this.#remove();
  }

  /** This process ends: nothing can be waited for any more. */
  abandon(): void {
    this.#child?.kill("SIGKILL");
    this.#remove();
  }

  /** Ends it; `restart` brings it back. Nothing if it does not run. */
  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    // One that is frozen hears nothing but SIGKILL.
    if (signal === "SIGTERM") child.kill("SIGCONT");
    child.kill(signal);
    const hard = setTimeout(() => child.kill("SIGKILL"), TERM_MS_MAX);
    await child.exited;
    clearTimeout(hard);
    this.#child = null;
  }

  /** Starts it again on its port and over its data; ends it first if it runs. */
  async restart(): Promise<void> {
    if (this.#command === null) throw new Error(`${this.#plan.name} has not begun`);
    await this.kill("SIGTERM");
    await waitFor(() => isFree(this.#port), `port ${this.#port} is free again`);
    await this.#run();
  }

  /** Stops it where it stands, connections and all; returns when every thread of it has. */
  freeze(): void {
    const child = this.#child;
    if (child === null) return;
    child.kill("SIGSTOP");
    const end = performance.now() + FREEZE_MS_MAX;
    while (!isStopped(child.pid) && performance.now() < end) Bun.sleepSync(1);
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #run(): Promise<void> {
    const { program, args, env } = this.#command!;
    this.#logFrom = this.log.length;
    const log = openSync(this.#logPath, "a");
    try {
      this.#child = Bun.spawn([...boundToUs(), program, ...args], {
        cwd: this.folder,
        env: { ...process.env, ...env },
        stdin: "ignore",
        stdout: log,
        stderr: log,
      });
    } finally {
      closeSync(log);
    }
    await this.#isReady(this.#child);
  }

  async #isReady(child: Bun.Subprocess): Promise<void> {
    const { name, listens, readyMsMax, ready } = this.#plan;
    const end = performance.now() + readyMsMax;
    let last = "";
    while (true) {
      if (hasEnded(child)) throw new Error(`${name} ended before it was ready: ${this.tail}`);
      try {
        if (this.log.slice(this.#logFrom).includes(listens) && (await ready(this.#port))) break;
      } catch (error) {
        last = error instanceof Error ? error.message : String(error);
      }
      if (performance.now() > end)
        throw new Error(`${name} is not ready on port ${this.#port} after ${readyMsMax} ms (${last}): ${this.tail}`);
      await Bun.sleep(20);
    }
  }

  get #logPath(): string {
    return join(this.folder, "output.log");
  }

  #remove(): void {
    begun.delete(this);
    if (this.#plan.folder === undefined) rmSync(this.folder, { recursive: true, force: true });
  }
}

const hasEnded = (child: Bun.Subprocess): boolean => child.exitCode !== null || child.signalCode !== null;

/** True where the system does not tell. */
function isStopped(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return true;
  try {
    return readdirSync(tasks).every((task) => /\) T /.test(readFileSync(join(tasks, task, "stat"), "utf8")));
  } catch (error) {
    // A thread that ended meanwhile.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** What ends a program with the thread that started it, also when that is killed. */
function boundToUs(): string[] {
  const setpriv = process.platform === "linux" ? Bun.which("setpriv") : null;
  return setpriv === null ? [] : [setpriv, "--pdeathsig", "KILL", "--"];
}
