/**
 * Benchmark: slow readers beside healthy ones. 1,000 sessions on depth, trades and ticker of one symbol, once alone and once
 * with 100 more that read a twentieth of what they are sent; the two runs of a round are a pair, reversed every round.
 *
 * Expected: no chain breaks on any session, nobody healthy is closed, slow ones are closed with a code or not at all, and
 * what is left of the outboxes and the memory afterwards is what there was before.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { faultsOf, type LoadResult, runLoad } from "./lib/fanout-load.ts";
import { fixed, grouped, machineBusySeconds, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";
import { type Server, startServe } from "./lib/fanout-servers.ts";
import { OutboxWatch } from "./lib/slow-outbox.ts";

const NAMES = ["btcusdt@depth", "btcusdt@trade", "btcusdt@ticker"];
const AIMS = { p99Ratio: 1.2, cpuRatio: 1.1, ageSeconds: 3 };
/** Resident bytes that may be left of the slow ones: a few idle sessions' worth of noise. */
const MEMORY_BYTES = 16 * 1024 * 1024;
/** After the window, while memory is looked at again: freed pages go back to the system bit by bit, so the least counts. */
const REST_SECONDS = 20;
const OTHER_CORES_MAX = 0.1;

const VARIANTS = ["without", "with"] as const;
type Variant = (typeof VARIANTS)[number];

interface Run {
  readonly variant: Variant;
  readonly round: number;
  readonly cores: number;
  readonly clientCores: number;
  readonly otherCores: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly messagesPerSecond: number;
  readonly memory: { readonly before: number; readonly most: number; readonly after: number };
  /** Of the outboxes: the oldest byte that still waited, the most bytes, and the bytes at the end. */
  readonly ageSeconds: number;
  readonly outboxBytesMax: number;
  readonly outboxBytesAfter: number;
  /** What the gateway did about slow sessions, by action. */
  readonly actions: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
  readonly load: LoadResult;
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "20" },
    warmup: { type: "string", default: "5" },
    sessions: { type: "string", default: "1000" },
    slow: { type: "string", default: "100" },
    part: { type: "string", default: "0.05" },
    buffer: { type: "string", default: "65536" },
    updates: { type: "string", default: "1000" },
    channels: { type: "string", default: NAMES.join(",") },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(`bun bench/slow.ts [--rounds 3] [--seconds 20] [--warmup 5] [--sessions 1000] [--slow 100] [--part 0.05]
    [--buffer 65536] [--updates 1000] [--channels ${NAMES.join(",")}]
  --slow     sessions that read slowly, beside the others
  --part     of the bytes a healthy session gets, what a slow one reads
  --buffer   receive buffer of the slow ones (SO_RCVBUF)
  --updates  per second, of the whole simulated exchange`);
  process.exit(0);
}

const runs: Run[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  for (const variant of round % 2 === 0 ? VARIANTS : VARIANTS.toReversed()) {
    runs.push(await measure(variant, round));
    console.log(lineOf(runs.at(-1)!));
  }
}
await report();

async function measure(variant: Variant, round: number): Promise<Run> {
  const server = await startServe(["--sim-rate", values.updates, "--seed", "1"]);
  const outbox = new OutboxWatch(server.adminPort ?? 0);
  const healthy = Number(values.sessions);
  const slow = variant === "with" ? Number(values.slow) : 0;
  const memory = { before: 0, most: 0, after: 0 };
  let busy = 0;
  const sampling = setInterval(() => {
    memory.most = Math.max(memory.most, residentBytes(server));
  }, 200);
  try {
    const load = await runLoad({
      port: server.port,
      connections: healthy + slow,
      channels: 0,
      names: values.channels.split(","),
      latencyKey: '"sentUs":',
      connectRate: 1000,
      subscribeRate: 1000,
      ...(slow === 0
        ? {}
        : { slow: { sessions: slow, part: Number(values.part), bufferBytes: Number(values.buffer) } }),
      warmupSeconds: Number(values.warmup),
      seconds: Number(values.seconds),
      cpuOf: server.pid,
      async onPhase(phase) {
        if (phase === "subscribed") {
          memory.before = residentBytes(server);
          outbox.start();
        }
        if (phase === "begin") busy = machineBusySeconds();
        if (phase !== "result") return;
        busy = machineBusySeconds() - busy;
        await outbox.stop();
        // The slow ones read at full speed now, or have been closed; the healthy ones are still there.
        memory.after = residentBytes(server);
        for (let second = 0; second < REST_SECONDS; second++) {
          await Bun.sleep(1000);
          memory.after = Math.min(memory.after, residentBytes(server));
        }
        await outbox.look();
      },
    });
    const { windowSeconds, serverCpuSeconds, clientCpuSeconds, messages, latencyUs } = load;
    const cores = serverCpuSeconds / windowSeconds;
    const clientCores = clientCpuSeconds / windowSeconds;
    return {
      ...{ variant, round, cores, clientCores, memory, load },
      otherCores: Math.max(0, busy / windowSeconds - cores - clientCores),
      p50Ms: (latencyUs.p50 ?? Number.NaN) / 1000,
      p99Ms: (latencyUs.p99 ?? Number.NaN) / 1000,
      messagesPerSecond: messages / windowSeconds,
      ageSeconds: outbox.ageSeconds,
      outboxBytesMax: outbox.bytesMax,
      outboxBytesAfter: outbox.bytes,
      actions: outbox.actions,
      faults: faults(load, outbox),
    };
  } finally {
    clearInterval(sampling);
    await outbox.stop();
    await server.stop();
  }
}

