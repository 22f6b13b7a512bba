/**
 * Benchmark: very many connections on one machine, each with a little traffic; opened and checked by bench/c/load.c, one for each node.
 *
 * 100k: 100,000 sessions on six nodes, 1 message/s each. 50k: 50,000 sessions on three nodes, 1 message/s each.
 * 25k: 25,000 sessions on two nodes, opened at 1,000/s, 16,025 messages/s in all. Topics are spread: each node has 200,
 * each session takes one. A node is a process of its own, because a process has at most 20,000 descriptors here.
 * Expected: every connection is opened at its first try, no chain is broken, no gap is told; else the program fails.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { faultsOf, type LoadResult, runLoad } from "./lib/fanout-load.ts";
import { fixed, grouped, machineBusySeconds, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";
import { gatewayCommand, type Server, startServe } from "./lib/fanout-servers.ts";

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
  { name: "50k", sessions: 50_000, nodes: 3, rate: 1, connectRate: 2000 },
  { name: "100k", sessions: 100_000, nodes: 6, rate: 1, connectRate: 2000 },
];
const TOPICS = 200;
const SIZE = 200;
const SETTLE_MS = 3000;
const WARMUP_SECONDS = 3;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "1" },
    seconds: { type: "string", default: "30" },
    only: { type: "string", default: "" },
    scale: { type: "string", default: "1" },
    gateway: { type: "string", default: "" },
    "late-ack": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`bun bench/connections.ts [--rounds 1] [--seconds 30] [--only 25k|50k|100k] [--scale 0.1] [--gateway "COMMAND"] [--late-ack]
  --scale    so much of the sessions, the rates per session as they are; what is not 1 meets no aim
  --gateway  command that runs another build of the gateway; "serve --port .. --synthetic .." is put behind it
  --late-ack clients acknowledge by the kernel's timer: on one machine that is work on cold memory, which clients elsewhere spare the node`);
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
  readonly opened: number;
  readonly wanted: number;
  /** p99 of the time until a session was open. */
  readonly connectMs: number;
  readonly rate: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** Growth of all nodes' resident memory, by session. */
  readonly sessionKib: number;
  /** Cores that the nodes, the load clients and everything on the machine used while it was measured. */
  readonly serverCores: number;
  readonly clientCores: number;
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

/** One load client for each node, all at once. */
async function load(one: Case, round: number, servers: readonly Server[]): Promise<Run> {
  const pids = servers.map(({ pid }) => pid);
  const startBytes = sum(pids.map(residentBytes));
  const each = Math.round((one.sessions * scale) / servers.length);
  const marks = { busy: 0, begun: 0 };
  const results = await Promise.all(
    servers.map(({ port, pid }) =>
      runLoad({
        port,
        connections: each,
        channels: TOPICS,
        spread: true,
        quickAck: !values["late-ack"],
        connectRate: one.connectRate / servers.length,
        subscribeRate: one.connectRate / servers.length,
        warmupSeconds: WARMUP_SECONDS,
        seconds,
        cpuOf: pid,
        onPhase(phase) {
          if (phase !== "begin" || ++marks.begun < servers.length) return;
          marks.busy = machineBusySeconds();
        },
      }),
    ),
  );
  const window = Math.max(...results.map(({ windowSeconds }) => windowSeconds));
  const total = (pick: (result: LoadResult) => number): number => sum(results.map(pick));
  /** That of the node where it is worst. */
  const worst = (pick: (result: LoadResult) => number | undefined): number =>
    Math.max(...results.map((result) => pick(result) ?? Number.NaN)) / 1000;
  return {
    case: one.name,
    round,
    opened: total(({ connected }) => connected),
    wanted: each * servers.length,
    connectMs: worst(({ connectUs }) => connectUs.p99),
    rate: total(({ messages, windowSeconds }) => messages / windowSeconds),
    p50: worst(({ latencyUs }) => latencyUs.p50),
    p95: worst(({ latencyUs }) => latencyUs.p95),
    p99: worst(({ latencyUs }) => latencyUs.p99),
    sessionKib: (sum(pids.map(residentBytes)) - startBytes) / (each * servers.length) / 1024,
    serverCores: total(({ serverCpuSeconds, windowSeconds }) => serverCpuSeconds / windowSeconds),
    clientCores: total(({ clientCpuSeconds, windowSeconds }) => clientCpuSeconds / windowSeconds),
    machineCores: (machineBusySeconds() - marks.busy) / window,
    faults: results.flatMap((result) => faultsOf(result)),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN) * 1024;
}

function lineOf(run: Run): string {
  return (
    `${run.case.padEnd(4)} round ${run.round + 1}: ${grouped(run.opened)} of ${grouped(run.wanted)} opened, connect p99 ` +
    `${fixed(run.connectMs, 2)} ms; ${grouped(run.rate)} msg/s, p50 ${fixed(run.p50, 2)} p95 ${fixed(run.p95, 2)} ` +
    `p99 ${fixed(run.p99, 2)} ms; ${fixed(run.sessionKib, 2)} KiB per session; nodes ${fixed(run.serverCores, 2)} cores, ` +
    `clients ${fixed(run.clientCores, 2)}, all ${fixed(run.machineCores, 2)}` +
    run.faults.map((fault) => `  FAULT: ${fault}`).join("")
  );
}

async function finish(): Promise<void> {
  const head = ["medians", "sessions", "msg/s", "connect p99", "p50", "p95", "p99", "KiB/session", "nodes' cores"];
  const rows = cases.map(({ name }) => {
    const of = medianOf(name);
    const numbers = (["connectMs", "p50", "p95", "p99", "sessionKib", "serverCores"] as const).map((key) =>
      fixed(
        of((run) => run[key]),
        2,
      ),
    );
    return [name, grouped(of((run) => run.opened)), grouped(of((run) => run.rate)), ...numbers];
  });
  console.log(`\n${table(head, rows)}\n`);
  await save("connections", { options: values, summary: cases.flatMap(summaryOf), runs });
  const faulty = runs.filter(({ faults }) => faults.length > 0);
  if (faulty.length > 0) throw new Error(`${faulty.length} of ${runs.length} runs had faults, see above`);
}

function medianOf(name: Case["name"]): (pick: (run: Run) => number) => number {
  const own = runs.filter((run) => run.case === name);
  return (pick) => median(own.map(pick));
}

function summaryOf({ name }: Case): SummaryRow[] {
  const of = medianOf(name);
  const row = (what: string, value: number, digits: number, unit: string, most: number): SummaryRow => ({
    what: `${name}: ${what}`,
    value: `${fixed(value, digits)} ${unit}`,
    aim: `<= ${most} ${unit}`,
    met: scale === 1 ? value <= most : null,
  });
  const latency = (share: "p95" | "p99"): number => of((run) => run[share]);
  const success = of((run) => run.opened / run.wanted);
  const opened: SummaryRow = {
    what: `${name}: connect success`,
    value: `${fixed(success * 100, 2)} %`,
    aim: "100 %",
    met: scale === 1 ? success === 1 : null,
  };
  switch (name) {
    case "100k":
      return [
        opened,
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
      return [opened, row("message p99", latency("p99"), 1, "ms", 100)];
    case "25k":
      return [
        opened,
        row(
          "connect p99",
          of((run) => run.connectMs),
          1,
          "ms",
          38,
        ),
        row("message p99", latency("p99"), 1, "ms", 8),
      ];
  }
}
