/**
 * The main thread's side of REST: takes the workers' requests and hands the answers back, many a message.
 *
 * On the path: worker -> postMessage -> REST DESK -> protocol/binance/rest -> postMessage -> worker. A message between
 * threads costs more than most answers do. Invariants: every request gets one answer; none waits for another that takes
 * longer than a turn.
 */
import type { RestAnswer, RestRequest } from "./ring/messages.ts";

interface Rest {
  handle(path: string, query: string): Promise<{ readonly status: number; readonly body: string }>;
}

export class RestDesk {
  readonly #rest: Rest;
  readonly #post: (worker: number, answers: readonly RestAnswer[]) => void;
  /** Answers of this turn, by worker. */
  #ready = new Map<number, RestAnswer[]>();

  constructor(rest: Rest, post: (worker: number, answers: readonly RestAnswer[]) => void) {
    this.#rest = rest;
    this.#post = post;
  }

  handle(worker: number, requests: readonly RestRequest[]): void {
    for (const { request, path, query } of requests) {
      this.#rest.handle(path, query).then(({ status, body }) => this.#answered(worker, { request, status, body }));
    }
  }

  #answered(worker: number, answer: RestAnswer): void {
    if (this.#ready.size === 0) setImmediate(() => this.#flush());
    const answers = this.#ready.get(worker);
    if (answers === undefined) this.#ready.set(worker, [answer]);
    else answers.push(answer);
  }

  #flush(): void {
    const ready = this.#ready;
    this.#ready = new Map();
    for (const [worker, answers] of ready) this.#post(worker, answers);
  }
}
