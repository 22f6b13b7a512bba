/** What can be chosen when connecting; every limit with its unit in its name. */
import { type Clock, systemClock } from "./clock.ts";
import { TidegateError } from "./errors.ts";
import type { SocketConstructor } from "./socket.ts";

export interface ConnectOptions {
  /** The WebSocket to use; without it that of the runtime. Node has one since version 22: before, pass that of `ws`. */
  readonly WebSocket?: SocketConstructor;
  /** ms between pushes of each subscription that does not say otherwise; without it real time. */
  readonly cadence?: number;
  /** First and longest wait before connecting again; it doubles in between, and half of it is random. */
  readonly retryMsFirst?: number;
  readonly retryMsMax?: number;
  /** A socket that is not open by then is given up. */
  readonly openMsMax?: number;
  /** A ping goes so often; nothing at all for `silenceMsMax` and the connection is made again. */
  readonly pingMs?: number;
  readonly silenceMsMax?: number;
  /** A command without a reply for so long, and the connection is made again. */
  readonly replyMsMax?: number;
  /** Items or candles that each iterator holds for its consumer; beyond it the oldest become a gap. */
  readonly buffer?: number;
  /** Compares every book with a snapshot of the node about so often; without it only when a book crosses. */
  readonly verifyMs?: number;
  /** Time and chance, for tests. */
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface SubscribeOptions {
  /** ms between pushes; the node takes the next cadence that is not faster. */
  readonly cadence?: number;
  /** Goes on from a position that was kept (`subscription.position`); not for books, which begin with a snapshot. */
  readonly since?: { readonly epoch: string; readonly seq: number };
}

export interface Settings {
  readonly cadence: number | null;
  readonly retryMsFirst: number;
  readonly retryMsMax: number;
  readonly openMsMax: number;
  readonly pingMs: number;
  readonly silenceMsMax: number;
  readonly replyMsMax: number;
  readonly buffer: number;
  readonly verifyMs: number | null;
  readonly clock: Clock;
  readonly random: () => number;
}

const CADENCE_MAX = 3000;

export function settingsOf(options: ConnectOptions): Settings {
  const settings: Settings = {
    cadence: options.cadence ?? null,
    retryMsFirst: options.retryMsFirst ?? 200,
    retryMsMax: options.retryMsMax ?? 5000,
    openMsMax: options.openMsMax ?? 10_000,
    pingMs: options.pingMs ?? 10_000,
    silenceMsMax: options.silenceMsMax ?? 25_000,
    replyMsMax: options.replyMsMax ?? 30_000,
    buffer: options.buffer ?? 10_000,
    verifyMs: options.verifyMs ?? null,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  };
  for (const name of [
    "retryMsFirst",
    "retryMsMax",
    "openMsMax",
    "pingMs",
    "silenceMsMax",
    "replyMsMax",
    "buffer",
  ] as const)
    if (!(settings[name] > 0)) throw bad(name, settings[name], "a number above 0");
  if (settings.verifyMs !== null && !(settings.verifyMs > 0))
    throw bad("verifyMs", settings.verifyMs, "a number above 0");
  if (settings.silenceMsMax <= settings.pingMs) throw bad("silenceMsMax", settings.silenceMsMax, "more than pingMs");
  const fault = settings.cadence === null ? null : cadenceFault(settings.cadence);
  if (fault !== null) throw fault;
  return settings;
}

/** Null if a node may take it. */
export function cadenceFault(ms: number): TidegateError | null {
  if (ms >= 0 && ms <= CADENCE_MAX) return null;
  return bad("cadence", ms, `milliseconds from 0 (real time) to ${CADENCE_MAX}`);
}

const bad = (name: string, value: unknown, want: string): TidegateError =>
  new TidegateError("BAD_OPTION", `${name} is ${String(value)}, want ${want}`);
