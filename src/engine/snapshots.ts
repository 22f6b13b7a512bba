/**
 * Paces what the engine writes to single workers: snapshots, what resumers have missed, and catch-ups.
 *
 * Invariants: at most one snapshot per channel and form is encoded every SNAPSHOT_EVERY_MS, when it is written into the
 * ring, so a joiner never gets an older one; answers go out in the order they were asked for.
 * So that a storm of them harms nobody who is healthy: they take at most SLICE_MS of main's time at a stretch, and of what
 * the slowest live reader has before it at most AHEAD_BYTES_MAX are answers, and less than a quarter of the ring in all.
 * At the limit: the answers wait in order; as many as the workers' sessions may have joins in flight.
 */
import type { Clock } from "../lib/clock.ts";
import type { RingWriter } from "../ring/ring.ts";

const SNAPSHOT_EVERY_MS = 50;
/** While readers are behind. */
const RETRY_MS = 5;
const SLICE_MS = 4;
/** Between two slices: publications, and whatever else waits for main, have their turn. */
const PAUSE_MS = 1;
const AHEAD_BYTES_MAX = 1 << 20;

interface Written {
  /** Where it ends, in bytes written. */
  readonly end: number;
  readonly bytes: number;
}

export class Snapshots {
  readonly #clock: Clock;
  readonly #ring: RingWriter;
  /** When each channel's last snapshot was encoded (monotonic ms). */
  readonly #last = new Map<string, number>();
  readonly #waiting = new Map<string, (() => unknown)[]>();
  /** Answers held back; those before `#next` are written. */
  #held: (() => unknown)[] = [];
  #next = 0;
  #timer = false;
  /** ms of answers since the last pause. */
  #spentMs = 0;
  /** Answers that a reader may still have before it. */
  readonly #ahead: Written[] = [];
  #aheadBytes = 0;

  constructor(clock: Clock, ring: RingWriter) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Answers that wait because readers or main are busy. */
  get held(): number {
    return this.#held.length - this.#next;
  }

  /** Runs `write` when the channel may have its next snapshot; all that wait for one channel run one after the other. */
  paced(channel: string, write: () => unknown): void {
    const waiting = this.#waiting.get(channel);
    if (waiting) {
      waiting.push(write);
      return;
    }
    const since = this.#clock.monotonicMs() - (this.#last.get(channel) ?? Number.NEGATIVE_INFINITY);
    this.#waiting.set(channel, [write]);
    if (since >= SNAPSHOT_EVERY_MS) this.#run(channel);
    else this.#clock.after(SNAPSHOT_EVERY_MS - since, () => this.#run(channel));
  }

  /** Runs `write` now, or as soon as the readers have caught up and main has time. */
  unpaced(write: () => unknown): void {
    if (this.held === 0 && this.#spentMs < SLICE_MS && this.#roomy()) this.#write(write);
    else this.#held.push(write);
    if (this.held > 0 || this.#spentMs > 0) this.#arm(PAUSE_MS);
  }

  forget(channel: string): void {
    this.#last.delete(channel);
  }

  #run(channel: string): void {
    const writes = this.#waiting.get(channel) ?? [];
    this.#waiting.delete(channel);
    this.#last.set(channel, this.#clock.monotonicMs());
    for (const write of writes) this.unpaced(write);
  }

  #write(write: () => unknown): void {
    const before = this.#ring.written;
    const startMs = this.#clock.monotonicMs();
    write();
    this.#spentMs += this.#clock.monotonicMs() - startMs;
    const end = this.#ring.written;
    if (end === before) return;
    this.#ahead.push({ end, bytes: end - before });
    this.#aheadBytes += end - before;
  }

  #roomy(): boolean {
    const lag = this.#ring.lagBytes();
    const read = this.#ring.written - lag;
    let done = 0;
    while (done < this.#ahead.length && this.#ahead[done]!.end <= read) this.#aheadBytes -= this.#ahead[done++]!.bytes;
    if (done > 0) this.#ahead.splice(0, done);
    return this.#aheadBytes < AHEAD_BYTES_MAX && lag < this.#ring.capacityBytes / 4;
  }

  #arm(ms: number): void {
    if (this.#timer) return;
    this.#timer = true;
    this.#clock.after(ms, () => this.#release());
  }

  #release(): void {
    this.#timer = false;
    this.#spentMs = 0;
    let roomy = this.#roomy();
    while (this.held > 0 && roomy && this.#spentMs < SLICE_MS) {
      this.#write(this.#held[this.#next++]!);
      roomy = this.#roomy();
    }
    if (this.#next * 2 > this.#held.length) {
      this.#held = this.#held.slice(this.#next);
      this.#next = 0;
    }
    if (this.held > 0 || this.#spentMs > 0) this.#arm(roomy ? PAUSE_MS : RETRY_MS);
  }
}
