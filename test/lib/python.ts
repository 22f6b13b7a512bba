/** Python packages of tests: had by scripts/python.mjs, which installs what is missing. */
import { join } from "node:path";

const SCRIPT = join(import.meta.dir, "../../scripts/python.mjs");

export interface PythonPackage {
  /** The interpreter. */
  readonly python: string;
  /** The folder to be its PYTHONPATH. */
  readonly path: string;
}

/** Of a package that the script knows; rejects with a sentence that says what to install. */
export async function pythonWith(name: string): Promise<PythonPackage> {
  const child = Bun.spawn([nodeProgram(), SCRIPT, name], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, errors, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status !== 0) throw new Error(errors.trim());
  return JSON.parse(out) as PythonPackage;
}

/** What finds its packages there and nowhere else, and leaves nothing behind. */
export const pythonEnv = (path: string): Record<string, string> => ({
  PYTHONPATH: path,
  PYTHONNOUSERSITE: "1",
  PYTHONDONTWRITEBYTECODE: "1",
});

export function nodeProgram(): string {
  const path = Bun.which("node");
  if (path === null) throw new Error("there is no node on the PATH: install Node 20 or newer");
  return path;
}
