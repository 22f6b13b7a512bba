/** The thresholds of a run: what must hold for exit status 0. */
import type { Report } from "./report.ts";

/** null: not asked for. Faults are always a failure. */
export interface Limits {
  readonly maxP99Ms: number | null;
  readonly maxConnectP99Ms: number | null;
  readonly minConnectSuccess: number | null;
  readonly maxGaps: number | null;
  readonly maxCloses: number | null;
  readonly minRate: number | null;
}

export const NO_LIMITS: Limits = {
  maxP99Ms: null,
  maxConnectP99Ms: null,
  minConnectSuccess: null,
  maxGaps: null,
  maxCloses: null,
  minRate: null,
};

export interface Judged {
  readonly limit: string;
  readonly want: number;
  /** null: nothing was measured, which does not meet a limit. */
  readonly got: number | null;
  readonly met: boolean;
}

export function judge(
  limits: Limits,
  report: Pick<Report, "connect" | "latencyMs" | "told" | "closed" | "rate">,
): Judged[] {
  const most = (limit: string, want: number | null, got: number | null): Judged[] =>
    want === null ? [] : [{ limit, want, got, met: got !== null && got <= want }];
  const least = (limit: string, want: number | null, got: number | null): Judged[] =>
    want === null ? [] : [{ limit, want, got, met: got !== null && got >= want }];
  return [
    ...least("min-connect-success", limits.minConnectSuccess, report.connect.success),
    ...most("max-connect-p99", limits.maxConnectP99Ms, report.connect.ms.p99),
    ...most("max-p99", limits.maxP99Ms, report.latencyMs.p99),
    ...least("min-rate", limits.minRate, report.rate.messagesPerSecond),
    ...most("max-gaps", limits.maxGaps, report.told.gaps),
    ...most("max-closes", limits.maxCloses, report.closed),
  ];
}
