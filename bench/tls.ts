/**
 * Benchmark: what TLS and permessage-deflate cost: CPU per delivered message, memory per connection, bytes on the wire.
 *
 * The gateway, plain and with TLS, and beside it a bare Bun.serve that publishes the same kind of frames: plain, TLS, and
 * each with permessage-deflate (the gateway does not have it: docs/decisions/). A fresh server process per run, the
 * order reversed every round. Expected: everybody gets everything; where not, the program fails.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { TempFolder } from "../test/lib/temp-folder.ts";
import { selfSigned } from "../test/venue/certificate.ts";
import { type Child, startChild } from "./lib/fanout-child.ts";
import { fixed, grouped, machineBusySeconds, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";
import { gatewayCommand } from "./lib/fanout-servers.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "10" },
    connections: { type: "string", default: "1000" },
    rate: { type: "string", default: "30" },
    size: { type: "string", default: "400" },
    only: { type: "string", default: "" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`bun bench/tls.ts [--rounds 5] [--seconds 10] [--connections 1000] [--rate 30] [--size 400] [--only VARIANT,..]
  --rate  frames per second, each to every connection
  --size  bytes of a frame`);
  process.exit(0);
}

type Variant = {
  readonly name: string;
  readonly server: "gateway" | "bare";
  readonly tls: boolean;
  readonly deflate: string;
};
const VARIANTS: readonly Variant[] = [
  { name: "gateway", server: "gateway", tls: false, deflate: "" },
  { name: "gateway TLS", server: "gateway", tls: true, deflate: "" },
  { name: "bare", server: "bare", tls: false, deflate: "" },
  { name: "bare TLS", server: "bare", tls: true, deflate: "" },
  { name: "bare deflate shared", server: "bare", tls: false, deflate: "shared" },
  { name: "bare deflate dedicated", server: "bare", tls: false, deflate: "dedicated" },
  { name: "bare TLS deflate shared", server: "bare", tls: true, deflate: "shared" },
];
const connections = Number(values.connections);
const seconds = Number(values.seconds);
const only = values.only.split(",").filter((name) => name !== "");
const variants = VARIANTS.filter(({ name }) => only.length === 0 || only.includes(name));
/** Before a resident set is read, and before the window. */
const SETTLE_MS = 2000;

interface Run {
  readonly variant: string;
  readonly round: number;
  readonly delivered: number;
  readonly cpuUs: number;
  readonly wireBytes: number;
  readonly connectionKib: number;
  readonly extensions: string;
  readonly others: number;
  readonly fault: string;
}

interface Server {
  readonly child: Child;
  readonly port: number;
  readonly path: string;
  readonly send: string;
  /** Messages handed to sockets so far. */
  delivered(): Promise<number>;
}

using folder = new TempFolder();
const pair = selfSigned();
const tlsFlags = ["--tls-cert", folder.write("cert.pem", pair.cert), "--tls-key", folder.write("key.pem", pair.key)];

const runs: Run[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  for (const variant of round % 2 === 0 ? variants : [...variants].reverse()) runs.push(await measure(variant, round));
}
await report();

async function measure(variant: Variant, round: number): Promise<Run> {
  const server = await (variant.server === "gateway" ? startGateway(variant.tls) : startBare(variant));
  const flags = ["--port", String(server.port), "--path", server.path, "--send", server.send];
  const program = `${import.meta.dir}/lib/tls-clients.ts`;
  const all = [...flags, "--connections", String(connections), ...(variant.tls ? ["--tls"] : [])];
  let clients: Child | null = null;
  try {
    await Bun.sleep(SETTLE_MS);
    const before = residentBytes(server.child.pid);
    clients = startChild([process.execPath, program, ...all]);
    const { extensions } = await event<{ extensions: string }>(clients);
    await Bun.sleep(SETTLE_MS);
    const connectionKib = (residentBytes(server.child.pid) - before) / connections / 1024;
    const start = await look(server, clients);
    await Bun.sleep(seconds * 1000);
    const end = await look(server, clients);
    const delivered = end.delivered - start.delivered;
    const cpu = end.cpu - start.cpu;
    const due = Number(values.rate) * connections * seconds;
    const run: Run = {
      variant: variant.name,
      round,
      delivered,
      cpuUs: (cpu * 1e6) / delivered,
      wireBytes: (end.bytes - start.bytes) / delivered,
      connectionKib,
      extensions,
      others: (end.busy - start.busy - cpu) / seconds,
      fault: delivered < due * 0.9 ? `${grouped(delivered)} of ${grouped(due)} were delivered` : "",
    };
    console.log(lineOf(run));
    return run;
  } finally {
    await clients?.stop();
    await server.child.stop();
  }
}

