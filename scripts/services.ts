/**
 * Real servers for a person: started on their usual ports where these are free, their addresses printed, stopped by Ctrl-C.
 *
 * Invariants: whatever ends this ends them; without `--data` nothing of them stays. One that ends by itself ends all.
 */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { startKafka, startNats, startRedis } from "../test/lib/services/mod.ts";
import type { RealServer } from "../test/lib/services/server.ts";

const HELP = `npm run services [-- OPTIONS]

Starts Redis, NATS (with JetStream) and Kafka on their usual ports, on free ones if these are taken, and
prints their addresses. Missing servers are fetched into .cache first. Ctrl-C stops them.

  --only LIST   some of them: redis,nats,kafka
  --data DIR    keeps their data in DIR; without it they start empty and leave nothing behind
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

const LOOK_MS = 500;

const stopped = Promise.withResolvers<number>();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stopped.resolve(0));
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
  const data = values.data === undefined ? null : resolve(values.data);
  const outcomes = await Promise.allSettled(names.map((name) => start(name, data)));
  const servers = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  for (const outcome of outcomes)
    if (outcome.status === "rejected")
      console.error(outcome.reason instanceof Error ? outcome.reason.message : outcome.reason);
  let status = 1;
  if (servers.length === names.length) {
    tell(servers);
    const timer = setInterval(() => watch(servers), LOOK_MS);
    status = await stopped.promise;
    clearInterval(timer);
  }
  await Promise.all(
    servers.map(async ({ server }) => {
      if (data !== null) await server.kill("SIGTERM");
      await server.stop();
    }),
  );
  return status;
}

interface Started {
  readonly name: string;
  readonly server: RealServer & { readonly url: string };
}

async function start(name: string, data: string | null): Promise<Started> {
  const { title, port, start } = SERVICES[name]!;
  console.error(`starting ${title} ...`);
  const options: { port: number; folder?: string } = { port };
  if (data !== null) {
    options.folder = join(data, name);
    mkdirSync(options.folder, { recursive: true });
  }
  return { name, server: await start(options) };
}

function tell(servers: readonly Started[]): void {
  console.log();
  for (const { name, server } of servers)
    console.log(`  ${SERVICES[name]!.title.padEnd(6)} ${server.url.padEnd(24)} ${server.about}`);
  const kafka = servers.find(({ name }) => name === "kafka")?.server.url;
  const redis = servers.find(({ name }) => name === "redis")?.server.url;
  const nats = servers.find(({ name }) => name === "nats")?.server.url;
  const flags = [
    nats === undefined ? "" : `--bus nats --bus-servers ${nats}`,
    redis === undefined ? "" : `--checkpoints ${redis}`,
  ];
  if (kafka !== undefined) console.log(`\n  try    npm run kafka -- topics --bootstrap-server ${kafka} --list`);
  else if (flags.join("") !== "")
    console.log(`\n  try    npm start -- ${flags.filter((flag) => flag !== "").join(" ")}`);
  console.log("  read   docs/operations.md, Two nodes by hand\n  stop   Ctrl-C\n");
}

function watch(servers: readonly Started[]): void {
  for (const { name, server } of servers) {
    if (server.running) continue;
    console.error(
      `${SERVICES[name]!.title} has ended by itself:\n${server.log.trim().split("\n").slice(-10).join("\n")}`,
    );
    stopped.resolve(1);
  }
}
