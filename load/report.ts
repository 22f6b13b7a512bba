/** What a load run found, for programs (`--json`) and for people. */
import type { Percentiles } from "./histogram.ts";
import { type Judged, judge } from "./limits.ts";
import type { LoadOptions } from "./options.ts";
import type { Fault, Tally } from "./tally.ts";

/** Milliseconds throughout; null where nothing was measured. */
export interface Report {
  readonly urls: readonly string[];
  readonly dialect: string;
  readonly processes: number;
  readonly connections: number;
  /** Of the window. */
  readonly seconds: number;
  readonly connect: {
    readonly attempts: number;
    readonly opened: number;
    readonly failed: number;
    /** 0 to 1. */
    readonly success: number | null;
    readonly ms: Percentiles;
    readonly failures: Readonly<Record<string, number>>;
  };
  readonly subscribe: {
    readonly answered: number;
    readonly refused: number;
    readonly recovered: number;
    readonly notRecovered: number;
    readonly ms: Percentiles;
    readonly refusals: Readonly<Record<string, number>>;
  };
  /** All messages from the first to the last; the rates are the window's. */
  readonly messages: number;
  readonly bytes: number;
  readonly rate: { readonly messagesPerSecond: number | null; readonly bytesPerSecond: number | null };
  readonly latencyMs: Percentiles;
  readonly sourceLatencyMs: Percentiles;
  readonly slowLatencyMs: Percentiles;
  readonly told: Readonly<Record<"gaps" | "gapsUnknown" | "missed" | "stale" | "cadences" | "drains", number>>;
  readonly checked: Readonly<Record<"links" | "overlaps" | "ids" | "books" | "compared", number>>;
  readonly faults: Readonly<Record<Fault, number>>;
  readonly samples: readonly string[];
  /** Sessions the other side ended. */
  readonly closed: number;
  readonly closes: Readonly<Record<string, number>>;
  readonly reconnects: number;
  /** Of the tool itself. */
  readonly tool: { readonly bytesPerConnection: number | null; readonly cores: number | null };
  readonly limits: readonly Judged[];
  readonly ok: boolean;
}

/** With fewer connections the process's own growth is what one would see. */
const MEMORY_FROM = 1000;

const sum = (record: Readonly<Record<string, number>>): number => Object.values(record).reduce((a, b) => a + b, 0);

export function reportOf(options: LoadOptions, processes: number, tally: Tally): Report {
  const { counts, measuredSeconds, faults, closes, failures, refusals, samples } = tally;
  const perSecond = (amount: number): number | null => (measuredSeconds > 0 ? amount / measuredSeconds : null);
  const { gaps, gapsUnknown, missed, stale, cadences, drains, links, overlaps, ids, books, compared } = counts;
  const tried = counts.opened + counts.failed;
  const found = {
    urls: options.urls,
    dialect: options.dialect,
    processes,
    connections: options.connections,
    seconds: measuredSeconds,
    connect: {
      attempts: counts.attempts,
      opened: counts.opened,
      failed: counts.failed,
      success: tried === 0 ? null : counts.opened / tried,
      ms: tally.connect.percentiles(),
      failures,
    },
    subscribe: {
      answered: counts.subscribed,
      refused: counts.refused,
      recovered: counts.recovered,
      notRecovered: counts.notRecovered,
      ms: tally.subscribe.percentiles(),
      refusals,
    },
    messages: counts.messages,
    bytes: counts.bytes,
    rate: {
      messagesPerSecond: perSecond(counts.measuredMessages),
      bytesPerSecond: perSecond(counts.measuredBytes),
    },
    latencyMs: tally.latency.percentiles(),
    sourceLatencyMs: tally.source.percentiles(),
    slowLatencyMs: tally.slow.percentiles(),
    told: { gaps, gapsUnknown, missed, stale, cadences, drains },
    checked: { links, overlaps, ids, books, compared },
    faults,
    samples,
    closed: sum(closes),
    closes,
    reconnects: counts.reconnects,
    tool: {
      bytesPerConnection:
        options.connections < MEMORY_FROM ? null : Math.max(0, (tally.bytes - tally.startBytes) / options.connections),
      cores: perSecond(tally.cpuSeconds),
    },
  };
  const limits = judge(options.limits, found);
  const ok = tally.allFaults === 0 && counts.opened > 0 && limits.every(({ met }) => met);
  return { ...found, limits, ok };
}

export const grouped = (value: number): string => Math.round(value).toLocaleString("en-US");

export const msText = (ms: number | null): string =>
  ms === null ? "-" : `${ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms.toFixed(2)} ms`;

