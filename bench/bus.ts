/**
 * Benchmark: what a hop over the bus costs, over NATS and JetStream next to the bus in memory.
 *
 *     bare       the load alone, published to nobody
 *     memory     one process, owner and receiver
 *     nats       an owner's process, a real NATS server, a receiver's process
 *     jetstream  the same, every message acknowledged by a stream in memory
 *
 * Expected: every publication arrives once and in order at the rate asked for, or the program fails.
 * No aim: the numbers say what a second node costs. CPU per publication is that of each process over the window by the
 * publications in it, `hop` all of it without the load's. Fresh processes for each run, the order reversed every round.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { startNats } from "../test/lib/services/mod.ts";
import type { BusMeasured } from "./lib/bus-child.ts";
import { fixed, grouped, machineBusySeconds, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";

const VARIANTS = ["bare", "memory", "nats", "jetstream"] as const;
type Variant = (typeof VARIANTS)[number];
const RATES = [1000, 20_000];
/** Of the rate asked for. */
const RATE_MIN = 0.98;
const TICKS_PER_SECOND = 100;

interface Run {
  readonly variant: Variant;
  readonly rate: number;
  readonly round: number;
  readonly owner: BusMeasured;
  readonly receiver: BusMeasured | null;
  readonly serverCpuUs: number;
  /** Cores that everything else on the machine used meanwhile. */
  readonly otherCores: number;
  readonly fault: string | null;
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "5" },
    linger: { type: "string", default: "1" },
    help: { type: "boolean", default: false },
  },
});

type Results = readonly [owner: BusMeasured | null, receiver: BusMeasured | null];

class Child {
  readonly #process: Bun.Subprocess<"ignore", "pipe", "inherit">;
  readonly #words = new Map<string, PromiseWithResolvers<void>>();
  readonly results = Promise.withResolvers<Results>();

  constructor(role: string, variant: Variant, server: string, rate: number) {
    const program = resolve(import.meta.dir, "lib/bus-child.ts");
    const command = [process.execPath, program, role, variant, server, String(rate), values.seconds, values.linger];
    this.#process = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    void this.#read();
  }

  /** Settles when it has said so. */
  said(word: string): Promise<void> {
    const known = this.#words.get(word) ?? Promise.withResolvers<void>();
    this.#words.set(word, known);
    return known.promise;
  }

  async #read(): Promise<void> {
    let text = "";
    for await (const chunk of this.#process.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        this.#take(text.slice(0, end));
        text = text.slice(end + 1);
      }
    }
    const failed = new Error(`a process of the benchmark ended with ${await this.#process.exited}`);
    this.results.reject(failed);
    for (const word of this.#words.values()) word.reject(failed);
  }

  #take(line: string): void {
    if (line.startsWith("[")) {
      this.results.resolve(JSON.parse(line) as Results);
      return;
    }
    void this.said(line);
    this.#words.get(line)?.resolve();
  }
}

function serverCpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1e6;
}

async function measure(variant: Variant, rate: number, round: number): Promise<Run> {
  const apart = variant === "nats" || variant === "jetstream";
  await using server = apart ? await startNats() : null;
  const url = server?.url ?? "";
  const receiver = apart ? new Child("receiver", variant, url, rate) : null;
  await receiver?.said("ready");
  const owner = new Child(apart ? "owner" : variant === "memory" ? "both" : "bare", variant, url, rate);
  await owner.said("begin");
  const [start, busy] = [performance.now(), machineBusySeconds()];
  const before = server === null ? 0 : serverCpuUs(server.pid);
  await owner.said("end");
  const ofServer = server === null ? 0 : serverCpuUs(server.pid) - before;
  const [busyAfter, elapsed] = [machineBusySeconds(), (performance.now() - start) / 1000];
  const [sent, together] = await owner.results.promise;
  const received = together ?? (receiver === null ? null : (await receiver.results.promise)[1]);
  if (sent === null) throw new Error("the owner measured nothing");
  const ownCpuUs = sent.cpuUs + (receiver === null ? 0 : (received?.cpuUs ?? 0)) + ofServer;
  const otherCores = Math.max(0, busyAfter - busy - ownCpuUs / 1e6) / elapsed;
  const fault = faultOf(rate, sent, received);
  return { variant, rate, round, owner: sent, receiver: received, serverCpuUs: ofServer, otherCores, fault };
}

