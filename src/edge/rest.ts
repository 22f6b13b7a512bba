/**
 * REST requests that need market state: handed to main, answered when it answers.
 *
 * On the path: listener -> REST -> postMessage -> main -> postMessage -> response.
 * Invariants: a request is answered with state of after it came; the same question asked within one batch is asked once.
 * At the limit: more than `restInFlightMax` waiting is 429; no answer within `restMsMax` is 503.
 */
import type { Clock, Timer } from "../lib/clock.ts";
import type { EdgeToMain, RestAnswer, RestRequest } from "../ring/messages.ts";
import type { EdgeLimits } from "./config.ts";
import type { Counters } from "./counters.ts";

type Settle = (response: Response) => void;

/** One question, and everybody who asked it. */
interface Waiting extends RestRequest {
  readonly settles: Settle[];
  readonly endMs: number;
}

const HEADERS = { "content-type": "application/json", "access-control-allow-origin": "*" };
const RETRY = { "retry-after": "1" };
const NONE = {};
const BUSY = `{"code":-1003,"msg":"Too many requests."}`;
const LATE = `{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}`;

export class RestForwarder {
  readonly #post: (message: EdgeToMain) => void;
  readonly #clock: Clock;
  readonly #limits: EdgeLimits;
  readonly #counters: Pick<Counters, "limited">;
  /** Asked of main. The oldest first, and so the one whose time ends first. */
  readonly #waiting = new Map<number, Waiting>();
  /** To be asked with the next message, by path and query. */
  #batch = new Map<string, Waiting>();
  #inFlight = 0;
  #postedMs = Number.NEGATIVE_INFINITY;
  #posting: Timer | null = null;
  /** One for all: of whoever was the oldest when it was set. */
  #expiring: Timer | null = null;
  #next = 0;

  constructor(
    post: (message: EdgeToMain) => void,
    clock: Clock,
    limits: EdgeLimits,
    counters: Pick<Counters, "limited">,
  ) {
    this.#post = post;
    this.#clock = clock;
    this.#limits = limits;
    this.#counters = counters;
  }

  /** `query` without the question mark. */
  forward(path: string, query: string): Response | Promise<Response> {
    if (this.#inFlight >= this.#limits.restInFlightMax) {
      this.#counters.limited("restInFlightMax");
      return json(429, BUSY, RETRY);
    }
    this.#inFlight++;
    return new Promise((settle) => this.#ask(path, query, settle));
  }

  answered(answers: readonly RestAnswer[]): void {
    for (const { request, status, body } of answers) this.#settle(request, status, body);
  }

  #ask(path: string, query: string, settle: Settle): void {
    const text = `${path}?${query}`;
    const same = this.#batch.get(text);
    if (same !== undefined) {
      same.settles.push(settle);
      return;
    }
    const nowMs = this.#clock.monotonicMs();
    const { restMsMax, restBatchMs } = this.#limits;
    this.#batch.set(text, { request: ++this.#next, path, query, settles: [settle], endMs: nowMs + restMsMax });
    if (this.#posting !== null) return;
    // Alone it goes at once; what comes right behind a message waits a little for more.
    const waitMs = this.#postedMs + restBatchMs - nowMs;
    if (waitMs <= 0) this.#postBatch();
    else this.#posting = this.#clock.after(waitMs, () => this.#postBatch());
  }

  #postBatch(): void {
    this.#posting = null;
    this.#postedMs = this.#clock.monotonicMs();
    const batch = this.#batch;
    this.#batch = new Map();
    for (const waiting of batch.values()) this.#waiting.set(waiting.request, waiting);
    this.#post({
      is: "rest",
      requests: [...batch.values()].map(({ request, path, query }) => ({ request, path, query })),
    });
    this.#expiring ??= this.#clock.after(this.#limits.restMsMax, () => this.#expire());
  }

  #settle(request: number, status: number, body: string): void {
    const waiting = this.#waiting.get(request);
    if (waiting === undefined) return;
    this.#waiting.delete(request);
    this.#inFlight -= waiting.settles.length;
    for (const settle of waiting.settles) settle(json(status, body, status === 429 ? RETRY : NONE));
  }

  /** Answers those whose time is over, and looks again when the next one's is. */
  #expire(): void {
    const now = this.#clock.monotonicMs();
    this.#expiring = null;
    for (const [request, { endMs }] of this.#waiting) {
      if (endMs > now) {
        this.#expiring = this.#clock.after(endMs - now, () => this.#expire());
        return;
      }
      this.#counters.limited("restMsMax");
      this.#settle(request, 503, LATE);
    }
  }
}

export const json = (status: number, body: string, headers: Readonly<Record<string, string>> = NONE): Response =>
  new Response(body, { status, headers: headers === NONE ? HEADERS : { ...HEADERS, ...headers } });

/** An answer in one clear sentence. */
export const sentence = (
  status: number,
  error: string,
  more: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): Response => json(status, JSON.stringify({ error, ...more }), headers);
