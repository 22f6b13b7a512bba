/** Tables, medians and the JSON files in bench/out that scripts/bench.mjs collects (format: bench/README.md). */
import { mkdirSync, readFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { OUT } from "./fanout-programs.ts";

/** One line of the summary; `met` is null where there is no aim to meet. */
export interface SummaryRow {
  readonly what: string;
  readonly value: string;
  readonly aim: string;
  readonly met: boolean | null;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) return Number.NaN;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Columns padded to their widest cell, the first to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  ");
  return [line(head), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}

export const fixed = (value: number | undefined, digits: number): string =>
  value === undefined || Number.isNaN(value) ? "-" : value.toFixed(digits);

/** `12,345,678`. */
export const grouped = (value: number): string => Math.round(value).toLocaleString("en-US");

export async function save(name: string, report: Readonly<Record<string, unknown>>): Promise<void> {
  mkdirSync(OUT, { recursive: true });
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, memoryBytes: totalmem(), loadAverage: loadavg() };
  const whole = { name, at: new Date().toISOString(), bun: Bun.version, machine, ...report };
  await Bun.write(`${OUT}/${name}.json`, `${JSON.stringify(whole, null, 1)}\n`);
}

/** Seconds all cores together were busy since boot: shows what else ran on the machine during a measurement. */
export function machineBusySeconds(): number {
  const fields = readFileSync("/proc/stat", "utf8").split("\n", 1)[0]!.trim().split(/\s+/).slice(1).map(Number);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, steal = 0] = fields;
  return (user + nice + system + irq + softIrq + steal) / 100;
}