function faultOf(rate: number, owner: BusMeasured, receiver: BusMeasured | null): string | null {
  const wanted = rate * Number(values.seconds);
  if (owner.publications < wanted * RATE_MIN) return `${owner.publications} of ${wanted} published`;
  if (receiver === null) return null;
  if (receiver.breaks > 0) return `${receiver.breaks} breaks`;
  // What was warmed up with may come in behind the word.
  const missing = owner.publications - receiver.publications;
  return missing > 0 ? `${missing} did not arrive` : null;
}

const runs: Run[] = [];
const per = ({ owner }: Run, cpuUs: number): number => cpuUs / Math.max(1, owner.publications);
const isApart = ({ variant }: Run): boolean => variant === "nats" || variant === "jetstream";
const COLUMNS: readonly [title: string, of: (run: Run) => number, text: (value: number) => string][] = [
  ["pub/s", (run) => run.owner.publications / Number(values.seconds), grouped],
  ["owner us", (run) => per(run, run.owner.cpuUs), (value) => fixed(value, 2)],
  ["server us", (run) => per(run, run.serverCpuUs), (value) => fixed(value, 2)],
  ["receiver us", (run) => (isApart(run) ? per(run, run.receiver?.cpuUs ?? 0) : 0), (value) => fixed(value, 2)],
  ["p50 ms", (run) => (run.receiver?.p50Us ?? 0) / 1000, (value) => fixed(value, 3)],
  ["p99 ms", (run) => (run.receiver?.p99Us ?? 0) / 1000, (value) => fixed(value, 3)],
  ["msg/s", (run) => run.owner.messages / Number(values.seconds), grouped],
  ["bytes/pub", (run) => per(run, run.owner.bytes), (value) => fixed(value, 0)],
  ["others", (run) => run.otherCores, (value) => fixed(value, 2)],
];

const medianOf = (variant: Variant, rate: number, of: (run: Run) => number): number =>
  median(runs.filter((run) => run.variant === variant && run.rate === rate).map(of));

function summaryOf(variant: Variant, rate: number): SummaryRow {
  const at = (title: string): number => medianOf(variant, rate, COLUMNS.find(([name]) => name === title)![1]);
  const bare = medianOf("bare", rate, (run) => per(run, run.owner.cpuUs));
  const hop = Math.max(0, at("owner us") - bare) + at("server us") + at("receiver us");
  const parts =
    variant === "memory"
      ? ""
      : ` (owner ${fixed(Math.max(0, at("owner us") - bare), 1)}, server ${fixed(at("server us"), 1)}, receiver ${fixed(at("receiver us"), 1)})`;
  const value = `p50 ${fixed(at("p50 ms"), 2)} ms, p99 ${fixed(at("p99 ms"), 2)} ms, CPU ${fixed(hop, 1)} us a publication${parts}`;
  return { what: `${variant} bus, ${grouped(rate)} publications/s`, value, aim: "", met: null };
}

async function main(): Promise<number> {
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const rate of RATES) {
      for (const variant of round % 2 === 1 ? VARIANTS : VARIANTS.toReversed()) {
        runs.push(await measure(variant, rate, round));
        process.stderr.write(`  ${rowOf(runs.at(-1)!).join("  ")}\n`);
      }
    }
  }
  console.log(`\n${table(["run", ...COLUMNS.map(([title]) => title), "result"], runs.map(rowOf))}\n`);
  const summary = RATES.flatMap((rate) =>
    VARIANTS.flatMap((variant) => (variant === "bare" ? [] : [summaryOf(variant, rate)])),
  );
  console.log(
    table(
      ["what", "value"],
      summary.map(({ what, value }) => [what, value]),
    ),
  );
  const faults = runs.flatMap(({ variant, rate, round, fault }) =>
    fault === null ? [] : [`${variant} at ${rate}, round ${round}: ${fault}`],
  );
  await save("bus", { lingerMs: Number(values.linger), summary, faults, runs });
  for (const fault of faults) console.error(`not as expected: ${fault}`);
  return faults.length === 0 ? 0 : 1;
}

const rowOf = (run: Run): string[] => [
  `${run.round} ${run.variant} ${grouped(run.rate)}/s`,
  ...COLUMNS.map(([, of, text]) => text(of(run))),
  run.fault ?? "as expected",
];

if (values.help) console.log("bun bench/bus.ts [--rounds 3] [--seconds 5] [--linger MS (1)]");
else process.exitCode = await main();
