/**
 * Whether a channel is to be trusted: its source may have lost its footing, or this node its owner; each ends by itself.
 *
 * On the path: channel state -> STALENESS -> controls for the sessions of dialects without a word for it.
 * Invariants: sessions are told once, whichever reason comes first, and it is over when no reason is left. Binance
 * sessions that saw it turn are closed after STALE_CLOSE_MS; a worker that was lapped meanwhile learns both later.
 */
import type { StaleReason } from "../channel/types.ts";
import type { Clock, Timer } from "../lib/clock.ts";

/** Sessions of a dialect without a word for staleness are closed after this long (DESIGN 10). */
const STALE_CLOSE_MS = 5000;

export class Staleness {
  /** Told in the chain: ends with the owner's next snapshot. */
  #source: StaleReason | null = null;
  /** Told by the follower: ends when it hears the owner again. */
  #bus: StaleReason | null = null;
  #timer: Timer | null = null;
  #closed = false;
  readonly #clock: Clock;
  readonly #tooLong: (reason: StaleReason) => void;

  /** `tooLong` closes who saw it turn stale. */
  constructor(clock: Clock, tooLong: (reason: StaleReason) => void) {
    this.#clock = clock;
    this.#tooLong = tooLong;
  }

  /** Null: fresh. */
  get reason(): StaleReason | null {
    return this.#source ?? this.#bus;
  }

  /** It has lasted so long that sessions were closed for it. */
  get closed(): boolean {
    return this.#closed;
  }

  /** True if it was fresh before. */
  begin(from: "source" | "bus", reason: StaleReason): boolean {
    const wasFresh = this.reason === null;
    if (from === "source") this.#source ??= reason;
    else this.#bus ??= reason;
    if (wasFresh) {
      this.#timer = this.#clock.after(STALE_CLOSE_MS, () => {
        this.#closed = true;
        this.#tooLong(reason);
      });
    }
    return wasFresh;
  }

  /** Ends one reason, or both; true if that made it fresh. */
  end(from: "source" | "bus" | "both"): boolean {
    if (this.reason === null) return false;
    if (from !== "bus") this.#source = null;
    if (from !== "source") this.#bus = null;
    if (this.reason !== null) return false;
    this.stop();
    this.#closed = false;
    return true;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
