/**
 * Benchmark: memory of the gateway process per session and per subscription (resident set, all threads).
 *
 * idle: 18,000 sessions with one subscription each; million: 17,857 sessions with 56 subscriptions each. The server and
 * the sessions' load client are separate processes: each may have 20,000 descriptors. Every round is a fresh server.
 * Expected: every session connects and is subscribed; a run in which one is not fails the program.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { faultsOf, runLoad } from "./lib/fanout-load.ts";
import { fixed, grouped, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";
import { gatewayCommand, type Server, startGateway } from "./lib/fanout-servers.ts";

interface Case {
  readonly name: "idle" | "million";
  readonly sessions: number;
  readonly channels: number;
  /** Publications per second of each channel: rare, so that the sessions are idle. */
  readonly rate: number;
}

const CASES: readonly Case[] = [
  { name: "idle", sessions: 18_000, channels: 1, rate: 0.1 },
  { name: "million", sessions: 17_857, channels: 56, rate: 0.005 },
];
const SESSION_KIB_MAX = 2.5;
const SIZE = 200;
/** Time for the collector to give back what a phase left behind. */
const SETTLE_SECONDS = 5;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    sessions: { type: "string", default: "" },
    only: { type: "string", default: "" },
    gateway: { type: "string", default: "" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`bun bench/memory.ts [--rounds 3] [--only idle|million] [--sessions N] [--gateway "COMMAND"]
  --sessions  instead of 18,000 and 17,857, where fewer descriptors are allowed
  --gateway   command that runs another build of the gateway; "serve --port .. --synthetic .." is put behind it`);
  process.exit(0);
}
const command = values.gateway === "" ? gatewayCommand() : values.gateway.split(" ");
const cases = CASES.filter(({ name }) => values.only === "" || values.only === name).map((one) =>
  values.sessions === "" ? one : { ...one, sessions: Number(values.sessions) },
);

interface Run {
  readonly case: Case["name"];
  readonly round: number;
  readonly sessions: number;
  readonly subscriptions: number;
  readonly startBytes: number;
  readonly connectedBytes: number;
  readonly subscribedBytes: number;
  readonly subscribeSeconds: number;
  readonly faults: readonly string[];
}

const runs: Run[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  for (const one of round % 2 === 0 ? cases : [...cases].reverse()) runs.push(await measure(one, round));
}
await report();

async function measure(one: Case, round: number): Promise<Run> {
  const server = await startGateway({ channels: one.channels, rate: one.rate, size: SIZE, spread: true }, command);
  try {
    await Bun.sleep(SETTLE_SECONDS * 1000);
    const run = await fill(one, round, server);
    console.log(lineOf(run));
    return run;
  } finally {
    await server.stop();
  }
}

async function fill(one: Case, round: number, server: Server): Promise<Run> {
  const startBytes = residentBytes(server.pid);
  let connectedBytes = 0;
  let subscribedBytes = 0;
  const load = await runLoad({
    port: server.port,
    connections: one.sessions,
    channels: one.channels,
    connectRate: 2000,
    // All at once: the time until the last reply is the server's.
    subscribeRate: 1e6,
    holdSeconds: SETTLE_SECONDS + 1,
    warmupSeconds: SETTLE_SECONDS,
    seconds: 2,
    cpuOf: server.pid,
    async onPhase(phase) {
      if (phase === "connected") {
        await Bun.sleep(SETTLE_SECONDS * 1000);
        connectedBytes = residentBytes(server.pid);
      }
      if (phase === "result") subscribedBytes = residentBytes(server.pid);
    },
  });
  return {
    case: one.name,
    round,
    sessions: load.connected,
    subscriptions: load.subscribed * one.channels,
    startBytes,
    connectedBytes,
    subscribedBytes,
    subscribeSeconds: load.subscribeSeconds,
    faults: faultsOf(load),
  };
}

function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kib === undefined) throw new Error(`/proc/${pid}/status has no VmRSS`);
  return Number(kib) * 1024;
}

function perSessionKib(run: Run): number {
  return (run.subscribedBytes - run.startBytes) / run.sessions / 1024;
}

function perSubscriptionBytes(run: Run): number {
  return (run.subscribedBytes - run.connectedBytes) / run.subscriptions;
}

function lineOf(run: Run): string {
  const mib = (bytes: number): string => `${fixed(bytes / 2 ** 20, 1)} MiB`;
  return (
    `${run.case.padEnd(7)} round ${run.round + 1}: ${grouped(run.sessions)} sessions, ${grouped(run.subscriptions)} subscriptions; ` +
    `resident ${mib(run.startBytes)} at start, ${mib(run.connectedBytes)} connected, ${mib(run.subscribedBytes)} subscribed; ` +
    `${fixed(perSessionKib(run), 2)} KiB per session, ${fixed(perSubscriptionBytes(run), 0)} bytes per subscription, ` +
    `subscribed in ${fixed(run.subscribeSeconds, 2)} s${run.faults.map((fault) => `  FAULT: ${fault}`).join("")}`
  );
}

async function report(): Promise<void> {
  const summary: SummaryRow[] = [];
  const rows: string[][] = [];
  for (const { name } of cases) {
    const of = (pick: (run: Run) => number): number => median(runs.filter((run) => run.case === name).map(pick));
    const kib = of(perSessionKib);
    const socketKib = of((run) => (run.connectedBytes - run.startBytes) / run.sessions / 1024);
    const bytes = of(perSubscriptionBytes);
    const seconds = of((run) => run.subscribeSeconds);
    rows.push([
      name,
      grouped(of((run) => run.sessions)),
      grouped(of((run) => run.subscriptions)),
      fixed(socketKib, 2),
      fixed(kib, 2),
      fixed(bytes, 0),
      fixed(seconds, 2),
    ]);
    if (name === "idle") {
      summary.push({
        what: "memory per idle session",
        value: `${fixed(kib, 2)} KiB`,
        aim: `<= ${SESSION_KIB_MAX} KiB`,
        met: kib <= SESSION_KIB_MAX,
      });
    } else {
      const subscriptions = grouped(of((run) => run.subscriptions));
      summary.push(
        { what: `memory per subscription, ${subscriptions}`, value: `${fixed(bytes, 0)} bytes`, aim: "", met: null },
        { what: `time for ${subscriptions} subscriptions`, value: `${fixed(seconds, 2)} s`, aim: "", met: null },
      );
    }
  }
  const head = ["medians", "sessions", "subscriptions", "KiB/socket", "KiB/session", "bytes/subscription", "seconds"];
  console.log(`\n${table(head, rows)}\n`);
  await save("memory", { options: values, summary, runs });
  const faults = runs.filter((run) => run.faults.length > 0);
  if (faults.length > 0) throw new Error(`${faults.length} of ${runs.length} runs had faults, see above`);
}
