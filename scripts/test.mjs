/**
 * `npm test`: installs what is missing and runs every check: format, lint, types, import rules, tests.
 *
 * Servers that the tests use (scripts/servers) are fetched first; without one, the tests that need it fail and say so.
 *
 * `npm test -- <filter>` runs only the tests whose file name matches. Each step is one line, with its output if it
 * failed. The last line is `N passed, N failed`: tests, and one more failure for each failed step before them.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { bunFlags, capture, ensureInstalled, findBun, root } from "./install.mjs";

const filters = process.argv.slice(2);
await ensureInstalled({ dev: true });
const bun = findBun();
const tool = (name) => join(root, "node_modules", ".bin", name);

/** Tests may take this long each unless they say otherwise. */
const testMsMax = 20_000;

const checks = [
  ["format", tool("biome"), ["format", "--colors=off"]],
  ["lint", tool("biome"), ["lint", "--colors=off", "--error-on-warnings"]],
  ["types", tool("tsc"), ["-p", root]],
  ["import rules", bun, [join(root, "scripts", "import-rules.mjs")]],
];
/** A suite that hangs is ended then; it takes a few minutes. */
const suiteMsMax = 30 * 60_000;
const progressMs = 30_000;
/** Fetching all servers takes half a minute, once. */
const servicesMsMax = 10 * 60_000;
/** Files run three at a time, for a third of their time is waiting, and those that took longest first; `npm run test:timings` measures them again. */
const parallel = ["--parallel=3", `--timings=${join(root, "test", "timings.json")}`];
const tests = ["tests", bun, [...bunFlags, "test", `--timeout=${testMsMax}`, ...parallel, ...filters]];

const countingLine = /^(?: *\d+ (?:pass|fail|skip|todo|errors?|snapshots.*|expect\(\) calls)|Ran \d+ tests? .*)$\n?/gm;

let failed = 0;
if (filters.length === 0)
  for (const [name, command, args] of checks) failed += (await step(name, command, args)).failed;

// Before the tests: their own time is not for downloads. What cannot be had is told here and missed there.
const services = [join(root, "scripts", "servers", "mod.mjs")];
const { output: had } = await step("services", process.execPath, services, { limitMs: servicesMsMax });
for (const line of had.match(/^skipped, .*$/gm) ?? []) console.log(line);
const feeds = process.env.TIDEGATE_FEEDS ?? join(root, "..", "shared", "feeds");
if (!existsSync(feeds)) console.log(`${feeds} is absent: the tests that need recorded feeds are skipped`);
const result = await step(...tests, { heard: progress(), limitMs: suiteMsMax });
const counts = counted(result.output);
console.log(counts.lines.join("\n"));
// A run that died before it counted, or that failed outside of any test, is a failure too.
failed += Math.max(counts.failed, result.failed);
console.log(`${counts.passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Says now and then how far the tests are. */
function progress() {
  const started = performance.now();
  let saidMs = started;
  return (output) => {
    const nowMs = performance.now();
    if (nowMs - saidMs < progressMs) return;
    saidMs = nowMs;
    const passed = output.match(/^\(pass\)/gm)?.length ?? 0;
    const failed = output.match(/^\(fail\)/gm)?.length ?? 0;
    const file = output.match(/^\S+\.test\.ts:$/gm)?.at(-1) ?? "";
    const seconds = ((nowMs - started) / 1000).toFixed(0);
    console.log(
      `tests        ${seconds.padStart(4)} s  ${passed} passed, ${failed} failed so far; at ${file.slice(0, -1)}`,
    );
  };
}

async function step(name, command, args, more = {}) {
  const started = performance.now();
  const { status, output } = await capture(command, args, {
    ...more,
    cwd: root,
    env: { ...process.env, NO_COLOR: "1" },
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${name.padEnd(13)}${seconds.padStart(6)} s  ${status === 0 ? "ok" : "failed"}`);
  // What went well is not what one looks for; the counting lines follow below.
  if (status !== 0)
    console.log(
      output
        .replace(/^\((pass|skip)\) .*\n/gm, "")
        .replace(countingLine, "")
        .trim(),
    );
  return { output, failed: status === 0 ? 0 : 1 };
}

/** The counting lines at the end of what `bun test` says. */
function counted(output) {
  const lines = (output.match(countingLine) ?? []).map((line) => line.trimEnd());
  const last = (word) => {
    const line = lines.findLast((text) => new RegExp(`^ *\\d+ ${word}$`).test(text)) ?? "0";
    return Number.parseInt(line, 10);
  };
  return { lines, passed: last("pass"), failed: last("fail") + last("errors?") };
}
