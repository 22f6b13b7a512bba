/**
 * The ways to a node on which client libraries are tried: straight, and through a network that delays, throttles, stops and
 * cuts their sockets.
 */
import { CuttingProxy } from "../../lib/cutting-proxy.ts";
import type { Weather } from "../../lib/lane.ts";

/** Slower than the machine, faster than what a library that follows a dozen streams is sent. */
export const WEATHERS: readonly Weather[] = [
  { delayMs: [5, 60] },
  { delayMs: [0, 20], bytesPerSecond: 200_000 },
  { pause: { everyMs: [300, 1000], ms: [100, 600] } },
];

/** A connection lives for so long. */
const LIFE_MS = { lifeMsMin: 1000, lifeMsMax: 3000 } as const;
const TRIES_MAX = 30;

export interface Way {
  readonly name: "directly" | "through a bad network";
  readonly cuts: boolean;
}

export const WAYS: readonly Way[] = [
  { name: "directly", cuts: false },
  { name: "through a bad network", cuts: true },
];

/** The way's proxy in front of a node's port; null: there is none on this way. */
export const proxyOn = (way: Way, port: number): Promise<CuttingProxy> | null =>
  way.cuts ? CuttingProxy.start({ port, seed: 3, weathers: WEATHERS, ...LIFE_MS }) : null;

/** As a user's loop does it: an error of the network is followed by the next attempt, any other is thrown. */
export async function patiently<T>(isNetworkError: (error: unknown) => boolean, ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (!isNetworkError(error) || tries === TRIES_MAX) throw error;
    }
  }
}
