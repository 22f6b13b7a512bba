/**
 * A chain's question to its owner: at most one is out, or a pause before the next one runs.
 *
 * Invariants: answers are matched by generation, one that was given up is counted and ignored; after `close` nothing is
 * asked and nothing is answered.
 */
import type { Timer } from "../lib/clock.ts";
import type { Answer } from "./asker.ts";
import type { StateRequest } from "./bus.ts";

export interface InquiryHost {
  readonly counters: { lateAnswers: number };
  ask(write: () => StateRequest | null, answered: (answer: Answer) => void): void;
  /** After a pause that grows with `attempt` (from 1). */
  later(attempt: number, call: () => void): Timer;
}

export class Inquiry {
  /** A question is out, or waits for its turn. */
  asking = false;
  readonly #host: InquiryHost;
  readonly #write: () => StateRequest;
  readonly #answered: (answer: Answer) => void;
  #generation = 0;
  #pause: Timer | null = null;
  #closed = false;

  constructor(host: InquiryHost, write: () => StateRequest, answered: (answer: Answer) => void) {
    this.#host = host;
    this.#write = write;
    this.#answered = answered;
  }

  get pausing(): boolean {
    return this.#pause !== null;
  }

  /** Under way in either way. */
  get busy(): boolean {
    return this.asking || this.#pause !== null;
  }

  ask(): void {
    if (this.#closed) return;
    this.asking = true;
    const generation = ++this.#generation;
    this.#host.ask(
      () => (generation === this.#generation ? this.#write() : null),
      (answer) => {
        if (generation !== this.#generation) {
          this.#host.counters.lateAnswers++;
          return;
        }
        this.asking = false;
        this.#answered(answer);
      },
    );
  }

  askLater(attempt: number): void {
    if (this.#closed) return;
    this.#pause = this.#host.later(attempt, () => {
      this.#pause = null;
      this.ask();
    });
  }

  /** Ends the pause, if there is one: somebody new may answer. */
  askNow(): void {
    if (this.#pause === null) return;
    this.#pause.cancel();
    this.#pause = null;
    this.ask();
  }

  close(): void {
    this.#closed = true;
    this.#generation++;
    this.#pause?.cancel();
    this.#pause = null;
  }
}
