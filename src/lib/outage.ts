/**
 * Something that is away, as the log tells it: a line when it goes with the reason, one for each other reason, a reminder
 * every REMIND_MS with the number of attempts, and a line when it is back.
 *
 * Beside the path: whoever tries again for ever tells each attempt here, and counts it himself.
 * Invariants: an expected error is told without its stack; without a failure before, `worked` says nothing.
 * At the limit: behind REASONS_MAX reasons further ones wait for the reminder.
 */
import type { Clock } from "./clock.ts";
import { GatewayError } from "./errors.ts";
import type { Log, LogFields } from "./log.ts";

export const REMIND_MS = 30_000;
const REASONS_MAX = 8;

export interface OutageOptions {
  readonly log: Pick<Log, "info" | "warn">;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** The lines' messages. */
  readonly away: string;
  /** Null: somebody else says it. */
  readonly back: string | null;
  /** On every line. */
  readonly fields?: LogFields;
  /** While it is true somebody else tells of it. */
  readonly isToldElsewhere?: () => boolean;
}

export class Outage {
  readonly #options: OutageOptions;
  readonly #reasons = new Set<string>();
  #sinceMs = 0;
  #remindMs = 0;
  #attempts = 0;
  #isTold = false;

  constructor(options: OutageOptions) {
    this.#options = options;
  }

  /** An attempt failed; `attempts`: so many so far, where the caller knows better than the number of calls. */
  failed(error: unknown, fields: LogFields = {}, attempts: number = this.#attempts + 1): void {
    const { log, clock, away, isToldElsewhere } = this.#options;
    const now = clock.monotonicMs();
    if (this.#attempts === 0) this.#sinceMs = now;
    this.#attempts = attempts;
    if (isToldElsewhere?.() === true) return;
    const reason = error instanceof Error ? error.message : String(error);
    const isNew = !this.#reasons.has(reason) && this.#reasons.size < REASONS_MAX;
    if (!isNew && now < this.#remindMs) return;
    this.#reasons.add(reason);
    this.#remindMs = now + REMIND_MS;
    // What nobody expected is told whole, once.
    const said = isNew && error instanceof Error && !(error instanceof GatewayError) ? error : reason;
    log.warn(away, { ...this.#options.fields, ...fields, error: said, ...(this.#isTold ? this.#length(now) : {}) });
    this.#isTold = true;
  }

  /** An attempt worked. */
  worked(): void {
    if (this.#attempts === 0) return;
    const { log, clock, back, fields } = this.#options;
    if (this.#isTold && back !== null) log.info(back, { ...fields, ...this.#length(clock.monotonicMs()) });
    this.#reasons.clear();
    this.#attempts = 0;
    this.#isTold = false;
  }

  #length(now: number): { attempts: number; seconds: number } {
    return { attempts: this.#attempts, seconds: Math.round(now - this.#sinceMs) / 1000 };
  }
}