function faults(load: LoadResult, outbox: OutboxWatch): string[] {
  const { slow } = load;
  // Slow ones that were closed during the warm-up had their reply too.
  const all = faultsOf(load);
  if (load.messages === 0) all.push("no message came");
  if (load.gaps > 0) all.push(`${load.gaps} gaps were told`);
  // Who does not take what waits for it within closeLingerMs of its close is cut, and counted.
  const silent = (slow?.lost ?? 0) - (outbox.actions.cutLate ?? 0);
  if (silent > 0) all.push(`${silent} slow sessions were lost without a code`);
  if (outbox.bytes > 0) all.push(`${outbox.bytes} bytes still wait in outboxes`);
  return all;
}

function residentBytes({ pid }: Server): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

function lineOf(run: Run): string {
  const { slow, cadenceChanges } = run.load;
  const { before, most, after } = run.memory;
  const mib = (bytes: number): string => fixed(bytes / 1024 / 1024, 0);
  const done = Object.entries(run.actions).map(([action, times]) => `${action} ${times}`);
  const others =
    slow === undefined
      ? ""
      : `; slow: ${slow.open} open, ${slow.closed} closed (${slow.lastCloseCode}), ${slow.lost} lost, oldest byte ` +
        `${fixed(run.ageSeconds, 2)} s, outboxes ${mib(run.outboxBytesMax)} MiB at most, ${cadenceChanges} cadences, ` +
        done.join(", ");
  const fault = run.faults.length === 0 ? "" : `  FAULT: ${run.faults.join("; ")}`;
  return (
    `round ${run.round + 1} ${run.variant.padEnd(7)} ${grouped(run.messagesPerSecond)} msg/s, p50 ${fixed(run.p50Ms, 2)} ms, ` +
    `p99 ${fixed(run.p99Ms, 2)} ms; cores: server ${fixed(run.cores, 2)}, client ${fixed(run.clientCores, 2)}, others ` +
    `${fixed(run.otherCores, 2)}; MiB ${mib(before)} -> ${mib(most)} -> ${mib(after)}${others}${fault}`
  );
}

async function report(): Promise<void> {
  const of = (variant: Variant, pick: (run: Run) => number): number =>
    median(runs.filter((run) => run.variant === variant).map(pick));
  const ratio = (pick: (run: Run) => number): number => {
    const pairs = runs
      .filter(({ variant }) => variant === "with")
      .map((run) => pick(run) / pick(runs.find(({ round, variant }) => round === run.round && variant === "without")!));
    return median(pairs);
  };
  const rows = VARIANTS.map((variant) => [
    variant,
    grouped(of(variant, (run) => run.messagesPerSecond)),
    ...[(run: Run) => run.p50Ms, (run: Run) => run.p99Ms, (run: Run) => run.cores].map((pick) =>
      fixed(of(variant, pick), 2),
    ),
    fixed(
      of(variant, (run) => run.otherCores),
      2,
    ),
  ]);
  const slow = runs.filter(({ variant }) => variant === "with");
  const p99Ratio = ratio((run) => run.p99Ms);
  const cpuRatio = ratio((run) => run.cores);
  const ageSeconds = Math.max(...slow.map((run) => run.ageSeconds));
  const kept = median(slow.map(({ memory }) => memory.after - memory.before));
  const alone = of("without", ({ memory }) => memory.after - memory.before);
  const breaks = runs.reduce((sum, { load }) => sum + load.chainBreaks + load.seqNotRising, 0);
  const messages = runs.reduce((sum, { load }) => sum + load.messages + (load.slow?.messages ?? 0), 0);
  const summary: SummaryRow[] = [
    {
      what: "healthy p99 with slow ones by without",
      value: fixed(p99Ratio, 2),
      aim: `<= ${AIMS.p99Ratio}`,
      met: p99Ratio <= AIMS.p99Ratio,
    },
    {
      what: "server CPU likewise",
      value: fixed(cpuRatio, 2),
      aim: `<= ${AIMS.cpuRatio}`,
      met: cpuRatio <= AIMS.cpuRatio,
    },
    {
      what: "oldest byte of an open slow session",
      value: `${fixed(ageSeconds, 2)} s`,
      aim: `<= ${AIMS.ageSeconds} s`,
      met: ageSeconds <= AIMS.ageSeconds,
    },
    { what: "chain breaks", value: `${breaks} in ${grouped(messages)}`, aim: "0", met: breaks === 0 },
    {
      what: "memory kept afterwards, beyond that without",
      value: `${fixed((kept - alone) / 1024 / 1024, 1)} MiB`,
      aim: `<= ${MEMORY_BYTES / 1024 / 1024} MiB`,
      met: kept - alone <= MEMORY_BYTES,
    },
  ];
  console.log(`\n${table(["medians", "msg/s", "p50 ms", "p99 ms", "cores", "others"], rows)}\n`);
  const disturbed = runs.filter((run) => run.otherCores > OTHER_CORES_MAX).length;
  if (disturbed > 0) {
    console.log(`${disturbed} of ${runs.length} runs were disturbed: others used over ${OTHER_CORES_MAX} cores\n`);
  }
  await save("slow", { options: values, summary, disturbed, runs });
  for (const { what, value, aim, met } of summary)
    console.log(`${what}: ${value} (${aim}) ${met === true ? "met" : "NOT met"}`);
  const bad = runs.filter((run) => run.faults.length > 0);
  if (bad.length > 0) throw new Error(`${bad.length} of ${runs.length} runs had faults, see above`);
}
