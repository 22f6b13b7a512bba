/**
 * `npm run bench`: installs what is missing, runs the benchmarks one after the other and prints one table with the aims.
 *
 * Each benchmark is a program of its own (bench/<name>.ts) that prints its raw values and writes bench/out/<name>.json;
 * the table is made of those files. Exit status 1 if a benchmark failed; a missed aim is shown, not a failure.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled, findBun, root, stop } from "./install.mjs";

const NAMES = [
  "ring",
  "pipeline",
  "venues",
  "mappers",
  "fanout",
  "rest",
  "memory",
  "connections",
  "resume",
  "slow",
  "tls",
  "drain",
  "kafka",
  "bus",
];
const HELP = `npm run bench [-- NAME...] [--rounds N] [--seconds S]

  NAME       ${NAMES.join(", ")}; all of them if none is named (about 20 minutes)
  --rounds   repetitions of each measurement (default: each benchmark's own)
  --seconds  length of one measurement (not for memory)

More options: node_modules/.bin/bun bench/NAME.ts --help. What is measured and how: bench/README.md.`;
/** Options each benchmark understands of those above. */
const TAKES = {
  ring: ["rounds", "seconds"],
  pipeline: ["rounds", "seconds"],
  venues: ["rounds", "seconds"],
  mappers: ["rounds", "seconds"],
  fanout: ["rounds", "seconds"],
  rest: ["rounds", "seconds"],
  memory: ["rounds"],
  tls: ["rounds", "seconds"],
  drain: ["rounds", "seconds"],
  resume: ["rounds", "seconds"],
  slow: ["rounds", "seconds"],
  connections: ["rounds", "seconds"],
  kafka: ["rounds", "seconds"],
  bus: ["rounds", "seconds"],
};

const { names, options } = parse(process.argv.slice(2));
await ensureInstalled({ dev: false });
const failed = [];
const rows = [];
for (const name of names) {
  const out = join(root, "bench", "out", `${name}.json`);
  rmSync(out, { force: true });
  process.stdout.write(`\n== ${name} ==\n`);
  const flags = TAKES[name].flatMap((option) =>
    options[option] === undefined ? [] : [`--${option}`, options[option]],
  );
  const { status } = spawnSync(findBun(), [join(root, "bench", `${name}.ts`), ...flags], {
    cwd: root,
    stdio: "inherit",
  });
  if (status !== 0) failed.push(name);
  const summary = existsSync(out) ? JSON.parse(readFileSync(out, "utf8")).summary : [];
  for (const { what, value, aim, met } of summary) {
    rows.push([name, what, value, aim, met === null ? "" : met ? "yes" : "NO"]);
  }
}
process.stdout.write(`\n== summary (medians) ==\n${table(["bench", "what", "value", "aim", "met"], rows)}\n`);
if (failed.length > 0) stop(`failed: ${failed.join(", ")} (see above)`);

function parse(args) {
  const names = [];
  const options = {};
  for (let i = 0; i < args.length; i++) {
    const [flag, inline] = args[i].split("=", 2);
    if (flag === "--help" || flag === "-h") {
      process.stdout.write(`${HELP}\n`);
      process.exit(0);
    } else if (flag === "--rounds" || flag === "--seconds") {
      const value = inline ?? args[++i];
      if (!(Number(value) > 0)) stop(`${flag} needs a number above 0`, 2);
      options[flag.slice(2)] = value;
    } else if (NAMES.includes(flag)) names.push(flag);
    else stop(`unknown benchmark or option ${flag}: see npm run bench -- --help`, 2);
  }
  return { names: names.length > 0 ? names : NAMES, options };
}

function table(head, rows) {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length)));
  const line = (cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]))
      .join("  ")
      .trimEnd();
  return [line(head), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}
