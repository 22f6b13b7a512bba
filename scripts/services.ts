/**
 * Real servers for a person: started on their usual ports where these are free, their addresses printed, stopped by Ctrl-C.
 *
 * Invariants: whatever ends this ends them; without `--data` nothing of them stays, which is said at the start. One that ends
 * by itself is told and started again over its data; the others go on.
 * At the limit: one that cannot be started again, or has ended more than RESTARTS_MAX times, stays down; when all are, this
 * ends with status 1.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { startKafka, startNats, startRedis } from "../test/lib/services/mod.ts";
import type { RealServer } from "../test/lib/services/server.ts";

const HELP = `npm run services [-- OPTIONS]

Starts Redis, NATS (with JetStream) and Kafka on their usual ports, on free ones if these are taken, and
prints their addresses. Missing servers are fetched into .cache first. Ctrl-C stops them. One that ends by
itself is started again over its data.

  --only LIST   some of them: redis,nats,kafka
  --data DIR    keeps their data and logs in DIR; without it they start empty, in a temporary folder that is
                removed at the end
  --help        this

Each may be one of yours: REDIS_SERVER and NATS_SERVER name a program, KAFKA_HOME an unpacked Kafka.`;

interface Service {
  readonly title: string;
  readonly port: number;
  start(options: { port: number; folder?: string }): Promise<RealServer & { readonly url: string }>;
}

/** A topic is there when somebody writes to it, with one partition: its records then need no key to stay in order. */
const KAFKA_SETTINGS = ["auto.create.topics.enable=true", "num.partitions=1"];

const SERVICES: Readonly<Record<string, Service>> = {
  redis: { title: "Redis", port: 6379, start: startRedis },
  nats: { title: "NATS", port: 4222, start: startNats },
  kafka: {
    title: "Kafka",
    port: 9092,
    start: (options) => startKafka({ ...options, settings: KAFKA_SETTINGS }),
  },
};

const LOOK_MS = 200;
/** Of each server. */
const RESTARTS_MAX = 3;

interface Started {
  readonly name: string;
  readonly title: string;
  readonly server: RealServer & { readonly url: string };
  restarts: number;
  /** It has ended, and is not started again. */
  isDown: boolean;
}

const stopped = Promise.withResolvers<number>();
let isStopping = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    isStopping = true;
    stopped.resolve(0);
  });
}
process.exit(await main());

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { only: { type: "string" }, data: { type: "string" }, help: { type: "boolean", default: false } },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const names = values.only === undefined ? Object.keys(SERVICES) : values.only.split(",").map((name) => name.trim());
  for (const name of names) {
    if (SERVICES[name] !== undefined) continue;
    console.error(`unknown service "${name}": there are ${Object.keys(SERVICES).join(", ")}`);
    return 2;
  }
  const isKept = values.data !== undefined;
  const data = values.data === undefined ? mkdtempSync(join(tmpdir(), "tidegate-services-")) : resolve(values.data);
  if (!isKept) process.on("exit", () => rmSync(data, { recursive: true, force: true, maxRetries: 5 }));
  const outcomes = await Promise.allSettled(names.map((name) => start(name, data)));
  const servers = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  let status = 1;
  if (servers.length === names.length) {
    tell(servers, data, isKept);
    const watching = watch(servers);
    status = await stopped.promise;
    isStopping = true;
    await end(servers, isKept);
    await watching;
  } else {
    tellMissing(names, outcomes);
  }
  await end(servers, isKept);
  return status;
}

/** With an orderly end what they hold is on disk. */
async function end(servers: readonly Started[], isKept: boolean): Promise<void> {
  await Promise.all(servers.map(({ server }) => server.kill(isKept ? "SIGTERM" : "SIGKILL")));
}

async function start(name: string, data: string): Promise<Started> {
  const { title, port, start } = SERVICES[name]!;
  console.error(`starting ${title} ...`);
  const folder = join(data, name);
  mkdirSync(folder, { recursive: true });
  return { name, title, server: await start({ port, folder }), restarts: 0, isDown: false };
}

function tellMissing(names: readonly string[], outcomes: readonly PromiseSettledResult<Started>[]): void {
  for (const outcome of outcomes)
    if (outcome.status === "rejected")
      console.error(outcome.reason instanceof Error ? outcome.reason.message : outcome.reason);
  const others = names.filter((_, at) => outcomes[at]?.status === "fulfilled");
  if (others.length > 0) console.error(`so none is left running; without it: --only ${others.join(",")}`);
}

function tell(servers: readonly Started[], data: string, isKept: boolean): void {
  console.log();
  for (const { title, server } of servers) console.log(`  ${title.padEnd(6)} ${server.url.padEnd(24)} ${server.about}`);
  const kafka = servers.find(({ name }) => name === "kafka")?.server.url;
  const redis = servers.find(({ name }) => name === "redis")?.server.url;
  const nats = servers.find(({ name }) => name === "nats")?.server.url;
  const flags = [
    nats === undefined ? "" : `--bus nats --bus-servers ${nats}`,
    redis === undefined ? "" : `--checkpoints ${redis}`,
  ];
  const fate = isKept ? "kept" : "removed at the end; --data DIR keeps it";
  console.log(`\n  data   ${data} (${fate})`);
  if (kafka !== undefined) console.log(`  try    npm run kafka -- topics --bootstrap-server ${kafka} --list`);
  else if (flags.join("") !== "") console.log(`  try    npm start -- ${flags.filter((flag) => flag !== "").join(" ")}`);
  console.log("  read   docs/operations.md, Two nodes by hand\n  stop   Ctrl-C\n");
}

/** Looks after them until they are to be stopped. */
async function watch(servers: readonly Started[]): Promise<void> {
  while (!isStopping) {
    await Bun.sleep(LOOK_MS);
    const ended = servers.filter(({ server, isDown }) => !server.running && !isDown);
    // Ctrl-C reaches them as well as us, perhaps before us.
    if (ended.length > 0) await Bun.sleep(LOOK_MS);
    await Promise.all(ended.map(mend));
    if (servers.some(({ isDown }) => !isDown) || isStopping) continue;
    console.error("None of them is left: this ends too.");
    stopped.resolve(1);
    return;
  }
}

async function mend(one: Started): Promise<void> {
  if (isStopping) return;
  const { title, server } = one;
  console.error(`${title} has ended by itself (${server.ending}). The end of its log:${server.tail}`);
  const staysDown = "it stays down, the others go on; Ctrl-C stops them";
  one.isDown = one.restarts === RESTARTS_MAX;
  if (one.isDown) {
    console.error(`${title} was started again ${RESTARTS_MAX} times already: ${staysDown}.`);
    return;
  }
  one.restarts++;
  console.error(`${title} is started again over its data; the others go on.`);
  try {
    await server.restart();
    console.error(`${title} is back at ${server.url}.`);
  } catch (error) {
    if (isStopping) return;
    one.isDown = true;
    console.error(`${title} cannot be started again: ${staysDown}. ${error instanceof Error ? error.message : error}`);
  }
}
