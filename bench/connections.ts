/**
 * Benchmark: very many connections on one machine, each with a little traffic; opened and verified by `tidegate load`.
 *
 * 100k: 100,000 sessions on six nodes, 1 message/s each. 50k: 50,000 sessions on three nodes, 1.5 messages/s each.
 * 25k: 25,000 sessions on two nodes, opened at 1,000/s, 16,025 messages/s in all. Topics are spread: each node has 200,
 * each session takes one. A node is a process of its own, because a process has at most 20,000 descriptors here.
 * Expected: every connection is opened at its first try, no chain is broken, no gap is told; else the program fails.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Report } from "../load/mod.ts";
import { fixed, grouped, machineBusySeconds, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";
import { gatewayCommand, type Server, startServe } from "./lib/fanout-servers.ts";
import { faultsOf, startTool } from "./lib/load-tool.ts";

interface Case {
  readonly name: "100k" | "50k" | "25k";
  readonly sessions: number;
  readonly nodes: number;
  /** Messages per second and session. */
  readonly rate: number;
  readonly connectRate: number;
}

const CASES: readonly Case[] = [
  { name: "25k", sessions: 25_000, nodes: 2, rate: 16_025 / 25_000, connectRate: 1000 },
  { name: "50k", sessions: 50_000, nodes: 3, rate: 1.5, connectRate: 2000 },
  { name: "100k", sessions: 100_000, nodes: 6, rate: 1, connectRate: 2000 },
];
const TOPICS = 200;
const SIZE = 200;
const SETTLE_MS = 3000;
const SAMPLE_MS = 500;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "1" },
    seconds: { type: "string", default: "30" },
    only: { type: "string", default: "" },
    scale: { type: "string", default: "1" },
    gateway: { type: "string", default: "" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`bun bench/connections.ts [--rounds 1] [--seconds 30] [--only 25k|50k|100k] [--scale 0.1] [--gateway "COMMAND"]
  --scale    so much of the sessions, the rates per session as they are; what is not 1 meets no aim
  --gateway  command that runs another build of the gateway; "serve --port .. --synthetic .." is put behind it`);
  process.exit(0);
}
const scale = Number(values.scale);
const seconds = Number(values.seconds);
if (!(scale > 0 && scale <= 1) || !(seconds > 0)) throw new Error("--scale is above 0 and up to 1, --seconds above 0");
const command = values.gateway === "" ? gatewayCommand() : values.gateway.split(" ");
const cases = CASES.filter(({ name }) => values.only === "" || values.only === name);

interface Run {
  readonly case: Case["name"];
  readonly round: number;
  readonly report: Report;
  /** Growth of all nodes' resident memory, by session. */
  readonly sessionKib: number;
  /** Cores that the nodes and everything on the machine used while it was measured. */
  readonly serverCores: number;
  readonly machineCores: number;
  readonly faults: readonly string[];
}

const runs: Run[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  for (const one of round % 2 === 0 ? cases : [...cases].reverse()) {
    const run = await measure(one, round);
    runs.push(run);
    console.log(lineOf(run));
  }
}
await finish();

