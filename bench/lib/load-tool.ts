/** Runs `tidegate load` for a benchmark and reads its report. */
import type { Report } from "../../load/mod.ts";
import { startChild } from "./fanout-child.ts";
import { gatewayCommand } from "./fanout-servers.ts";

export interface Tool {
  readonly pid: number;
  readonly report: Promise<Report>;
  stop(): Promise<void>;
}

export function startTool(flags: readonly string[]): Tool {
  const child = startChild([...gatewayCommand(), "load", "--json", ...flags]);
  const report = (async () => {
    const line = await child.line();
    if (line === null) throw new Error(`tidegate load ended without a report: ${child.errors()}`);
    return JSON.parse(line) as Report;
  })();
  return {
    pid: child.pid,
    report,
    async stop() {
      await child.stop();
    },
  };
}

/** What was wrong in a run, as sentences; empty if nothing was. */
export function faultsOf({ faults, samples, connect, subscribe, closed, told, connections }: Report): string[] {
  const counts: readonly (readonly [number, string])[] = [
    ...Object.entries(faults).map(([kind, count]) => [count, `faults of kind ${kind}`] as const),
    [connections - connect.opened, "connections were not opened at the first try"],
    [connect.failed, "attempts to connect failed"],
    [subscribe.refused, "subscriptions were refused"],
    [closed, "sessions were ended by the node"],
    [told.gaps, "gaps were told"],
  ];
  const found = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return samples.length === 0 ? found : [...found, `first: ${samples[0]}`];
}
