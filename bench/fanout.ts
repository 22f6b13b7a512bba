/**
 * Benchmark: fan-out of 200-byte frames, the gateway next to a bare C program that does one send() per connection and
 * tick (bench/c/send.c), both measured by the same C load client (bench/c/load.c).
 *
 * Expected: every run delivers what was offered, unbroken and in chain; a run that does not is named and fails the program.
 * Each run is a fresh server process; which server and which workload goes first is reversed every round.
 */
import { parseArgs } from "node:util";
import { faultsOf, type LoadResult, runLoad } from "./lib/fanout-load.ts";
import { fixed, grouped, machineBusySeconds, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";
import { gatewayCommand, type Shape, startBaseline, startGateway } from "./lib/fanout-servers.ts";

interface Workload extends Shape {
  readonly name: string;
  readonly sessions: number;
}

const SIZE = 200;
const WORKLOADS: readonly Workload[] = [
  { name: "W1", sessions: 1000, channels: 1, rate: 100, size: SIZE, spread: false },
  { name: "W4", sessions: 5000, channels: 1, rate: 20, size: SIZE, spread: false },
  { name: "W2", sessions: 1000, channels: 10, rate: 30, size: SIZE, spread: false },
  { name: "W2s", sessions: 1000, channels: 10, rate: 30, size: SIZE, spread: true },
];
const SERVERS = ["c", "gateway"] as const;
type ServerName = (typeof SERVERS)[number];

/** Aims of the gateway; ratios are CPU per delivered message to that of the C program. */
const RATIO_MAX: Readonly<Record<string, number>> = { W1: 1.15, W4: 1.15, W2: 1.15 };
const SPREAD_AIMS = { cpuUs: 2, p99Ms: 20 };
/** Delivered by offered counts as all from here on: the window's edges cut a tick. */
const ALL = 0.995;
/** What other programs may use of the machine before a run counts as disturbed. */
const OTHER_CORES_MAX = 0.1;

interface Run {
  readonly workload: string;
  readonly server: ServerName;
  readonly round: number;
  /** Delivered by offered. */
  readonly delivered: number;
  readonly messagesPerSecond: number;
  /** Server CPU, microseconds per delivered message, and cores. */
  readonly cpuUs: number;
  readonly cores: number;
  readonly clientCores: number;
  /** What everything else on the machine used meanwhile. */
  readonly otherCores: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly faults: readonly string[];
  readonly load: LoadResult;
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "10" },
    warmup: { type: "string", default: "3" },
    only: { type: "string", default: "" },
    gateway: { type: "string", default: "" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`bun bench/fanout.ts [--rounds 3] [--seconds 10] [--warmup 3] [--only W1,W2s] [--gateway "COMMAND"]
  --only     workloads: ${WORKLOADS.map((workload) => workload.name).join(", ")}
  --gateway  command that runs another build of the gateway; "serve --port .. --synthetic .." is put behind it`);
  process.exit(0);
}

const command = values.gateway === "" ? gatewayCommand() : values.gateway.split(" ");
const wanted = WORKLOADS.filter(({ name }) => values.only === "" || values.only.split(",").includes(name));
const runs: Run[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  const order = <T>(list: readonly T[]): readonly T[] => (round % 2 === 0 ? list : [...list].reverse());
  for (const workload of order(wanted)) {
    for (const server of order(SERVERS)) runs.push(await measure(workload, server, round));
  }
}
await report();

async function measure(workload: Workload, server: ServerName, round: number): Promise<Run> {
  const running = await (server === "c" ? startBaseline(workload) : startGateway(workload, command));
  let busy = 0;
  try {
    const load = await runLoad({
      port: running.port,
      connections: workload.sessions,
      channels: workload.channels,
      connectRate: 2000,
      subscribeRate: 5000,
      warmupSeconds: Number(values.warmup),
      seconds: Number(values.seconds),
      cpuOf: running.pid,
      onPhase(phase) {
        if (phase === "begin") busy = machineBusySeconds();
        if (phase === "result") busy = machineBusySeconds() - busy;
      },
    });
    const run = runOf(workload, server, round, load, busy);
    console.log(lineOf(run));
    return run;
  } finally {
    await running.stop();
  }
}

function runOf(workload: Workload, server: ServerName, round: number, load: LoadResult, busySeconds: number): Run {
  const { windowSeconds, messages, serverCpuSeconds, clientCpuSeconds, latencyUs } = load;
  const offered = workload.sessions * workload.channels * workload.rate * windowSeconds;
  return {
    workload: workload.name,
    server,
    round,
    delivered: messages / offered,
    messagesPerSecond: messages / windowSeconds,
    cpuUs: (serverCpuSeconds * 1e6) / messages,
    cores: serverCpuSeconds / windowSeconds,
    clientCores: clientCpuSeconds / windowSeconds,
    otherCores: Math.max(0, (busySeconds - serverCpuSeconds - clientCpuSeconds) / windowSeconds),
    p50Ms: (latencyUs.p50 ?? Number.NaN) / 1000,
    p99Ms: (latencyUs.p99 ?? Number.NaN) / 1000,
    p999Ms: (latencyUs.p999 ?? Number.NaN) / 1000,
    faults: faultsOf(load),
    load,
  };
}

