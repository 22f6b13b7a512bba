/** The command line's real surroundings: terminal, environment, signals and the node. */
import { systemClock } from "../lib/clock.ts";
import type { LoadSurroundings } from "./load.ts";
import type { CliWorld } from "./program.ts";
import { Stdout } from "./stdout.ts";
import type { TailWorld } from "./tail/tail.ts";

const stdout = new Stdout(process.stdout);
// Told to whoever wrote; without a listener it would end the program.
process.stdout.on("error", () => undefined);

export const realWorld = (): CliWorld => ({
  env: process.env,
  out: (text) => stdout.write(text),
  stdout,
  err: (text) => void process.stderr.write(text),
  loadNode: async () => (await import("../node.ts")).startNode,
  loadConfigTools: () => import("./config/tools.ts"),
  tailWorld,
  loadSurroundings,
});

function tailWorld(): TailWorld {
  const clock = systemClock();
  const ends: (() => void)[] = [];
  const end = (): void => {
    for (const call of ends) call();
  };
  const interrupt = (): void => {
    stdout.abandon();
    end();
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  // The reader of a pipe went away, or a disk is full: nobody gets what would come.
  process.stdout.on("error", end);
  return {
    outputs: { out: stdout, err: { write: (text) => void process.stderr.write(text), waitingBytes: 0 } },
    abandon: () => stdout.abandon(),
    size: () => (process.stdout.isTTY ? { columns: process.stdout.columns, rows: process.stdout.rows } : null),
    nowUs: () => clock.wallUs(),
    onEnd: (call) => ends.push(call),
  };
}

function loadSurroundings(): LoadSurroundings {
  return {
    progress: {
      write: (text) => void process.stderr.write(text),
      columns: () => (process.stderr.isTTY ? process.stderr.columns : null),
    },
    // In the one-file build the program is its own interpreter.
    partCommand: [
      process.execPath,
      ...(Bun.main.startsWith("/$bunfs/") ? [] : [...process.execArgv, Bun.main]),
      "load",
      "--part",
    ],
    onEnd(call) {
      process.on("SIGINT", call);
      process.on("SIGTERM", call);
    },
    stdin() {
      if (process.stdin.isTTY)
        process.stderr.write("reading records from the terminal, one a line; Ctrl-D ends them\n");
      return Bun.stdin.stream();
    },
  };
}
