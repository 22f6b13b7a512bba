/** The C programs of bench/c, compiled into bench/out when their source is newer. */
import { existsSync, mkdirSync, statSync } from "node:fs";

const SOURCES = `${import.meta.dir}/../c`;
export const OUT = `${import.meta.dir}/../out`;

/** Path of the compiled program. Throws one clear sentence if there is no compiler or it refuses the source. */
export function compiled(name: "load" | "rest" | "send"): string {
  mkdirSync(OUT, { recursive: true });
  const program = `${OUT}/${name}`;
  const sources = [`${SOURCES}/${name}.c`, `${SOURCES}/common.h`, `${SOURCES}/histogram.h`];
  if (existsSync(program) && sources.every((file) => statSync(file).mtimeMs < statSync(program).mtimeMs))
    return program;
  const compiler = Bun.which("cc");
  if (compiler === null) {
    throw new Error(
      "this benchmark needs a C compiler for its load client and baseline: install one so that `cc` is found",
    );
  }
  const run = Bun.spawnSync([compiler, "-O2", "-Wall", "-Wextra", "-o", program, sources[0]!]);
  if (run.exitCode !== 0) throw new Error(`cc could not compile ${sources[0]}:\n${run.stderr.toString()}`);
  return program;
}
