/**
 * A watch: what is known of a session while its outbox is not empty, or while it is slowed.
 *
 * Beside the path: hub and session count into it, the slow policy (slow.ts) reads it 20 times a second.
 * Invariants: it exists for such sessions only; bytes of shared streams are counted once, on the stream, and added up when
 * the session is looked at; the age it gives is never less than the true one by more than what was published since the
 * socket was last written to.
 * At the limit: SPANS_MAX spans of time; then the two oldest become one, so that the age is too high, never too low.
 */
import type { Rung } from "../../ring/messages.ts";
import type { Stream } from "../hub.ts";
import type { Session } from "../session/session.ts";
import type { LeftOut } from "./left-out.ts";

const SPANS_MAX = 64;

/** What a session's outbox can hold at most: all that was published to it since somebody last found it empty. */
export function outboxBytesMaxOf(session: Session): number {
  if (session.watch !== null) return session.watch.bytesMax;
  let recent = 0;
  for (const stream of session.streams) recent += stream.bytes - stream.bytesBefore;
  return recent;
}

export class Watch {
  readonly session: Session;
  /** Rungs that the client asked for, by asked name, of the subscriptions that are on a slower one. */
  readonly ceilings = new Map<string, Rung>();
  /** Lossless streams that go on without it. */
  readonly leftOut = new Map<Stream, LeftOut>();
  /** Bytes of outbox when it was last looked at. */
  bytes: number;
  /** Of the oldest unsent byte, ms. */
  ageMs: number;
  /** Since when it has had nothing to complain of. */
  calmMs: number;
  /** How long that must last before it is given more. */
  patienceMs: number;
  /** It was given more and has not been slow again since. */
  raised = false;
  /** It was slow again soon after it was given more. */
  relapsed = false;
  /** It was slowed at least once. */
  stepped = false;
  /** When, and with how many bytes in its outbox, it was last slowed for them. */
  steppedMs = Number.NEGATIVE_INFINITY;
  steppedBytes = 0;
  /** Bytes enqueued in spans of time, oldest first, and when each span began. */
  readonly #sizes: number[];
  readonly #begins: number[];
  #lookedMs: number;
  #seen: number;
  /** Makes the sum of its streams' bytes that of what was enqueued for it. */
  #carried = 0;

  /** It had nothing waiting at `sinceMs`, and has `bytes` now. */
  constructor(session: Session, bytes: number, sinceMs: number, nowMs: number, patienceMs: number) {
    this.session = session;
    this.bytes = bytes;
    this.ageMs = bytes > 0 ? nowMs - sinceMs : 0;
    this.calmMs = nowMs;
    this.patienceMs = patienceMs;
    this.#sizes = bytes > 0 ? [bytes] : [];
    this.#begins = bytes > 0 ? [sinceMs] : [];
    this.#lookedMs = nowMs;
    this.#seen = this.#enqueued();
  }

  /** Nothing keeps it from being forgotten but its memory of being slow. */
  get free(): boolean {
    return this.ceilings.size === 0 && this.leftOut.size === 0;
  }

  /** Bytes in its outbox now, at most. */
  get bytesMax(): number {
    return this.bytes + this.#enqueued() - this.#seen;
  }

  // --- what is enqueued -----------------------------------------------------------------------------------------------

  sent(bytes: number): void {
    this.#carried += bytes;
  }

  joined(stream: Stream): void {
    this.#carried -= stream.bytes;
  }

  left(stream: Stream): void {
    this.#carried += stream.bytes;
  }

  // --- looking --------------------------------------------------------------------------------------------------------

  look(bytes: number, nowMs: number): void {
    const total = this.#enqueued();
    const added = total - this.#seen;
    this.#seen = total;
    if (added > 0) {
      this.#sizes.push(added);
      this.#begins.push(this.#lookedMs);
    }
    this.#lookedMs = nowMs;
    this.bytes = bytes;
    const oldest = this.#spanOf(bytes);
    this.#sizes.splice(0, oldest);
    this.#begins.splice(0, oldest);
    this.ageMs = bytes === 0 ? 0 : nowMs - (this.#begins[0] ?? nowMs);
    if (this.#sizes.length > SPANS_MAX) {
      const oldest = this.#sizes.shift()!;
      this.#sizes[0]! += oldest;
      this.#begins.splice(1, 1);
    }
  }

  /** The span in which the oldest of the last `bytes` bytes was enqueued; what is older has been sent. */
  #spanOf(bytes: number): number {
    if (bytes === 0) return this.#sizes.length;
    let at = this.#sizes.length - 1;
    for (let sum = this.#sizes[at] ?? 0; at > 0 && sum < bytes; sum += this.#sizes[at]!) at--;
    return Math.max(0, at);
  }

  #enqueued(): number {
    let sum = this.#carried;
    for (const stream of this.session.streams) if (!this.leftOut.has(stream)) sum += stream.bytes;
    return sum;
  }
}
