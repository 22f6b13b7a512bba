/** `npm start`: installs what is missing, then runs a node. Flags pass through: `npm start -- --port 8100`. */
import { join } from "node:path";
import { ensureInstalled, root, runBun } from "./install.mjs";

await ensureInstalled({ dev: false });
runBun([join(root, "bin", "tidegate.ts"), "serve", ...process.argv.slice(2)]);
