/** Runs the C load client (bench/c/load.c) and reads its report. */
import { startChild } from "./fanout-child.ts";
import { compiled } from "./fanout-programs.ts";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  /** Channels c0..c(n-1), all asked for in one command by every session; 0: the path says what is wanted. */
  readonly channels: number;
  /** Each session asks for one of the channels only, in turn. */
  readonly spread?: boolean;
  /** Acknowledges what it reads at once. */
  readonly quickAck?: boolean;
  /** Default: the native endpoint. */
  readonly path?: string;
  /** What stands before a frame's wall clock in microseconds; default `"ts":`. */
  readonly latencyKey?: string;
  /** What stands before a second time, of the source, in the frames that have it. */
  readonly sourceKey?: string;
  readonly connectRate: number;
  readonly subscribeRate: number;
  /** Channels that all sessions ask for, and whose chains are checked; instead of `channels`. */
  readonly names?: readonly string[];
  /** The last `sessions` of them read only `part` of what the others get, into so big a receive buffer. */
  readonly slow?: { readonly sessions: number; readonly part: number; readonly bufferBytes: number };
  readonly warmupSeconds: number;
  readonly seconds: number;
  /** Waits this long between connecting and subscribing. */
  readonly holdSeconds?: number;
  readonly cpuOf: number;
  /** Called at each phase's end; at "result" the sessions are still open. */
  readonly onPhase?: (phase: Phase) => Promise<void> | void;
}

/** What became of the slow sessions. */
export interface SlowResult {
  readonly sessions: number;
  /** Still open at the end of the window. */
  readonly open: number;
  /** Closed by the server with a code, and gone without one. */
  readonly closed: number;
  readonly lost: number;
  readonly lastCloseCode: number;
  readonly messages: number;
  readonly bytes: number;
  readonly latencyUs: Histogram;
}

export type Phase = "connected" | "subscribed" | "begin" | "result";

export interface Histogram {
  readonly count: number;
  readonly min?: number;
  readonly mean?: number;
  readonly p50?: number;
  readonly p90?: number;
  readonly p95?: number;
  readonly p99?: number;
  readonly p999?: number;
  readonly max?: number;
}

export interface LoadResult {
  readonly connections: number;
  readonly connected: number;
  readonly failed: number;
  readonly closedByServer: number;
  readonly lastCloseCode: number;
  readonly subscribed: number;
  readonly refusals: number;
  readonly subscribeSeconds: number;
  readonly windowSeconds: number;
  readonly messages: number;
  readonly bytes: number;
  readonly brokenFrames: number;
  readonly chainBreaks: number;
  readonly seqNotRising: number;
  readonly otherFrames: number;
  readonly slow?: SlowResult;
  /** Of all sessions: changes of cadence and gaps that were told. */
  readonly cadenceChanges: number;
  readonly gaps: number;
  readonly serverCpuSeconds: number;
  readonly clientCpuSeconds: number;
  readonly latencyUs: Histogram;
  readonly sourceUs: Histogram;
  readonly connectUs: Histogram;
  readonly subscribeUs: Histogram;
  readonly firstError: string;
}

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { names, slow } = options;
  const channels = names ?? Array.from({ length: options.channels }, (_, index) => `c${index}`);
  const numbers = {
    port: options.port,
    connections: options.connections,
    channels: options.channels,
    "connect-rate": options.connectRate,
    "subscribe-rate": options.subscribeRate,
    warmup: options.warmupSeconds,
    seconds: options.seconds,
    hold: options.holdSeconds ?? 0,
    "cpu-of": options.cpuOf,
    ...(slow === undefined ? {} : { slow: slow.sessions, "slow-part": slow.part, "slow-buffer": slow.bufferBytes }),
  };
  const child = startChild([
    compiled("load"),
    ...Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)]),
    ...(options.spread ? ["--spread"] : []),
    ...(options.quickAck ? ["--quick-ack"] : []),
    ...(channels.length > 0 && !options.spread
      ? ["--subscribe", JSON.stringify({ id: 1, op: "subscribe", channels })]
      : []),
    ...(names === undefined ? [] : ["--names", names.join(",")]),
    ...(options.path === undefined ? [] : ["--path", options.path]),
    ...(options.latencyKey === undefined ? [] : ["--latency-key", options.latencyKey]),
    ...(options.sourceKey === undefined ? [] : ["--source-key", options.sourceKey]),
    "--linger",
  ]);
  try {
    for (let line = await child.line(); line !== null; line = await child.line()) {
      const report = JSON.parse(line) as { event: Phase };
      await options.onPhase?.(report.event);
      if (report.event === "result") return report as { event: Phase } & LoadResult;
    }
    throw new Error(`the load client ended without a result: ${child.errors()}`);
  } finally {
    child.closeInput();
    await child.stop();
  }
}

/** What went wrong in a run, as sentences; empty if nothing did. `subscribes`: every session sent a subscribe command. */
export function faultsOf(result: LoadResult, subscribes = true): string[] {
  const counts: readonly (readonly [number, string])[] = [
    [result.failed, "sessions could not connect"],
    [result.closedByServer, `sessions were closed by the server (last code ${result.lastCloseCode})`],
    [
      subscribes ? result.connected - result.closedByServer - result.subscribed : 0,
      "sessions got no reply to subscribe",
    ],
    [result.refusals, "subscribes were refused"],
    [result.brokenFrames, "frames were broken"],
    [result.chainBreaks, "chain breaks"],
    [result.seqNotRising, "frames did not rise in seq"],
  ];
  const faults = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return faults.length > 0 && result.firstError !== "" ? [...faults, `first: ${result.firstError}`] : faults;
}
