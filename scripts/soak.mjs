/**
 * `npm run soak [-- --seconds 300] [--seed 1]`: installs what is missing and runs the soak (test/soak/books.ts): books of
 * real client libraries in a bad network. Exit status 1 if a book was not exact.
 */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { bunFlags, ensureInstalled, findBun, root } from "./install.mjs";

await ensureInstalled({ dev: true });
const program = join(root, "test", "soak", "books.ts");
const { status } = spawnSync(findBun(), [...bunFlags, program, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
process.exitCode = status ?? 1;
