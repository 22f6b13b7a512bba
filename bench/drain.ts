/**
 * Benchmark: SIGTERM to a node with 5,000 sessions, while a second node listens on the same port.
 *
 * The clients (lib/drain-clients.ts) connect again the moment they are closed: the worst herd there can be. With the
 * sessions spread over `drain-seconds`, and, for comparison, all at once (`drain-seconds 0`). Expected: exit status 0,
 * everybody is told first, closed 1012, and gets publications from the second node; otherwise the program fails.
 */
import { parseArgs } from "node:util";
import { type Child, startChild } from "./lib/fanout-child.ts";
import { fixed, grouped, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";
import { gatewayCommand } from "./lib/fanout-servers.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "10" },
    sessions: { type: "string", default: "5000" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`bun bench/drain.ts [--rounds 3] [--seconds 10] [--sessions 5000]
  --seconds  drain-seconds of the node that stops`);
  process.exit(0);
}
const sessions = Number(values.sessions);
const spreadSeconds = Number(values.seconds);

interface Result {
  readonly told: number;
  readonly closedBeforeTold: number;
  readonly closes: Readonly<Record<string, number>>;
  readonly attempts: number;
  readonly attemptsPerSecondMax: number;
  readonly refused: number;
  readonly back: number;
  readonly outageMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

interface Run extends Result {
  readonly round: number;
  readonly drainSeconds: number;
  readonly exitSeconds: number;
  readonly faults: readonly string[];
}

class Node {
  readonly child: Child;
  port = 0;

  constructor(port: number, drainSeconds: number) {
    const flags = [
      "--admin-port",
      "0",
      "--share-port",
      "--log-format",
      "json",
      "--synthetic",
      "channels=1,rate=1,size=200",
    ];
    const own = ["--port", String(port), "--drain-seconds", String(drainSeconds)];
    this.child = startChild([...gatewayCommand(), "serve", ...flags, ...own], { NODE_ENV: "production" });
  }

  async up(): Promise<this> {
    for (let line = await this.child.line(); line !== null; line = await this.child.line()) {
      if (!line.includes('"node is up"')) continue;
      this.port = Number(new URL((JSON.parse(line) as { public: string }).public).port);
      return this;
    }
    throw new Error(`a node did not start: ${this.child.errors()}`);
  }
}

const runs: Run[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  const order = round % 2 === 0 ? [spreadSeconds, 0] : [0, spreadSeconds];
  for (const drainSeconds of order) runs.push(await measure(round, drainSeconds));
}
await report();

async function measure(round: number, drainSeconds: number): Promise<Run> {
  const leaving = await new Node(0, drainSeconds).up();
  let staying: Node | null = null;
  const url = `ws://127.0.0.1:${leaving.port}/ws/quote/v1`;
  const clients = startChild([
    process.execPath,
    `${import.meta.dir}/lib/drain-clients.ts`,
    "--url",
    url,
    "--sessions",
    String(sessions),
  ]);
  try {
    if ((await clients.line()) === null) throw new Error(`the clients did not connect: ${clients.errors()}`);
    staying = await new Node(leaving.port, 0).up();
    const startMs = performance.now();
    process.kill(leaving.child.pid, "SIGTERM");
    const status = await leaving.child.exited;
    const exitSeconds = (performance.now() - startMs) / 1000;
    clients.closeInput();
    const line = await clients.line();
    if (line === null) throw new Error(`the clients have no result: ${clients.errors()}`);
    const result = JSON.parse(line) as Result;
    const run = { round, drainSeconds, exitSeconds, ...result, faults: faultsOf(result, status) };
    console.log(lineOf(run));
    return run;
  } finally {
    await clients.stop();
    await leaving.child.stop();
    await staying?.child.stop();
  }
}

function faultsOf(result: Result, status: number): string[] {
  const faults: string[] = [];
  if (status !== 0) faults.push(`exit status ${status}`);
  if (result.told !== sessions) faults.push(`${result.told} of ${sessions} were told`);
  if (result.closedBeforeTold > 0) faults.push(`${result.closedBeforeTold} were closed before the time they were told`);
  if (result.closes["1012"] !== sessions) faults.push(`closes by code: ${JSON.stringify(result.closes)}`);
  if (result.back !== sessions) faults.push(`${sessions - result.back} are lost`);
  return faults;
}

function lineOf(run: Run): string {
  const { outageMs: out } = run;
  return (
    `round ${run.round + 1}, drain-seconds ${run.drainSeconds}: exit after ${fixed(run.exitSeconds, 2)} s; ` +
    `${grouped(run.back)} back, at most ${grouped(run.attemptsPerSecondMax)} attempts in a second, ${run.refused} refused; ` +
    `without a stream p50 ${fixed(out.p50, 0)}, p99 ${fixed(out.p99, 0)}, max ${fixed(out.max, 0)} ms` +
    run.faults.map((fault) => `  FAULT: ${fault}`).join("")
  );
}

async function report(): Promise<void> {
  const summary: SummaryRow[] = [];
  const rows: string[][] = [];
  for (const drainSeconds of [spreadSeconds, 0]) {
    const of = (pick: (run: Run) => number): number =>
      median(runs.filter((run) => run.drainSeconds === drainSeconds).map(pick));
    const exit = of((run) => run.exitSeconds);
    const peak = of((run) => run.attemptsPerSecondMax);
    const lost = of((run) => sessions - run.back);
    const p99 = of((run) => run.outageMs.p99);
    rows.push([String(drainSeconds), fixed(exit, 2), grouped(peak), String(lost), fixed(p99, 0)]);
    if (drainSeconds === 0) continue;
    const even = sessions / drainSeconds;
    const what = `${grouped(sessions)} sessions, drain-seconds ${drainSeconds}`;
    const row = (name: string, value: string, aim: string, met: boolean): void =>
      void summary.push({ what: `${what}: ${name}`, value, aim, met });
    row("time until exit", `${fixed(exit, 2)} s`, `<= ${drainSeconds + 2} s`, exit <= drainSeconds + 2);
    row("reconnect peak", `${grouped(peak)}/s`, `<= ${grouped(even * 1.5)}/s`, peak <= even * 1.5);
    row("lost", String(lost), "0", lost === 0);
  }
  console.log(`\n${table(["drain-seconds", "exit s", "attempts/s max", "lost", "without a stream p99 ms"], rows)}`);
  await save("drain", { summary, runs });
  if (runs.some(({ faults }) => faults.length > 0)) process.exit(1);
}
