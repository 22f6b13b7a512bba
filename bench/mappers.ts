/**
 * Benchmark: CPU per record of a route's mapper, from a broker's bytes to updates: built-in mappers, declarative ones that
 * say the same, and two mappings over mixed records.
 *
 * Expected: every record becomes one update, and a declarative mapper the same updates as the built-in one; otherwise the
 * program fails. Each measurement is a fresh process; the order is reversed every round; medians are shown.
 */
import { parseArgs } from "node:util";
import { fixed, median, type SummaryRow, save, table } from "./lib/fanout-report.ts";
import { VARIANTS, type VariantName, variant } from "./lib/mapper-variants.ts";

interface Run {
  readonly name: VariantName;
  readonly round: number;
  readonly nsPerRecord: number;
  readonly bytesPerRecord: number;
  /** What the updates hold, to compare variants. */
  readonly hash: string;
  readonly fault: string | null;
}

const RECORDS = 4096;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "1" },
    variant: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

const names = Object.keys(VARIANTS) as VariantName[];

/** The child: one variant, timed by the CPU it used. */
function measure(name: VariantName, seconds: number): Omit<Run, "name" | "round"> {
  const { records, mapper } = variant(name, RECORDS);
  const updates = records.map((record) => mapper.map(record));
  const bad = updates.findIndex((mapped) => !Array.isArray(mapped) || mapped.length !== 1);
  const fault = bad < 0 ? null : `record ${bad}: ${JSON.stringify(updates[bad])}`;
  const pass = (): void => {
    for (const record of records) mapper.map(record);
  };
  const warmMs = performance.now() + 300;
  while (performance.now() < warmMs) pass();
  const before = process.cpuUsage();
  const endMs = performance.now() + seconds * 1000;
  let passes = 0;
  for (; performance.now() < endMs; passes++) pass();
  const { user, system } = process.cpuUsage(before);
  return {
    nsPerRecord: ((user + system) * 1000) / (passes * RECORDS),
    bytesPerRecord: records.reduce((sum, { value }) => sum + value.length, 0) / RECORDS,
    hash: String(Bun.hash(JSON.stringify(updates))),
    fault,
  };
}

async function main(): Promise<number> {
  const runs: Run[] = [];
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const name of round % 2 === 1 ? names : names.toReversed()) {
      const command = [process.execPath, import.meta.path, "--variant", name, "--seconds", values.seconds];
      const child = Bun.spawnSync(command, { stdout: "pipe", stderr: "inherit" });
      if (child.exitCode !== 0) throw new Error(`${name} ended with ${child.exitCode}`);
      const run = { name, round, ...(JSON.parse(child.stdout.toString()) as Omit<Run, "name" | "round">) };
      runs.push(run);
      console.log(`round ${round} ${name}: ${fixed(run.nsPerRecord, 0)} ns CPU per record`);
    }
  }
  const of = (name: VariantName): number =>
    median(runs.filter((run) => run.name === name).map((run) => run.nsPerRecord));
  const rows = names.map((name) => {
    const first = runs.find((run) => run.name === name);
    return [name, fixed(of(name), 0), fixed(first?.bytesPerRecord ?? 0, 0)];
  });
  console.log(`\n${table(["medians", "CPU ns", "bytes"], rows)}\n`);
  const faults = runs.flatMap(({ name, fault }) => (fault === null ? [] : [`${name}: ${fault}`]));
  const hashes = (name: VariantName) => runs.filter((run) => run.name === name).map(({ hash }) => hash);
  for (const kind of ["trade", "depth"] as const) {
    const all = new Set([...hashes(`${kind} built-in`), ...hashes(`${kind} declarative`)]);
    if (all.size !== 1) faults.push(`${kind}: the declarative mapper makes other updates than the built-in one`);
  }
  const summary: SummaryRow[] = (["trade", "depth"] as const).map((kind) => ({
    what: `Mapper of a ${kind} record, CPU`,
    value: `${fixed(of(`${kind} built-in`) / 1000, 1)} us (declarative ${fixed(of(`${kind} declarative`) / 1000, 1)})`,
    aim: "",
    met: null,
  }));
  await save("mappers", { options: values, summary, faults, runs });
  for (const fault of faults) console.error(`not as expected: ${fault}`);
  return faults.length === 0 ? 0 : 1;
}

if (values.help) console.log("bun bench/mappers.ts [--rounds 3] [--seconds 1]");
else if (values.variant !== undefined) {
  console.log(JSON.stringify(measure(values.variant as VariantName, Number(values.seconds))));
} else process.exitCode = await main();
