/**
 * Benchmark: CPU per source record of each recorded venue, through its mapper alone and through mapper and owner (derived
 * kinds, books with checksums and numbers, seq, memory bus), as `serve --replay` sets them up.
 *
 * Expected: nothing malformed, refused or repaired, and every pass over a recording publishes the same; otherwise the program
 * fails. Each measurement is a fresh process pinned to one core; the order is reversed every round; medians are shown.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { feed } from "../test/feeds.ts";
import { fixed, grouped, machineBusySeconds, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";
import type { VenueMeasured } from "./lib/venues-child.ts";

const FEEDS = [
  { venue: "Kraken v1", name: "KRAKEN.ws.50.0" },
  { venue: "Coinbase", name: "COINBASE.ws.28.0" },
  { venue: "Binance spot", name: "BINANCE.ws.1.0" },
  { venue: "Binance USD-M", name: "BINANCE_FUTURES.ws.1.0" },
  { venue: "OKX", name: "OKX.ws.1.0" },
] as const;
const STAGES = ["map", "owner"] as const;
type Stage = (typeof STAGES)[number];

interface Run extends VenueMeasured {
  readonly venue: string;
  readonly stage: Stage;
  readonly round: number;
  /** Cores that everything else on the machine used meanwhile. */
  readonly otherCores: number;
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    help: { type: "boolean", default: false },
  },
});

/** Linux can hold a process on one core. */
const pin = Bun.which("taskset") === null ? [] : ["taskset", "-c", "0"];
const runs: Run[] = [];

function measure(venue: string, path: string, stage: Stage, round: number): Run {
  const start = performance.now();
  const busy = machineBusySeconds();
  const command = [...pin, process.execPath, resolve(import.meta.dir, "lib/venues-child.ts"), path, stage];
  const child = Bun.spawnSync([...command, values.seconds], { stdout: "pipe", stderr: "inherit" });
  if (child.exitCode !== 0) throw new Error(`${venue} ${stage} ended with ${child.exitCode}`);
  const measured = JSON.parse(child.stdout.toString()) as VenueMeasured;
  const ownSeconds = Number(child.resourceUsage.cpuTime.total) / 1e6;
  const otherCores = Math.max(0, machineBusySeconds() - busy - ownSeconds) / ((performance.now() - start) / 1000);
  return { ...measured, venue, stage, round, otherCores };
}

async function main(): Promise<number> {
  const found = FEEDS.flatMap(({ venue, name }) => {
    const path = feed(name);
    return path === null ? [] : STAGES.map((stage) => ({ venue, path, stage }));
  });
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const { venue, path, stage } of round % 2 === 1 ? found : found.toReversed()) {
      const run = measure(venue, path, stage, round);
      runs.push(run);
      const fault = run.fault === null ? "" : `  FAULT: ${run.fault}`;
      console.log(
        `round ${round} ${venue} ${stage}: ${fixed(run.cpuUs, 2)} us CPU per record, ` +
          `${grouped(run.recordsPerSecond)}/s, others ${fixed(run.otherCores, 2)}${fault}`,
      );
    }
  }

  const rows: string[][] = [];
  const summary: SummaryRow[] = [];
  for (const { venue, stage } of found) {
    const these = runs.filter((run) => run.venue === venue && run.stage === stage);
    const of = (pick: (run: Run) => number): number => median(these.map(pick));
    const cpuUs = of((run) => run.cpuUs);
    const shape = these[0]!;
    rows.push([
      `${venue} ${stage}`,
      fixed(cpuUs, 2),
      grouped(of((run) => run.recordsPerSecond)),
      fixed(shape.bytesPerRecord, 0),
      fixed(shape.madePerPass / shape.recordsPerPass, 2),
      fixed(
        of((run) => run.otherCores),
        2,
      ),
    ]);
    if (stage === "owner") {
      const map = median(runs.filter((run) => run.venue === venue && run.stage === "map").map((run) => run.cpuUs));
      const value = `${fixed(cpuUs, 1)} us (mapper ${fixed(map, 1)})`;
      summary.push({ what: `${venue}, CPU per record`, value, aim: "", met: null });
    }
  }
  console.log(`\n${table(["medians", "CPU us", "records/s", "bytes", "made per record", "others"], rows)}\n`);
  const faults = runs.flatMap(({ venue, stage, round, fault }) =>
    fault === null ? [] : [`${venue} ${stage}, round ${round}: ${fault}`],
  );
  await save("venues", { options: values, pinned: pin.length > 0, summary, faults, runs });
  for (const fault of faults) console.error(`not as expected: ${fault}`);
  return faults.length === 0 ? 0 : 1;
}

if (values.help) console.log("bun bench/venues.ts [--rounds 3] [--seconds 2]");
else process.exitCode = await main();
