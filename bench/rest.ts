/**
 * Benchmark: CPU per REST request, and what 2,000 depth requests a second do to the latency of streams.
 *
 * A simulated exchange serves SESSIONS stream clients (bench/c/load.c: depth@100ms and trades of every symbol); a process of
 * its own (bench/c/rest.c) asks for /api/v3/depth over keep-alive connections. Each round is a fresh server and one pair
 * of runs on it, one with and one without the requests; which is first is reversed every round. A third run of the round,
 * `elsewhere`, sends the same requests to another gateway: what it does to latency is the machine's doing, not the server's.
 * Expected: every request is answered with a book at the rate asked for, no stream breaks; anything else fails the program.
 */
import { parseArgs } from "node:util";
import { simInstruments } from "../src/ingest/sim.ts";
import { faultsOf, type LoadResult, runLoad } from "./lib/fanout-load.ts";
import { fixed, grouped, machineBusySeconds, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";
import { type Server, startServe } from "./lib/fanout-servers.ts";
import { type RestLoad, type RestResult, startRestLoad } from "./lib/rest-load.ts";

const P99_RATIO_MAX = 1.1;
/** Of the rate asked for. */
const RATE_MIN = 0.99;
const OTHER_CORES_MAX = 0.1;
const SYMBOLS = simInstruments("spot").map(({ symbol }) => symbol);
const STREAMS = SYMBOLS.flatMap((symbol) => [`${symbol}@depth@100ms`, `${symbol}@trade`]).join("/");

type Variant = "without" | "with" | "elsewhere";

interface Run {
  readonly variant: Variant;
  readonly round: number;
  /** Server CPU of the streams' server, in cores. */
  readonly cores: number;
  readonly clientCores: number;
  readonly restCores: number;
  readonly otherCores: number;
  readonly messagesPerSecond: number;
  readonly requestsPerSecond: number;
  readonly faults: readonly string[];
  readonly load: LoadResult;
  readonly rest: RestResult | null;
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "10" },
    warmup: { type: "string", default: "3" },
    rate: { type: "string", default: "2000" },
    limit: { type: "string", default: "100" },
    connections: { type: "string", default: "16" },
    sessions: { type: "string", default: "500" },
    updates: { type: "string", default: "200" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`bun bench/rest.ts [--rounds 5] [--seconds 10] [--warmup 3] [--rate 2000] [--limit 100] [--connections 16]
  [--sessions 500] [--updates 200]
  --rate      GET /api/v3/depth?symbol=..&limit=LIMIT per second
  --sessions  stream clients, each with depth@100ms and trades of ${SYMBOLS.length} symbols
  --updates   a second of the simulated exchange
With few sessions (--sessions 50 --updates 1000) a stream waits 2 ms at p99, and what a wake-up of the machine costs shows.`);
  process.exit(0);
}

const rate = Number(values.rate);
const runs: Run[] = [];
for (let round = 0; round < Number(values.rounds); round++) await measureRound(round);
await report();

async function measureRound(round: number): Promise<void> {
  const start = (): Promise<Server> => startServe(["--sim-rate", values.updates]);
  const order: readonly Variant[] = ["elsewhere", "without", "with"];
  const server = await start();
  try {
    for (const variant of round % 2 === 0 ? order : order.toReversed()) {
      // The other gateway is there only while it is asked: its own market takes CPU too.
      const other = variant === "elsewhere" ? await startServe(["--sim-rate", "1"]) : null;
      try {
        runs.push(await measure(variant, round, server, other));
      } finally {
        await other?.stop();
      }
      console.log(lineOf(runs.at(-1)!));
    }
  } finally {
    await server.stop();
  }
}

async function measure(variant: Variant, round: number, server: Server, other: Server | null): Promise<Run> {
  const requests = variant === "without" ? null : await startRequests(other ?? server);
  let busy = 0;
  let load: LoadResult;
  let rest: RestResult | null = null;
  try {
    load = await runLoad({
      port: server.port,
      path: `/stream?streams=${STREAMS}&timeUnit=MICROSECOND`,
      latencyKey: '"E":',
      sourceKey: '"T":',
      connections: Number(values.sessions),
      channels: 0,
      connectRate: 1000,
      subscribeRate: 1000,
      warmupSeconds: Number(values.warmup),
      seconds: Number(values.seconds),
      cpuOf: server.pid,
      onPhase(phase) {
        if (phase === "begin") busy = machineBusySeconds();
        if (phase === "result") busy = machineBusySeconds() - busy;
      },
    });
  } finally {
    rest = (await requests?.stop()) ?? null;
  }
  const { windowSeconds, serverCpuSeconds, clientCpuSeconds, messages } = load;
  const restCores = rest === null ? 0 : rest.cpuSeconds / rest.seconds;
  const cores = serverCpuSeconds / windowSeconds;
  const clientCores = clientCpuSeconds / windowSeconds;
  return {
    variant,
    round,
    cores,
    clientCores,
    restCores,
    // Of `elsewhere` the other gateway is among these.
    otherCores: Math.max(0, busy / windowSeconds - cores - clientCores - restCores),
    messagesPerSecond: messages / windowSeconds,
    requestsPerSecond: rest === null ? 0 : rest.answered / rest.seconds,
    faults: [...faultsOf(load, false), ...(messages === 0 ? ["no message came"] : []), ...restFaults(rest)],
    load,
    rest,
  };
}

