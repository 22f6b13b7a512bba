/**
 * Benchmark: a resume storm. CLIENTS come back within 2 s, each with `since` on four channels (book and trades of two
 * symbols), each position its own; how long until each has exactly what it would have had, had it stayed.
 *
 * The storm's clients are a process of their own (bench/lib/resume-storm.ts), whose state is compared with that of a
 * session that stayed; 50 healthy sessions (bench/c/load.c: depth@100ms and trades of every symbol) measure what the storm
 * does to others, once without a storm and once during it. Each round is a fresh server.
 * Expected: every client is exact and `recovered`, no stream breaks; anything else fails the program.
 */
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { simInstruments } from "../src/ingest/sim.ts";
import { type Child, startChild } from "./lib/fanout-child.ts";
import { faultsOf, type LoadResult, runLoad } from "./lib/fanout-load.ts";
import { fixed, grouped, machineBusySeconds, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";
import { type Server, startServe } from "./lib/fanout-servers.ts";

const P99_MS_MAX = 2000;
const SYMBOLS = simInstruments("spot").map(({ symbol }) => symbol);
const STREAMS = SYMBOLS.flatMap((symbol) => [`${symbol}@depth@100ms`, `${symbol}@trade`]).join("/");

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "6" },
    clients: { type: "string", default: "5000" },
    spread: { type: "string", default: "2" },
    away: { type: "string", default: "5" },
    cadence: { type: "string", default: "1000" },
    sessions: { type: "string", default: "50" },
    updates: { type: "string", default: "500" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`bun bench/resume.ts [--rounds 3] [--seconds 6] [--clients 5000] [--spread 2] [--away 5] [--cadence 1000]
  [--sessions 50] [--updates 500]
  --seconds   length of each measurement of the healthy sessions; the storm begins with it
  --spread    seconds in which the clients come back
  --away      seconds that the first to leave has been away; the others evenly less
  --cadence   of the subscriptions of those who come back
  --sessions  healthy ones, with depth@100ms and trades of ${SYMBOLS.length} symbols
  --updates   a second of the simulated exchange`);
  process.exit(0);
}

interface Quantiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

interface StormResult {
  readonly clients: number;
  readonly exact: Quantiles;
  readonly open: Quantiles;
  readonly bytes: number;
  /** CPU of the clients' process until the last was exact. */
  readonly clientCpuSeconds: number;
  readonly faultCount: number;
  readonly faults: readonly string[];
}

interface Run {
  readonly round: number;
  readonly storm: StormResult;
  /** Of the healthy sessions, us from sending to receiving. */
  readonly quiet: LoadResult;
  readonly during: LoadResult;
  /** CPU seconds of the server's threads during the storm's measurement, without what the quiet one took. */
  readonly cpu: Readonly<Record<string, number>>;
  readonly otherCores: number;
  readonly faults: readonly string[];
}

const runs: Run[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  runs.push(await measure(round));
  console.log(lineOf(runs.at(-1)!));
}
await report();

async function measure(round: number): Promise<Run> {
  const server = await startServe(["--sim-rate", values.updates]);
  const storm = startStorm(server);
  try {
    await until(storm, "recorded");
    const quiet = await healthy(server, () => undefined);
    let result: Promise<StormResult> | null = null;
    const during = await healthy(server, () => {
      storm.closeInput();
      result = until(storm, "result") as Promise<unknown> as Promise<StormResult>;
    });
    if (result === null) throw new Error("the storm did not begin");
    const stormResult = await (result as Promise<StormResult>);
    const cpu = Object.fromEntries(
      Object.entries(during.cpu).map(([name, seconds]) => [name, seconds - (quiet.cpu[name] ?? 0)]),
    );
    const faults = [...faultsOf(quiet.load, false), ...faultsOf(during.load, false), ...stormResult.faults];
    const { otherCores } = quiet;
    return { round, storm: stormResult, quiet: quiet.load, during: during.load, cpu, otherCores, faults };
  } finally {
    await storm.stop();
    await server.stop();
  }
}

function startStorm(server: Server): Child {
  const numbers = { clients: values.clients, spread: values.spread, away: values.away, cadence: values.cadence };
  return startChild([
    process.execPath,
    `${import.meta.dir}/lib/resume-storm.ts`,
    ...["--port", String(server.port), "--symbols", SYMBOLS.join(",")],
    ...Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, value]),
  ]);
}

async function until(child: Child, event: string): Promise<Record<string, unknown>> {
  for (let line = await child.line(); line !== null; line = await child.line()) {
    const said = JSON.parse(line) as Record<string, unknown>;
    if (said.event === event) return said;
  }
  throw new Error(`the storm's clients ended: ${child.errors()}`);
}

