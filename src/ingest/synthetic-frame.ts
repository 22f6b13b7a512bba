/**
 * How many bytes a synthetic update takes on the native wire, so that its padding can make it exactly `size`.
 *
 * Invariant: counts what protocol/native writes for a value in the steady state (an integer `prev`, no `epoch`):
 * test/contract/synthetic-frame.test.ts holds the two together.
 */
import { freshBase } from "./numbering.ts";

/** Digits of `seq` and `prev` of an epoch that begins now (13 until March 2027, then 14 until 2055). */
export function seqDigits(wallUs: number): number {
  return String(freshBase(wallUs, null)).length;
}

/** Bytes of the frame with an empty pad. */
export function frameBytes(channel: string, seqDigitsNow: number): number {
  const seq = "9".repeat(seqDigitsNow);
  const ms = "9".repeat(13);
  const us = "9".repeat(16);
  return `{"channel":"${channel}","type":"value","prev":${seq},"seq":${seq},"time":${ms},"sentUs":${us},"data":{"ts":${us},"pad":""}}`
    .length;
}
