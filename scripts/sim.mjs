/**
 * `npm run sim [-- OPTIONS]`: installs what is missing and plays seeds of the simulation (docs/simulation.md).
 *
 * `--seed N [--verbose]`: one, with all that happens. `--from N --count M` (default 0 and 1000): many, with a line every
 * few seconds. Exit status 1 if any broke a rule.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { bunFlags, ensureInstalled, findBun, root } from "./install.mjs";

await ensureInstalled({ dev: true });
const program = join(root, "test", "sim", "run.ts");
const { status } = spawnSync(findBun(), [...bunFlags, program, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
process.exitCode = status ?? 1;