export function bytesText(bytes: number | null): string {
  if (bytes === null) return "-";
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes >= 1e3 ? `${(bytes / 1e3).toFixed(1)} kB` : `${Math.round(bytes)} B`;
}

export function reportText(report: Report): string {
  const { connect, subscribe, rate, told, checked, tool } = report;
  const rows: (readonly [string, string])[] = [
    [
      "connections",
      `${grouped(connect.opened)} opened, ${grouped(connect.failed)} failed (${percent(connect.success)})${listed(connect.failures)}`,
    ],
    ["connect", spread(connect.ms)],
    ["subscribe", `${spread(subscribe.ms)}${refusedText(report)}`],
    [
      "delivered",
      rate.messagesPerSecond === null
        ? `${grouped(report.messages)} messages, none in a window`
        : `${grouped(rate.messagesPerSecond)} msg/s, ${bytesText(rate.bytesPerSecond)}/s in ${report.seconds.toFixed(1)} s; ${grouped(report.messages)} messages in all`,
    ],
    ["latency", spread(report.latencyMs)],
  ];
  if (report.sourceLatencyMs.count > 0) rows.push(["from source", spread(report.sourceLatencyMs)]);
  if (report.slowLatencyMs.count > 0) rows.push(["slow sessions", spread(report.slowLatencyMs)]);
  rows.push(
    [
      "told",
      `${grouped(told.gaps)} gaps (${grouped(told.missed)} missed${told.gapsUnknown > 0 ? `, of ${grouped(told.gapsUnknown)} unknown how many` : ""}), ` +
        `${grouped(told.stale)} stale, ${grouped(told.cadences)} changes of cadence, ${grouped(told.drains)} drain`,
    ],
    ["closed", report.closed === 0 ? "none" : `${grouped(report.closed)}${listed(report.closes)}`],
    [
      "reconnects",
      `${grouped(report.reconnects)}${report.reconnects > 0 ? `; subscriptions recovered ${grouped(subscribe.recovered)}, not ${grouped(subscribe.notRecovered)}` : ""}`,
    ],
    [
      "verified",
      `${grouped(checked.links)} links of chains, ${grouped(checked.ids)} trade ids, ${grouped(checked.books)} books (${grouped(checked.compared)} compared)`,
    ],
    ["FAULTS", faultsText(report)],
    [
      "this tool",
      `${tool.bytesPerConnection === null ? "" : `${bytesText(tool.bytesPerConnection)} per connection, `}${report.processes} ${report.processes === 1 ? "process" : "processes"}, ${tool.cores === null ? "-" : tool.cores.toFixed(2)} cores`,
    ],
  );
  const lines = rows.map(([name, text]) => `${name.padEnd(14)}${text}`);
  lines.push(...report.samples.map((sample) => `  ${sample}`));
  for (const { limit, want, got, met } of report.limits)
    lines.push(
      `${met ? "met   " : "MISSED"} --${limit} ${want}: ${got === null ? "nothing was measured" : shortNumber(got)}`,
    );
  return lines.join("\n");
}

const shortNumber = (value: number): string => String(Math.round(value * 10_000) / 10_000);

const percent = (share: number | null): string =>
  share === null ? "-" : `${(share * 100).toFixed(share === 1 ? 0 : 2)} %`;

const spread = ({ count, p50, p95, p99, p999, max }: Percentiles): string =>
  count === 0
    ? "nothing measured"
    : `p50 ${msText(p50)}  p95 ${msText(p95)}  p99 ${msText(p99)}  p99.9 ${msText(p999)}  max ${msText(max)}`;

const KINDS_SHOWN = 6;

function listed(kinds: Readonly<Record<string, number>>): string {
  const most = Object.entries(kinds).sort(([, a], [, b]) => b - a);
  if (most.length === 0) return "";
  const shown = most.slice(0, KINDS_SHOWN).map(([kind, count]) => `${kind}: ${grouped(count)}`);
  return `; ${shown.join(", ")}${most.length > KINDS_SHOWN ? ", ..." : ""}`;
}

function faultsText({ connect, faults }: Report): string {
  if (connect.opened === 0) return "nobody connected";
  if (sum(faults) === 0) return "none";
  return Object.entries(faults)
    .map(([kind, count]) => `${kind} ${grouped(count)}`)
    .join(", ");
}

function refusedText({ subscribe: { refused, refusals } }: Report): string {
  return refused === 0 ? "" : `; ${grouped(refused)} REFUSED${listed(refusals)}`;
}
