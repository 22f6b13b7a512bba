/**
 * Runs cases of the Autobahn suite (PyPI `kosoku`, scripts/python.mjs) against a server and compares what they end with to
 * the list of known ones (known.ts).
 *
 * Many cases give the server one second. On a machine that is busy with other things that is not always enough, so what
 * ends otherwise than it should is run again, by itself.
 */
import { join } from "node:path";
import { pythonEnv, pythonWith } from "../lib/python.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { KNOWN, type Known } from "./known.ts";

export interface Outcome {
  /** OK, NON-STRICT, INFORMATIONAL, UNIMPLEMENTED or FAILED. */
  readonly behavior: string;
  /** The same of how the connection was closed. */
  readonly close: string;
}

export interface Selection {
  /** Case ids, or globs such as `12.*`; none: all. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  /** How often what ended wrong is run again. */
  readonly again?: number;
}

export interface Verdict {
  /** Cases that were run. */
  readonly cases: number;
  /** Of these, how many ended with OK. */
  readonly ok: number;
  /** One sentence for each that did not end as it should. */
  readonly faults: readonly string[];
}

const AT_ONCE = 4;
const AGAIN_MAX = 2;
const MAIN = "import sys; from kosoku._cli import main; sys.exit(main())";
const OK: Outcome = { behavior: "OK", close: "OK" };

export async function judge(
  port: number,
  selection: Selection,
  known: Readonly<Record<string, Known>> = KNOWN,
): Promise<Verdict> {
  const outcomes = await runCases(port, selection, AT_ONCE);
  const wrong = (): string[] => [...outcomes.keys()].filter((id) => !same(outcomes.get(id)!, known[id] ?? OK));
  for (let again = 0; again < (selection.again ?? AGAIN_MAX) && wrong().length > 0; again++)
    for (const [id, outcome] of await runCases(port, { include: wrong() }, 1)) outcomes.set(id, outcome);
  const faults = wrong().map((id) => {
    const { behavior, close } = known[id] ?? OK;
    const had = outcomes.get(id)!;
    return `case ${id} ended with ${had.behavior}, closed ${had.close}; it should be ${behavior}, closed ${close}`;
  });
  return { cases: outcomes.size, ok: [...outcomes.values()].filter((had) => same(had, OK)).length, faults };
}

const same = (a: Outcome, b: Outcome): boolean => a.behavior === b.behavior && a.close === b.close;

/** Rejects with a sentence if Python or the package cannot be had, or if the suite did not run. */
async function runCases(port: number, selection: Selection, atOnce: number): Promise<Map<string, Outcome>> {
  const { python, path } = await pythonWith("kosoku");
  using folder = new TempFolder();
  const { include = [], exclude = [] } = selection;
  const args = ["-p", String(atOnce), "-o", folder.path];
  for (const id of include) args.push("-i", id);
  for (const id of exclude) args.push("-x", id);
  const child = Bun.spawn([python, "-c", MAIN, ...args, `127.0.0.1:${port}`], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...pythonEnv(path) },
  });
  // Its exit status says less than its report: it is 1 also where a case was not implemented.
  const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  const index = Bun.file(join(folder.path, "index.json"));
  if (!(await index.exists())) throw new Error(`kosoku wrote no report: ${said.join("\n")}`);
  const agents = (await index.json()) as Record<string, Record<string, { behavior: string; behaviorClose: string }>>;
  const cases = Object.values(agents)[0] ?? {};
  return new Map(
    Object.entries(cases).map(([id, { behavior, behaviorClose }]) => [id, { behavior, close: behaviorClose }]),
  );
}