function startRequests(server: Server): Promise<RestLoad> {
  return startRestLoad({
    port: server.port,
    rate,
    connections: Number(values.connections),
    paths: SYMBOLS.map((symbol) => `/api/v3/depth?symbol=${symbol.toUpperCase()}&limit=${values.limit}`),
    expect: '{"lastUpdateId":',
  });
}

function restFaults(rest: RestResult | null): string[] {
  if (rest === null) return [];
  const faults: string[] = [];
  if (rest.wrong > 0) faults.push(`${rest.wrong} answers were not a book, the first: ${rest.firstError}`);
  const share = rest.answered / (rate * rest.seconds);
  if (share < RATE_MIN) faults.push(`${fixed(share * 100, 1)} % of the requests asked for were answered`);
  return faults;
}

function lineOf(run: Run): string {
  const { latencyUs, sourceUs } = run.load;
  const asked =
    run.rest === null ? "" : `, ${grouped(run.requestsPerSecond)} requests/s p99 ${ms(run.rest.latencyUs.p99)}`;
  const faults = run.faults.length === 0 ? "" : `  FAULT: ${run.faults.join("; ")}`;
  return (
    `round ${run.round + 1} ${run.variant.padEnd(9)} ${grouped(run.messagesPerSecond)} msg/s, sent to received p50 ` +
    `${ms(latencyUs.p50)} p99 ${ms(latencyUs.p99)}, source to received p99 ${ms(sourceUs.p99)}${asked}; cores: server ` +
    `${fixed(run.cores, 2)}, clients ${fixed(run.clientCores, 2)} + ${fixed(run.restCores, 2)}, ` +
    `others ${fixed(run.otherCores, 2)}${faults}`
  );
}

function ms(us: number | undefined): string {
  return us === undefined ? "-" : `${fixed(us / 1000, 2)} ms`;
}

/** A number of each round's run `of` by that of its run without requests. */
function ratios(of: Variant, pick: (run: Run) => number | undefined): number[] {
  return pairs(of).map(([run, base]) => (pick(run) ?? Number.NaN) / (pick(base) ?? Number.NaN));
}

function pairs(of: Variant): [run: Run, without: Run][] {
  return runs
    .filter(({ variant }) => variant === of)
    .map((run) => [run, runs.find(({ variant, round }) => variant === "without" && round === run.round)!]);
}

async function report(): Promise<void> {
  const sent = (run: Run): number | undefined => run.load.latencyUs.p99;
  const source = (run: Run): number | undefined => run.load.sourceUs.p99;
  const rows = (["without", "with", "elsewhere"] as const).map((variant) => {
    const of = (pick: (run: Run) => number | undefined): number =>
      median(runs.filter((run) => run.variant === variant).map((run) => pick(run) ?? Number.NaN));
    return [
      variant,
      grouped(of((run) => run.messagesPerSecond)),
      ms(of((run) => run.load.latencyUs.p50)),
      ms(of(sent)),
      fixed(median(ratios(variant, sent)), 2),
      ms(of(source)),
      fixed(median(ratios(variant, source)), 2),
      grouped(of((run) => run.requestsPerSecond)),
      variant === "without" ? "-" : ms(of((run) => run.rest?.latencyUs.p99)),
      ...(["cores", "clientCores", "restCores", "otherCores"] as const).map((name) =>
        fixed(
          of((run) => run[name]),
          2,
        ),
      ),
    ];
  });
  const head = [
    "medians",
    "msg/s",
    "p50",
    "p99",
    "by",
    "source p99",
    "by",
    "req/s",
    "req p99",
    "cores",
    "client",
    "rest",
    "others",
  ];
  console.log(`\n${table(head, rows)}\n`);

  const perRequest = median(
    pairs("with").map(([run, base]) => ((run.cores - base.cores) * 1e6) / run.requestsPerSecond),
  );
  const p99 = median(ratios("with", sent));
  const sourceP99 = median(ratios("with", source));
  const machine = median(ratios("elsewhere", sent));
  const disturbed = runs.filter((run) => run.variant !== "elsewhere" && run.otherCores > OTHER_CORES_MAX).length;
  // On a machine busy with other things neither yes nor no means anything.
  const met = (ratio: number): boolean | null => (disturbed > 0 ? null : ratio <= P99_RATIO_MAX);
  const summary: SummaryRow[] = [
    { what: `CPU per request (depth, limit ${values.limit})`, value: `${fixed(perRequest, 1)} us`, aim: "", met: null },
    {
      what: `stream p99 at ${grouped(rate)} requests/s`,
      value: `${fixed(p99, 2)} of that without (${fixed(machine, 2)} if another gateway is asked)`,
      aim: `<= ${P99_RATIO_MAX}`,
      met: met(p99),
    },
    {
      what: "the same, from the source on",
      value: fixed(sourceP99, 2),
      aim: `<= ${P99_RATIO_MAX}`,
      met: met(sourceP99),
    },
  ];
  console.log(
    table(
      ["what", "value", "aim", "met"],
      summary.map(({ what, value, aim, met }) => [what, value, aim, met === null ? "" : met ? "yes" : "NO"]),
    ),
  );
  if (disturbed > 0)
    console.log(`\n${disturbed} runs were disturbed: others used over ${OTHER_CORES_MAX} cores meanwhile`);
  await save("rest", { options: values, summary, disturbed, runs });
  const faults = runs.filter((run) => run.faults.length > 0);
  if (faults.length > 0) throw new Error(`${faults.length} of ${runs.length} runs had faults, see above`);
}