async function measure(one: Case, round: number): Promise<Run> {
  const servers: Server[] = [];
  try {
    const synthetic = `channels=${TOPICS},rate=${one.rate},size=${SIZE},spread`;
    for (let at = 0; at < one.nodes; at++)
      servers.push(await startServe(["--synthetic", synthetic, "--ring-bytes", "16MiB"], command));
    await Bun.sleep(SETTLE_MS);
    return await load(one, round, servers);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

async function load(one: Case, round: number, servers: readonly Server[]): Promise<Run> {
  const pids = servers.map(({ pid }) => pid);
  const startBytes = sum(pids.map(residentBytes));
  const sessions = Math.round(one.sessions * scale);
  const tool = startTool([
    ...servers.flatMap(({ port }) => ["--url", String(port)]),
    ...["-c", String(sessions), "--connect-rate", String(one.connectRate), "--per-connection", "1"],
    ...["--subscribe", `c{0..${TOPICS - 1}}`, "--duration", `${seconds}s`, "--warmup", "3s", "--no-reconnect"],
  ]);
  // The window is the end of the run: of the samples those of its length before the report count.
  const samples: { ms: number; bytes: number; cpu: number; busy: number }[] = [];
  const sample = (): void => {
    samples.push({
      ms: performance.now(),
      bytes: sum(pids.map(residentBytes)),
      cpu: sum(pids.map(cpuSeconds)),
      busy: machineBusySeconds(),
    });
  };
  const timer = setInterval(sample, SAMPLE_MS);
  try {
    const report = await tool.report;
    const end = samples.at(-1)!;
    const begin = samples.find(({ ms }) => ms >= end.ms - seconds * 1000) ?? end;
    const took = Math.max(0.001, (end.ms - begin.ms) / 1000);
    return {
      case: one.name,
      round,
      report,
      sessionKib: (Math.max(...samples.map(({ bytes }) => bytes)) - startBytes) / sessions / 1024,
      serverCores: (end.cpu - begin.cpu) / took,
      machineCores: (end.busy - begin.busy) / took,
      faults: faultsOf(report),
    };
  } finally {
    clearInterval(timer);
    await tool.stop();
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN) * 1024;
}

/** User and system time of a process with all its threads. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [user = "0", system = "0"] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13);
  return (Number(user) + Number(system)) / 100;
}

function lineOf({ case: name, round, report, sessionKib, serverCores, machineCores, faults }: Run): string {
  const { connect, latencyMs, rate } = report;
  return (
    `${name.padEnd(4)} round ${round + 1}: ${grouped(connect.opened)} of ${grouped(report.connections)} opened, connect p99 ` +
    `${fixed(connect.ms.p99 ?? undefined, 2)} ms; ${grouped(rate.messagesPerSecond ?? 0)} msg/s, p50 ${fixed(latencyMs.p50 ?? undefined, 2)} ` +
    `p95 ${fixed(latencyMs.p95 ?? undefined, 2)} p99 ${fixed(latencyMs.p99 ?? undefined, 2)} ms; ${fixed(sessionKib, 2)} KiB per session; ` +
    `nodes ${fixed(serverCores, 2)} cores, tool ${fixed(report.tool.cores ?? undefined, 2)}, all ${fixed(machineCores, 2)}` +
    faults.map((fault) => `  FAULT: ${fault}`).join("")
  );
}

async function finish(): Promise<void> {
  const head = ["medians", "sessions", "msg/s", "connect p99", "p50", "p95", "p99", "KiB/session", "nodes' cores"];
  const rows = cases.map(({ name }) => {
    const of = medianOf(name);
    return [
      name,
      grouped(of((run) => run.report.connect.opened)),
      grouped(of((run) => run.report.rate.messagesPerSecond)),
      fixed(
        of((run) => run.report.connect.ms.p99),
        2,
      ),
      ...(["p50", "p95", "p99"] as const).map((share) =>
        fixed(
          of((run) => run.report.latencyMs[share]),
          2,
        ),
      ),
      fixed(
        of((run) => run.sessionKib),
        2,
      ),
      fixed(
        of((run) => run.serverCores),
        2,
      ),
    ];
  });
  console.log(`\n${table(head, rows)}\n`);
  await save("connections", { options: values, summary: cases.flatMap(summaryOf), runs });
  const faulty = runs.filter(({ faults }) => faults.length > 0);
  if (faulty.length > 0) throw new Error(`${faulty.length} of ${runs.length} runs had faults, see above`);
}

function medianOf(name: Case["name"]): (pick: (run: Run) => number | null) => number {
  const own = runs.filter((run) => run.case === name);
  return (pick) => median(own.map((run) => pick(run) ?? Number.NaN));
}

function summaryOf({ name }: Case): SummaryRow[] {
  const of = medianOf(name);
  const row = (what: string, value: number, digits: number, unit: string, most: number): SummaryRow => ({
    what: `${name}: ${what}`,
    value: `${fixed(value, digits)} ${unit}`,
    aim: `<= ${most} ${unit}`,
    met: scale === 1 ? value <= most : null,
  });
  const latency = (share: "p95" | "p99"): number => of((run) => run.report.latencyMs[share]);
  const success: SummaryRow = {
    what: `${name}: connect success`,
    value: `${fixed(of((run) => run.report.connect.success) * 100, 2)} %`,
    aim: "100 %",
    met: scale === 1 ? of((run) => run.report.connect.success) === 1 : null,
  };
  switch (name) {
    case "100k":
      return [
        success,
        row("message p95", latency("p95"), 1, "ms", 100),
        row(
          "memory per session",
          of((run) => run.sessionKib),
          2,
          "KiB",
          4,
        ),
      ];
    case "50k":
      return [success, row("message p99", latency("p99"), 1, "ms", 100)];
    case "25k":
      return [
        success,
        row(
          "connect p99",
          of((run) => run.report.connect.ms.p99),
          1,
          "ms",
          38,
        ),
        row("message p99", latency("p99"), 1, "ms", 8),
      ];
  }
}
