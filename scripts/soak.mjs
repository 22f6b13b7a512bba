/**
 * `npm run soak [-- NAME OPTIONS]`: installs what is missing and runs a soak of test/soak.
 *
 * Exit status 1 if anything was wrong, 2 if what was asked for does not exist.
 */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { bunFlags, ensureInstalled, findBun, root, stop } from "./install.mjs";

const SOAKS = {
  books: "books of real client libraries in a bad network: --seconds 300 --seed 1 (the default)",
  churn: "clients that come and go, and nothing of the node may grow: --cycles 20000 --seconds 600",
  jitter: "clients without a connection for 1 s in every 5 that come back with since: --clients 1000 --seconds 120",
  still: "a network that stops for 20 s and comes back: --clients 20 --still-ms 20000 --rounds 3",
  brokers: `two nodes over real Kafka, NATS and Redis that are killed and hung:
             --rate 5000 --symbols 50 --seconds 600 --kills 3 --hangs 1 --hang-ms 15000`,
};
const HELP = `npm run soak [-- NAME OPTIONS]

${Object.entries(SOAKS)
  .map(([name, what]) => `  ${name.padEnd(10)} ${what}`)
  .join("\n")}

Options are shown with their defaults; --seed N makes another run. Exit status 1 if anything was wrong.`;

const args = process.argv.slice(2);
if (args.includes("--help") || args.includes("-h")) {
  console.log(HELP);
  process.exit(0);
}
const name = args[0] === undefined || args[0].startsWith("-") ? "books" : args.shift();
if (!Object.hasOwn(SOAKS, name)) stop(`unknown soak ${name}: there are ${Object.keys(SOAKS).join(", ")}`, 2);
await ensureInstalled({ dev: true });
const program = join(root, "test", "soak", `${name}.ts`);
const { status } = spawnSync(findBun(), [...bunFlags, program, ...args], {
  cwd: root,
  stdio: "inherit",
});
process.exitCode = status ?? 1;
