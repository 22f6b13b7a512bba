/**
 * Benchmark: the pipeline on one core, fed with a recorded Kraken feed, next to bare loops in the same run.
 *
 *     map    JSON text -> typed, validated updates                 against   bare-parse  JSON.parse + typed objects
 *     whole  map + book + CRC32 + seq + bus + encode -> ring       against   bare-book   that + sorted arrays + CRC32
 *
 * Expected: every variant counts what it should (all 4,269 checksums of each pass among it), or the program fails.
 * Aim: at least RATIO_MIN of the bare loop's warm records/s. Each measurement is a fresh process pinned to one core; the
 * order of the variants is reversed every round; medians decide, raw values are printed and written to bench/out.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { fixed, grouped, machineBusySeconds, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";
import type { Measured } from "./lib/pipeline-child.ts";

const RATIO_MIN = 0.6;
const PAIRS = [
  { variant: "map", baseline: "bare-parse", what: "parse + typed updates" },
  { variant: "whole", baseline: "bare-book", what: "with book, CRC32, seq, encoded into the ring" },
] as const;
const ORDER = ["bare-parse", "map", "bare-book", "whole"] as const;
type Name = (typeof ORDER)[number];

interface Run extends Measured {
  readonly round: number;
  /** Cores that everything else on the machine used meanwhile. */
  readonly otherCores: number;
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    feed: { type: "string", default: feedPath() },
    help: { type: "boolean", default: false },
  },
});

function feedPath(): string {
  const folder = process.env.TIDEGATE_FEEDS ?? resolve(import.meta.dir, "../../shared/feeds");
  return resolve(folder, "KRAKEN.ws.50.0");
}

/** Linux can hold a process on one core; elsewhere the collector's and the compiler's threads may use others. */
const pin = Bun.which("taskset") === null ? [] : ["taskset", "-c", "0"];

function measure(name: Name, round: number): Run {
  const start = performance.now();
  const busy = machineBusySeconds();
  const command = [...pin, process.execPath, resolve(import.meta.dir, "lib/pipeline-child.ts"), name];
  const child = Bun.spawnSync([...command, values.feed, values.seconds], { stdout: "pipe", stderr: "inherit" });
  if (child.exitCode !== 0) throw new Error(`${name} ended with ${child.exitCode}`);
  const measured = JSON.parse(child.stdout.toString()) as Measured;
  const seconds = (performance.now() - start) / 1000;
  const ownSeconds = Number(child.resourceUsage.cpuTime.total) / 1e6;
  const otherCores = Math.max(0, machineBusySeconds() - busy - ownSeconds) / seconds;
  return { ...measured, round, otherCores };
}

const runs: Run[] = [];
const medianOf = (name: Name, pick: (run: Run) => number): number =>
  median(runs.filter(({ variant }) => variant === name).map(pick));

const COLUMNS: readonly [title: string, of: (run: Run) => number, text: (value: number) => string][] = [
  ["cold/s", (run) => run.coldPerSecond, grouped],
  ["warm/s", (run) => run.warmPerSecond, grouped],
  ["cpu us", (run) => run.cpuUs, (value) => fixed(value, 2)],
  ["p50 us", (run) => run.p50Us, (value) => fixed(value, 2)],
  ["p99 us", (run) => run.p99Us, (value) => fixed(value, 2)],
  ["heap +KiB", (run) => run.heapGrowthBytes / 1024, (value) => fixed(value, 0)],
  ["rss MiB", (run) => run.rssBytes / 1048576, (value) => fixed(value, 0)],
  ["others", (run) => run.otherCores, (value) => fixed(value, 2)],
];

const row = (run: Run): string[] => [
  `${run.round} ${run.variant}`,
  ...COLUMNS.map(([, of, text]) => text(of(run))),
  run.fault ?? "as expected",
];
const medianRow = (name: Name): string[] => [
  `median ${name}`,
  ...COLUMNS.map(([, of, text]) => text(medianOf(name, of))),
  "",
];

async function main(): Promise<number> {
  const rounds = Number(values.rounds);
  for (let round = 1; round <= rounds; round++) {
    const order = round % 2 === 1 ? ORDER : ORDER.toReversed();
    for (const name of order) {
      runs.push(measure(name, round));
      process.stderr.write(`  ${row(runs.at(-1)!).join("  ")}\n`);
    }
  }
  const head = ["run", ...COLUMNS.map(([title]) => title), "result"];
  console.log(`\n${table(head, [...runs.map(row), ...ORDER.map(medianRow)])}\n`);

  const summary: SummaryRow[] = PAIRS.map(({ variant, baseline, what }) => {
    const warm = medianOf(variant, (run) => run.warmPerSecond);
    const ratio = warm / medianOf(baseline, (run) => run.warmPerSecond);
    return {
      what: `pipeline, ${what}`,
      value: `${grouped(warm)} records/s, ${fixed(ratio, 2)} of the bare loop`,
      aim: `>= ${RATIO_MIN} of the bare loop`,
      met: ratio >= RATIO_MIN,
    };
  });
  console.log(
    table(
      ["what", "value", "aim", "met"],
      summary.map(({ what, value, aim, met }) => [what, value, aim, met ? "yes" : "NO"]),
    ),
  );
  const faults = runs.flatMap(({ variant, round, fault }) =>
    fault === null ? [] : [`${variant}, round ${round}: ${fault}`],
  );
  await save("pipeline", { pinned: pin.length > 0, summary, faults, runs });
  for (const fault of faults) console.error(`not as expected: ${fault}`);
  return faults.length === 0 ? 0 : 1;
}

if (values.help) {
  console.log("bun bench/pipeline.ts [--rounds 5] [--seconds 3] [--feed FILE]");
} else if (!existsSync(values.feed)) {
  console.log(`skipped: recorded feed ${values.feed} is absent (set TIDEGATE_FEEDS or give --feed FILE)`);
} else {
  process.exitCode = await main();
}
