/**
 * Questions to the owners, paced: at most `inFlightMax` at a time, the others wait in order.
 *
 * Invariants: a question is written when it is sent, not when it is queued, so it names the position of that moment; each
 * is answered exactly once, after `timeoutMs` by an error; an answer that comes later is counted and ignored.
 * At the limit: the queue is bounded by its users, each chain has at most one question in it.
 */
import type { Clock, Timer } from "../lib/clock.ts";
import { GatewayError } from "../lib/errors.ts";
import type { Bus, StateReply, StateRequest } from "./bus.ts";

export type Answer =
  | { readonly ok: true; readonly reply: StateReply | null }
  | { readonly ok: false; readonly error: GatewayError };

export interface AskerOptions {
  readonly bus: Pick<Bus, "request">;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly inFlightMax: number;
  readonly counters: { requests: number; lateAnswers: number };
}

interface Question {
  readonly write: () => StateRequest | null;
  readonly answered: (answer: Answer) => void;
}

export class Asker {
  inFlight = 0;
  readonly #options: AskerOptions;
  #queue: Question[] = [];
  /** First of the queue that was not sent yet. */
  #next = 0;
  readonly #timers = new Set<Timer>();
  #closed = false;

  constructor(options: AskerOptions) {
    this.#options = options;
  }

  get queued(): number {
    return this.#queue.length - this.#next;
  }

  /** `write` may return null when the time comes: then nobody wants the answer any more. */
  ask(write: Question["write"], answered: Question["answered"]): void {
    this.#queue.push({ write, answered });
    this.#sendNext();
  }

  /** No answer is handed on any more, no question sent. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  #sendNext(): void {
    while (this.inFlight < this.#options.inFlightMax && this.#next < this.#queue.length) {
      const question = this.#queue[this.#next++]!;
      const request = question.write();
      if (request !== null) this.#send(request, question.answered);
    }
    if (this.#next === this.#queue.length || this.#next > 1000) {
      this.#queue = this.#queue.slice(this.#next);
      this.#next = 0;
    }
  }

  #send(request: StateRequest, answered: Question["answered"]): void {
    const { bus, clock, timeoutMs, counters } = this.#options;
    this.inFlight++;
    counters.requests++;
    let open = true;
    const end = (answer: Answer): void => {
      if (!open) {
        counters.lateAnswers++;
        return;
      }
      open = false;
      timer.cancel();
      this.#timers.delete(timer);
      this.inFlight--;
      if (this.#closed) return;
      answered(answer);
      this.#sendNext();
    };
    const timer = clock.after(timeoutMs, () => {
      const message = `no owner answered for ${request.channel} within ${timeoutMs} ms`;
      end({ ok: false, error: new GatewayError("BUS_NO_ANSWER", message) });
    });
    this.#timers.add(timer);
    bus.request(request).then(
      (reply) => end({ ok: true, reply }),
      (error: unknown) => end({ ok: false, error: asGatewayError(error) }),
    );
  }
}

const asGatewayError = (error: unknown): GatewayError =>
  error instanceof GatewayError ? error : new GatewayError("BUS_NO_ANSWER", String(error), { cause: error });