async function look(server: Server, clients: Child) {
  const cpu = cpuSeconds(server.child.pid);
  const busy = machineBusySeconds();
  const delivered = await server.delivered();
  clients.ask();
  const { bytes } = await event<{ bytes: number }>(clients);
  return { cpu, busy, delivered, bytes };
}

async function startBare({ tls, deflate }: Variant): Promise<Server> {
  const flags = ["--rate", values.rate, "--size", values.size, "--deflate", deflate, ...(tls ? ["--tls"] : [])];
  const child = startChild([process.execPath, `${import.meta.dir}/lib/tls-bare.ts`, ...flags]);
  const { port } = await event<{ port: number }>(child);
  const delivered = async (): Promise<number> => {
    child.ask();
    return (await event<{ published: number }>(child)).published * connections;
  };
  return { child, port, path: "/", send: "", delivered };
}

async function startGateway(tls: boolean): Promise<Server> {
  const flags = [
    "--port",
    "0",
    "--admin-port",
    "0",
    "--workers",
    "1",
    "--log-format",
    "json",
    ...(tls ? tlsFlags : []),
  ];
  const shape = `channels=1,rate=${values.rate},size=${values.size}`;
  const child = startChild([...gatewayCommand(), "serve", ...flags, "--synthetic", shape], {
    NODE_ENV: "production",
    TIDEGATE_DRAIN_SECONDS: "0",
  });
  for (let line = await child.line(); line !== null; line = await child.line()) {
    if (!line.includes('"node is up"')) continue;
    const { public: url, admin } = JSON.parse(line) as { public: string; admin: string };
    const delivered = async (): Promise<number> => {
      const text = await (await fetch(`${admin}/metrics`)).text();
      return Number(/^tidegate_delivered_total (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
    };
    const send = JSON.stringify({ id: 1, op: "subscribe", channels: ["c0"] });
    return { child, port: Number(new URL(url).port), path: "/ws/quote/v1", send, delivered };
  }
  throw new Error(`the gateway did not start: ${child.errors()}`);
}

async function event<Event>(child: Child): Promise<Event> {
  const line = await child.line();
  if (line === null) throw new Error(`a program ended: ${child.errors()}`);
  return JSON.parse(line) as Event;
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;
}

/** User and system time of all its threads; the clock of /proc ticks 100 times a second. */
function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function lineOf(run: Run): string {
  return (
    `${run.variant.padEnd(24)} round ${run.round + 1}: ${fixed(run.cpuUs, 2)} us of CPU and ${fixed(run.wireBytes, 0)} bytes per message, ` +
    `${fixed(run.connectionKib, 1)} KiB per connection (${run.extensions}); others ${fixed(run.others, 2)} cores` +
    (run.fault === "" ? "" : `  FAULT: ${run.fault}`)
  );
}

async function report(): Promise<void> {
  const rows: string[][] = [];
  const summary: SummaryRow[] = [];
  for (const { name } of variants) {
    const of = (pick: (run: Run) => number): number => median(runs.filter(({ variant }) => variant === name).map(pick));
    const [cpu, wire, kib] = [
      of(({ cpuUs }) => cpuUs),
      of(({ wireBytes }) => wireBytes),
      of((run) => run.connectionKib),
    ];
    rows.push([name, fixed(cpu, 2), fixed(wire, 0), fixed(kib, 1)]);
    const value = `${fixed(cpu, 2)} us, ${fixed(wire, 0)} bytes, ${fixed(kib, 1)} KiB`;
    summary.push({ what: `${name}: CPU and bytes per message, memory per connection`, value, aim: "", met: null });
  }
  console.log(`\n${table(["", "CPU us/message", "bytes/message", "KiB/connection"], rows)}`);
  await save("tls", { summary, runs });
  if (runs.some(({ fault }) => fault !== "")) process.exit(1);
}
