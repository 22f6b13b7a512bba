#!/usr/bin/env node
/** The command line, `tidegate <command>`, for a shell that has Node: finds Bun and hands over to bin/tidegate.ts. */
import { join } from "node:path";
import { ensureInstalled, root, runBun } from "./install.mjs";

await ensureInstalled({ dev: false });
runBun([join(root, "bin", "tidegate.ts"), ...process.argv.slice(2)]);