function lineOf(run: Run): string {
  const faults = run.faults.length === 0 ? "" : `  FAULT: ${run.faults.join("; ")}`;
  return (
    `${run.workload.padEnd(4)} ${run.server.padEnd(8)} round ${run.round + 1}: ${grouped(run.messagesPerSecond)}/s, ` +
    `${fixed(run.delivered * 100, 1)} % of offered, ${fixed(run.cpuUs, 2)} us CPU per message, ` +
    `p50 ${fixed(run.p50Ms, 2)} ms, p99 ${fixed(run.p99Ms, 2)} ms; cores: server ${fixed(run.cores, 2)}, ` +
    `client ${fixed(run.clientCores, 2)}, others ${fixed(run.otherCores, 2)}${faults}`
  );
}

async function report(): Promise<void> {
  const rows: string[][] = [];
  const summary: SummaryRow[] = [];
  for (const { name, spread } of wanted) {
    const of = (server: ServerName, pick: (run: Run) => number): number =>
      median(runs.filter((run) => run.workload === name && run.server === server).map(pick));
    const ratio = of("gateway", (run) => run.cpuUs) / of("c", (run) => run.cpuUs);
    for (const server of SERVERS) {
      rows.push([
        `${name} ${server}`,
        grouped(of(server, (run) => run.messagesPerSecond)),
        fixed(of(server, (run) => run.delivered) * 100, 1),
        fixed(
          of(server, (run) => run.cpuUs),
          2,
        ),
        fixed(server === "c" ? 1 : ratio, 2),
        fixed(
          of(server, (run) => run.p50Ms),
          2,
        ),
        fixed(
          of(server, (run) => run.p99Ms),
          2,
        ),
        fixed(
          of(server, (run) => run.p999Ms),
          2,
        ),
        fixed(
          of(server, (run) => run.cores),
          2,
        ),
        fixed(
          of(server, (run) => run.clientCores),
          2,
        ),
        fixed(
          of(server, (run) => run.otherCores),
          2,
        ),
      ]);
    }
    const delivered = of("gateway", (run) => run.delivered);
    summary.push({
      what: `${name} delivered by offered`,
      value: `${fixed(delivered * 100, 1)} %`,
      aim: "all",
      met: delivered >= ALL,
    });
    const cpuUs = of("gateway", (run) => run.cpuUs);
    const p99Ms = of("gateway", (run) => run.p99Ms);
    const ratioMax = RATIO_MAX[name];
    if (ratioMax !== undefined) {
      // A baseline that could not keep up makes no fair comparison: the gateway then merges ticks, it cannot.
      const baseline = of("c", (run) => run.delivered);
      const fair = baseline >= ALL;
      summary.push({
        what: `${name} CPU by C's`,
        value: `${fixed(ratio, 2)} (${fixed(cpuUs, 2)} us)${fair ? "" : `, C only delivered ${fixed(baseline * 100, 0)} %`}`,
        aim: `<= ${ratioMax}`,
        met: fair || ratio > ratioMax ? ratio <= ratioMax : null,
      });
    }
    if (spread) {
      summary.push(
        {
          what: `${name} CPU per message`,
          value: `${fixed(cpuUs, 2)} us`,
          aim: "< 2 us",
          met: cpuUs < SPREAD_AIMS.cpuUs,
        },
        { what: `${name} p99`, value: `${fixed(p99Ms, 1)} ms`, aim: "< 20 ms", met: p99Ms < SPREAD_AIMS.p99Ms },
      );
    } else summary.push({ what: `${name} p99`, value: `${fixed(p99Ms, 1)} ms`, aim: "", met: null });
  }
  const head = [
    "medians",
    "msg/s",
    "deliv %",
    "CPU us",
    "by C",
    "p50 ms",
    "p99 ms",
    "p99.9",
    "cores",
    "client",
    "others",
  ];
  console.log(`\n${table(head, rows)}\n`);
  const disturbed = runs.filter((run) => run.otherCores > OTHER_CORES_MAX).length;
  if (disturbed > 0) {
    console.log(
      `${disturbed} of ${runs.length} runs were disturbed: others used over ${OTHER_CORES_MAX} cores meanwhile\n`,
    );
  }
  await save("fanout", { options: values, summary, disturbed, runs });
  const faults = runs.filter((run) => run.faults.length > 0);
  if (faults.length > 0) throw new Error(`${faults.length} of ${runs.length} runs had faults, see above`);
}
