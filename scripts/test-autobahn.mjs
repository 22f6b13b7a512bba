/**
 * `npm run test:autobahn`: installs what is missing, PyPI `kosoku` among it (python.mjs), and runs the cases of the Autobahn
 * suite against our listener (test/autobahn/run.ts). Exit status 1 if a case did not end as it should.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { bunFlags, ensureInstalled, findBun, root } from "./install.mjs";

await ensureInstalled({ dev: true });
const program = join(root, "test", "autobahn", "run.ts");
const { status } = spawnSync(findBun(), [...bunFlags, program], { cwd: root, stdio: "inherit" });
process.exitCode = status ?? 1;
