/** What a load run is to do, with defaults, and the readers of the values people type. */
import { GatewayError } from "../src/lib/errors.ts";
import type { Limits } from "./limits.ts";
import type { VerifyLevel } from "./verify/checks.ts";

export interface LoadOptions {
  /** Connections take them in turn. */
  readonly urls: readonly string[];
  readonly dialect: "native" | "binance";
  readonly connections: number;
  /** New connections per second, of all processes together. */
  readonly connectRate: number;
  /** Channel or stream names; `{symbol}` and `{0..9}` are expanded already. */
  readonly channels: readonly string[];
  /** How many of the channels each connection takes, one after the other; null: all. */
  readonly perConnection: number | null;
  /** Binance: the URL names the streams instead of a SUBSCRIBE. */
  readonly byUrl: boolean;
  readonly cadence: number | null;
  /** Length of the window; null: until it is ended otherwise. */
  readonly durationMs: number | null;
  /** Ends after so many messages in the window; null: by time only. */
  readonly messages: number | null;
  /** Ends at the first fault. */
  readonly failFast: boolean;
  readonly warmupMs: number;
  /** 0 to 1. */
  readonly slowShare: number;
  readonly slowRate: SlowRate;
  /** SO_RCVBUF of slow sockets; null: the system's. */
  readonly slowBufferBytes: number | null;
  readonly jitter: Jitter | null;
  /** 0 to 1: how many of the connections do it. */
  readonly jitterShare: number;
  readonly reconnect: boolean;
  readonly verify: VerifyLevel;
  /** Source addresses in turn; `auto`: loopback ones where one is not enough. */
  readonly localAddresses: readonly string[] | "auto";
  /** `ca`: PEM. */
  readonly tls: { readonly ca: string | null; readonly insecure: boolean };
  /** null: as many as the descriptor limit asks for. */
  readonly processes: number | null;
  readonly limits: Limits;
}

/** A share of what a healthy session gets, or bytes per second. */
export type SlowRate = { readonly share: number } | { readonly bytesPerSecond: number };

/** Off for `downMs` in every `everyMs`. */
export interface Jitter {
  readonly downMs: number;
  readonly everyMs: number;
}

export const DEFAULTS = {
  connections: 100,
  connectRate: 1000,
  durationMs: 30_000,
  warmupMs: 1000,
  slowRate: { share: 0.05 } as SlowRate,
  slowBufferBytes: 64 * 1024,
};

const refuse = (flag: string, text: string, want: string): GatewayError =>
  new GatewayError("USAGE", `--${flag}: "${text}" is not ${want}`);

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `10m`, `30s`, `500ms`, `1.5h`; a bare number is seconds. */
export function readDuration(flag: string, text: string): number {
  const [, number = "", unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim()) ?? [];
  const ms = Number(number) * (UNITS_MS[unit] ?? 0);
  if (number === "" || !(ms > 0)) throw refuse(flag, text, "a length of time such as 10m, 30s or 500ms");
  return ms;
}

/** `1%` or `0.01`, as 0 to 1. */
export function readShare(flag: string, text: string): number {
  const [, number = "", percent] = /^(\d+(?:\.\d+)?)(%)?$/.exec(text.trim()) ?? [];
  const share = Number(number) / (percent === undefined ? 1 : 100);
  if (number === "" || share > 1) throw refuse(flag, text, "a share such as 1% or 0.01");
  return share;
}

const UNITS_BYTES: Readonly<Record<string, number>> = { "": 1, k: 1000, ki: 1024, m: 1e6, mi: 2 ** 20 };

/** `64KiB`, `10kB`, `4096`. */
export function readBytes(flag: string, text: string): number {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)(ki|k|mi|m)?b?$/i.exec(text.trim()) ?? [];
  const bytes = Math.round(Number(number) * (UNITS_BYTES[unit.toLowerCase()] ?? 0));
  if (number === "" || bytes < 1) throw refuse(flag, text, "a size such as 64KiB or 10kB");
  return bytes;
}

/** `5%` of what a healthy session gets, or `10kB/s`. */
export function readSlowRate(flag: string, text: string): SlowRate {
  if (text.endsWith("/s")) return { bytesPerSecond: readBytes(flag, text.slice(0, -2)) };
  return { share: readShare(flag, text) };
}

/** `1s/5s`: off for 1 s in every 5 s. */
export function readJitter(flag: string, text: string): Jitter {
  const [down = "", every = "", ...more] = text.split("/");
  if (every === "" || more.length > 0) throw refuse(flag, text, "two lengths of time such as 1s/5s");
  const jitter = { downMs: readDuration(flag, down), everyMs: readDuration(flag, every) };
  if (jitter.downMs >= jitter.everyMs) throw refuse(flag, text, "shorter before the stroke than behind it");
  return jitter;
}

/** `127.0.0.2,127.0.0.5-127.0.0.9`, or `auto`. */
export function readAddresses(flag: string, text: string): readonly string[] | "auto" {
  if (text === "auto") return "auto";
  return text.split(",").flatMap((part) => {
    const [, prefix = "", first = "", last = first] =
      /^(\d+\.\d+\.\d+\.)(\d+)(?:-(?:\d+\.\d+\.\d+\.)?(\d+))?$/.exec(part.trim()) ?? [];
    const count = Number(last) - Number(first) + 1;
    if (prefix === "" || Number(last) > 255 || count < 1)
      throw refuse(flag, text, "a list of addresses such as 127.0.0.2,127.0.0.5-127.0.0.9, or auto");
    return Array.from({ length: count }, (_, at) => `${prefix}${Number(first) + at}`);
  });
}

const expandedMax = 200_000;

/** `c{0..9}` is c0 to c9; `{symbol}@trade` is that of every symbol, which are asked for only then. */
export async function expandNames(text: string, symbols: () => Promise<readonly string[]>): Promise<string[]> {
  const names: string[] = [];
  for (const name of text.split(",").map((one) => one.trim())) {
    if (name === "") continue;
    const bySymbol = name.includes("{symbol}")
      ? (await symbols()).map((symbol) => name.replaceAll("{symbol}", symbol))
      : [name];
    for (const one of bySymbol) names.push(...numbered(one));
    if (names.length > expandedMax) throw new GatewayError("USAGE", `--subscribe: over ${expandedMax} channels`);
  }
  return [...new Set(names)];
}

function numbered(name: string): string[] {
  const [whole, first = "", last = ""] = /\{(\d+)\.\.(\d+)\}/.exec(name) ?? [];
  if (whole === undefined) return [name];
  const count = Number(last) - Number(first) + 1;
  if (!(count > 0 && count <= expandedMax)) throw refuse("subscribe", name, "a range that rises");
  return Array.from({ length: count }, (_, at) => name.replace(whole, String(Number(first) + at)));
}