async function healthy(
  server: Server,
  begin: () => void,
): Promise<{ load: LoadResult; cpu: Record<string, number>; otherCores: number }> {
  let before: Record<string, number> = {};
  let cpu: Record<string, number> = {};
  let busy = 0;
  const load = await runLoad({
    port: server.port,
    path: `/stream?streams=${STREAMS}&timeUnit=MICROSECOND`,
    latencyKey: '"E":',
    sourceKey: '"T":',
    connections: Number(values.sessions),
    channels: 0,
    connectRate: 1000,
    subscribeRate: 1000,
    warmupSeconds: 1,
    seconds: Number(values.seconds),
    cpuOf: server.pid,
    onPhase(phase) {
      if (phase === "begin") {
        before = threadSeconds(server.pid);
        busy = machineBusySeconds();
        begin();
      } else if (phase === "result") {
        busy = machineBusySeconds() - busy;
        const now = threadSeconds(server.pid);
        cpu = Object.fromEntries(Object.entries(now).map(([name, seconds]) => [name, seconds - (before[name] ?? 0)]));
      }
    },
  });
  const ours = load.serverCpuSeconds + load.clientCpuSeconds;
  return { load, cpu, otherCores: Math.max(0, (busy - ours) / load.windowSeconds) };
}

/** CPU of the server's threads: main, the edge workers, everything else. */
function threadSeconds(pid: number): Record<string, number> {
  const seconds: Record<string, number> = { main: 0, workers: 0, other: 0 };
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, "utf8");
    const end = stat.lastIndexOf(")");
    const name = stat.slice(stat.indexOf("(") + 1, end);
    const fields = stat.slice(end + 2).split(" ");
    const kind = task === String(pid) ? "main" : name.startsWith("edge") || name === "Worker" ? "workers" : "other";
    seconds[kind]! += (Number(fields[11]) + Number(fields[12])) / 100;
  }
  return seconds;
}

function lineOf({ round, storm, quiet, during, cpu, otherCores, faults }: Run): string {
  const { exact, open, clients, bytes, clientCpuSeconds } = storm;
  const wrong = faults.length === 0 ? "" : `  FAULT (${storm.faultCount}): ${faults.join("; ")}`;
  return (
    `round ${round + 1}: ${grouped(clients)} clients exact after p50 ${fixed(exact.p50, 0)} p99 ${fixed(exact.p99, 0)} ` +
    `max ${fixed(exact.max, 0)} ms (connected p99 ${fixed(open.p99, 0)} ms), ${fixed(bytes / 2 ** 20, 1)} MiB to them; ` +
    `CPU main ${fixed(cpu.main, 2)} s, workers ${fixed(cpu.workers, 2)} s, other ${fixed(cpu.other, 2)} s, clients ${fixed(clientCpuSeconds, 2)} s; healthy p99 ` +
    `${fixed((quiet.latencyUs.p99 ?? 0) / 1000, 2)} -> ${fixed((during.latencyUs.p99 ?? 0) / 1000, 2)} ms, ` +
    `others ${fixed(otherCores, 2)} cores${wrong}`
  );
}

async function report(): Promise<void> {
  const of = (pick: (run: Run) => number): number => median(runs.map(pick));
  const p99 = of(({ storm }) => storm.exact.p99);
  const rows: SummaryRow[] = [
    {
      what: `${grouped(Number(values.clients))} clients resume within ${values.spread} s: p99 to exact state`,
      value: `${fixed(p99, 0)} ms`,
      aim: `<= ${P99_MS_MAX} ms`,
      met: p99 <= P99_MS_MAX,
    },
    {
      what: "CPU per client: main, workers",
      value: `${fixed(
        of(({ cpu, storm }) => (cpu.main! * 1e6) / storm.clients),
        0,
      )} us, ${fixed(
        of(({ cpu, storm }) => (cpu.workers! * 1e6) / storm.clients),
        0,
      )} us`,
      aim: "",
      met: null,
    },
    {
      what: "p99 of healthy sessions: quiet, during the storm",
      value: `${fixed(
        of(({ quiet }) => (quiet.latencyUs.p99 ?? Number.NaN) / 1000),
        1,
      )} ms, ${fixed(
        of(({ during }) => (during.latencyUs.p99 ?? Number.NaN) / 1000),
        1,
      )} ms`,
      aim: "",
      met: null,
    },
  ];
  console.log(
    `\n${table(
      ["what", "value", "aim", "met"],
      rows.map(({ what, value, aim, met }) => [what, value, aim, met === null ? "" : met ? "yes" : "NO"]),
    )}`,
  );
  await save("resume", { options: values, summary: rows, runs });
  const wrong = runs.filter(({ faults }) => faults.length > 0);
  if (wrong.length > 0) throw new Error(`${wrong.length} of ${runs.length} runs had faults, see above`);
}
