/**
 * `npm run soak [-- NAME OPTIONS]`: installs what is missing and runs a soak of test/soak.
 *
 * books (the default): books of real client libraries in a bad network, `--seconds 300 --seed 1`. churn: clients that come
 * and go, `--cycles 20000 --seconds 600`, and nothing of the node may grow. jitter: clients without a connection for 1 s in
 * every 5 that come back with `since`, `--clients 1000 --seconds 120`. still: a network that stops for 20 s and comes back,
 * `--clients 20 --still-ms 20000`. brokers: two nodes over real Kafka, NATS and Redis that are killed and hung,
 * `--rate 5000 --symbols 50 --seconds 600 --kills 3`. Exit status 1 if anything was wrong.
 */

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { bunFlags, ensureInstalled, findBun, root, stop } from "./install.mjs";

const NAMES = ["books", "churn", "jitter", "still", "brokers"];

await ensureInstalled({ dev: true });
const args = process.argv.slice(2);
const name = args[0] === undefined || args[0].startsWith("-") ? "books" : args.shift();
if (!NAMES.includes(name)) stop(`unknown soak ${name}: there are ${NAMES.join(", ")}`, 2);
const program = join(root, "test", "soak", `${name}.ts`);
const { status } = spawnSync(findBun(), [...bunFlags, program, ...args], {
  cwd: root,
  stdio: "inherit",
});
process.exitCode = status ?? 1;
