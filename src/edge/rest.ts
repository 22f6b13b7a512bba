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
  /** The oldest first, and so the one whose time ends first. */
  readonly #waiting = new Map<number, Waiting>();
  /** One for all: of whoever was the oldest when it was set. */
  #timer: Timer | null = null;
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
      const { restMsMax } = this.#limits;
      this.#waiting.set(request, { settle, endMs: this.#clock.monotonicMs() + restMsMax });
      this.#timer ??= this.#clock.after(restMsMax, () => this.#expire());
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
    waiting.settle(json(status, body, status === 429 ? RETRY : NONE));
  }

  /** Answers those whose time is over, and looks again when the next one's is. */
  #expire(): void {
    const now = this.#clock.monotonicMs();
    this.#timer = null;
    for (const [request, { endMs }] of this.#waiting) {
      if (endMs > now) {
        this.#timer = this.#clock.after(endMs - now, () => this.#expire());
        return;
      }
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
