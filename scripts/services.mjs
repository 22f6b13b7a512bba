/**
 * `npm run services [-- --only redis,nats]`: Redis, NATS with JetStream and Kafka for a person, until Ctrl-C.
 *
 * What is missing is fetched first (scripts/servers), with its progress on stderr.
 */
import { join } from "node:path";
import { ensureInstalled, root, runBun } from "./install.mjs";

await ensureInstalled({ dev: false });
runBun([join(root, "scripts", "services.ts"), ...process.argv.slice(2)]);
