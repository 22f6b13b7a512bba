/** The command line's real surroundings: terminal, environment, signals and the node. */
import { systemClock } from "../lib/clock.ts";
import type { LoadSurroundings } from "./load.ts";
import type { CliWorld } from "./program.ts";
import type { TailWorld } from "./tail/tail.ts";
import type { Output } from "./tail/view.ts";

export const realWorld = (): CliWorld => ({
  env: process.env,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  loadNode: async () => (await import("../node.ts")).startNode,
  loadConfigTools: () => import("./config/tools.ts"),
  tailWorld,
  loadSurroundings,
});

function output(stream: NodeJS.WriteStream): Output {
  return {
    write: (text) => void stream.write(text),
    get waitingBytes() {
      return stream.writableLength;
    },
  };
}

function tailWorld(): TailWorld {
  const clock = systemClock();
  const ends: (() => void)[] = [];
  const end = (): void => {
    for (const call of ends) call();
  };
  process.on("SIGINT", end);
  process.on("SIGTERM", end);
  // The reader of a pipe went away (`| head`): nothing is wrong.
  process.stdout.on("error", end);
  return {
    outputs: { out: output(process.stdout), err: output(process.stderr) },
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
    stdin: () => Bun.stdin.stream(),
  };
}
