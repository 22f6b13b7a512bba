/**
 * REST requests that need market state: handed to main, answered when it answers.
 *
 * On the path: listener -> REST -> postMessage -> main -> postMessage -> response.
 * At the limit: more than `restInFlightMax` waiting is 429; no answer within `restMsMax` is 503.
 */
import type { Clock, Timer } from "../lib/clock.ts";
import type { EdgeToMain, MainToEdge } from "../ring/messages.ts";
import type { EdgeLimits } from "./config.ts";

interface Waiting {
  readonly settle: (response: Response) => void;
  readonly timer: Timer;
}

const HEADERS = { "content-type": "application/json", "access-control-allow-origin": "*" };
const RETRY = { "retry-after": "1" };
const BUSY = `{"code":-1003,"msg":"Too many requests."}`;
const LATE = `{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}`;

export class RestForwarder {
  readonly #post: (message: EdgeToMain) => void;
  readonly #clock: Clock;
  readonly #limits: EdgeLimits;
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;

  constructor(post: (message: EdgeToMain) => void, clock: Clock, limits: EdgeLimits) {
    this.#post = post;
    this.#clock = clock;
    this.#limits = limits;
  }

  /** `query` without the question mark. */
  forward(path: string, query: string): Response | Promise<Response> {
    if (this.#waiting.size >= this.#limits.restInFlightMax) return json(429, BUSY, RETRY);
    const request = ++this.#next;
    return new Promise((settle) => {
      const timer = this.#clock.after(this.#limits.restMsMax, () => this.#settle(request, 503, LATE));
      this.#waiting.set(request, { settle, timer });
      this.#post({ is: "rest", request, path, query });
    });
  }

  answered({ request, status, body }: MainToEdge & { is: "rest" }): void {
    this.#settle(request, status, body);
  }

  #settle(request: number, status: number, body: string): void {
    const waiting = this.#waiting.get(request);
    if (waiting === undefined) return;
    this.#waiting.delete(request);
    waiting.timer.cancel();
    waiting.settle(json(status, body, status === 429 ? RETRY : {}));
  }
}

export const json = (status: number, body: string, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(body, { status, headers: { ...HEADERS, ...headers } });

/** An answer in one clear sentence. */
export const sentence = (
  status: number,
  error: string,
  more: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): Response => json(status, JSON.stringify({ error, ...more }), headers);
