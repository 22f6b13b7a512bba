/**
 * Who waits for a channel's state, and what they are told: that it is there, or why it cannot be had.
 *
 * Beside the path: engine (joins, derived channels) -> WAITERS <- channel state.
 * Invariants: everybody is called once; a channel whose owner nobody has heard of is ready too (its first publication is
 * its snapshot), but whoever resumes waits for an owner for a while: who alone can say what followed their position.
 * At the limit: see OwnerPatience; then they are called as well, and are told that no epoch is known.
 */
import type { Subscription } from "../bus/bus.ts";
import type { Clock, Timer } from "../lib/clock.ts";

export interface Failure {
  readonly code: number;
  readonly message: string;
}

/** Null: the state is there. */
export type WhenReady = (failure: Failure | null) => void;

export class Waiters {
  ready = false;
  /** Why it is not ready, once that was said. */
  failure: Failure | null = null;
  readonly #clock: Pick<Clock, "after">;
  readonly #patience: OwnerPatience;
  /** Everybody who was to be called has been. */
  readonly #settled: () => void;
  readonly #waiting = new Set<WhenReady>();
  /** Null: nobody has said yet whether there is an owner. */
  readonly #forOwner = new Map<WhenReady, Timer | null>();
  #hasOwner = false;

  constructor(clock: Pick<Clock, "after">, patience: OwnerPatience, settled: () => void) {
    this.#clock = clock;
    this.#patience = patience;
    this.#settled = settled;
  }

  /** Nobody waits. */
  get idle(): boolean {
    return this.#waiting.size === 0 && this.#forOwner.size === 0;
  }

  /** Calls back when the state is known, or cannot be had; closing it ends the wait. */
  when(call: WhenReady): Subscription {
    if (this.ready || this.failure !== null) call(this.failure);
    else this.#waiting.add(call);
    return { close: () => this.#waiting.delete(call) };
  }

  /** The same for one who has a position, which only an owner can judge. */
  whenOwned(call: WhenReady): void {
    const isKnown = this.failure !== null || this.#hasOwner;
    if (isKnown || (this.ready && !this.#awaitOwner(call))) call(this.failure);
    else if (!this.ready) this.#forOwner.set(call, null);
  }

  /** It is there, or cannot be had; `hasOwner`: an owner has said so. */
  settle(failure: Failure | null, hasOwner: boolean): void {
    this.ready = failure === null;
    this.failure = failure;
    this.#hasOwner ||= hasOwner;
    for (const [call, timer] of [...this.#forOwner]) {
      const mayWait = failure === null && !this.#hasOwner;
      if (mayWait && (timer !== null || this.#awaitOwner(call))) continue;
      timer?.cancel();
      this.#forOwner.delete(call);
      this.#waiting.add(call);
    }
    if (this.#waiting.size === 0) return;
    // The state counts as used until the last has had its turn.
    for (const call of this.#waiting) call(failure);
    this.#waiting.clear();
    this.#settled();
  }

  /** Nobody is called any more. */
  close(): void {
    this.#waiting.clear();
    for (const timer of this.#forOwner.values()) timer?.cancel();
    this.#forOwner.clear();
  }

  /** False if there is no time for that. */
  #awaitOwner(call: WhenReady): boolean {
    const ms = this.#patience.leftMs();
    if (ms === 0) return false;
    const late = (): void => {
      this.#forOwner.delete(call);
      call(this.failure);
      this.#settled();
    };
    this.#forOwner.set(call, this.#clock.after(ms, late));
    return true;
  }
}

/** An owner that starts again has loaded its checkpoint and sent its first HEAD by then. */
export const OWNER_WAIT_MS = 3000;
const OWNER_WAIT_EVERY_MS = 30_000;

/**
 * How long those who resume wait for owners that this node has not heard of.
 *
 * One time for all channels: a session has few joins in flight, so if each of its channels waited by itself, a thousand of
 * an owner that is gone would keep those of others from running for minutes. The next such time begins OWNER_WAIT_EVERY_MS
 * after the last began.
 */
export class OwnerPatience {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #beganMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  leftMs(): number {
    const now = this.#clock.monotonicMs();
    if (now - this.#beganMs >= OWNER_WAIT_EVERY_MS) this.#beganMs = now;
    return Math.max(0, this.#beganMs + OWNER_WAIT_MS - now);
  }
}
