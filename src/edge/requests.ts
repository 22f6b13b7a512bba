/**
 * What this worker has asked of main and not been answered yet.
 *
 * On the path: session -> REQUESTS -> postMessage -> engine -> ring (DIRECT) -> the answer, by its number.
 * Invariants: a number is asked once, so a late or repeated answer finds nothing; every topic named here counts it as a
 * use, so that it cannot be left meanwhile. At the limit: after `askAgainMs` a request is made again with a new number.
 */
import type { Position } from "../channel/types.ts";
import type { EdgeToMain } from "../ring/messages.ts";
import type { ReturnRequest } from "./delivery/left-out.ts";
import type { Repair } from "./delivery/repair.ts";
import type { Topic } from "./hub.ts";
import type { Pending } from "./session/joins.ts";
import type { Move } from "./session/moves.ts";

/** For all that have the same position of the topic, or none: whoever waits when the answer is read. */
export interface JoinRequest {
  readonly is: "join";
  readonly topic: Topic;
  readonly since: Position | null;
  waiting: Pending[];
  /** Main has been asked. */
  asked: boolean;
}

export type Request =
  | JoinRequest
  | { readonly is: "resync"; readonly topic: Topic; readonly only: Pending }
  | { readonly is: "move"; readonly move: Move }
  | ReturnRequest
  | { readonly is: "lapped"; readonly repair: Repair };

interface Asked {
  readonly request: Request;
  readonly atMs: number;
}

export class Requests {
  readonly #post: (message: EdgeToMain) => void;
  readonly #nowMs: () => number;
  readonly #askAgainMs: number;
  /** In the order they were asked. */
  readonly #asked = new Map<number, Asked>();
  #next: number;

  /** `generation`: how many workers had this place before, so that answers to them are not taken for ours. */
  constructor(post: (message: EdgeToMain) => void, nowMs: () => number, askAgainMs: number, generation: number) {
    this.#post = post;
    this.#nowMs = nowMs;
    this.#askAgainMs = askAgainMs;
    this.#next = ((generation & 0xff) << 24) >>> 0;
  }

  ask(request: Request): void {
    const number = this.#enter(request);
    this.#post(messageOf(request, number));
  }

  peek(number: number): Request | undefined {
    return this.#asked.get(number)?.request;
  }

  /** The request is answered. */
  done(number: number): void {
    this.#asked.delete(number);
  }

  /** Nobody needs these answers any more. */
  forget(which: (request: Request) => boolean): void {
    for (const [number, { request }] of this.#asked) if (which(request)) this.#asked.delete(number);
  }

  /** Asks again what `which` chooses, or what has waited too long. */
  askAgain(which?: (request: Request) => boolean): void {
    const now = this.#nowMs();
    const again: [number: number, request: Request][] = [];
    for (const [number, { request, atMs }] of this.#asked) {
      if (which === undefined && now - atMs < this.#askAgainMs) break;
      const chosen = which === undefined ? now - atMs >= this.#patienceMs(request) : which(request);
      if (!chosen) continue;
      this.#asked.delete(number);
      again.push([number, request]);
    }
    for (const [instead, request] of again) this.#post(messageOf(request, this.#enter(request), instead));
  }

  #enter(request: Request): number {
    this.#next = (this.#next + 1) >>> 0;
    this.#asked.set(this.#next, { request, atMs: this.#nowMs() });
    return this.#next;
  }

  /** A repair is many answers: to ask again throws away those that are under way. */
  #patienceMs(request: Request): number {
    return request.is === "lapped" ? 5 * this.#askAgainMs : this.#askAgainMs;
  }
}

/** `instead`: its former number, if it was asked before. */
function messageOf(request: Request, number: number, instead?: number): EdgeToMain {
  const again = instead === undefined ? undefined : { instead };
  switch (request.is) {
    case "join":
      return { is: "join", request: number, ...again, key: request.topic.key, since: request.since };
    case "resync":
      return { is: "resync", request: number, ...again, topic: request.topic.number };
    case "move":
      return { is: "move", request: number, from: request.move.from.number, key: request.move.to.key };
    case "return": {
      const { stream, leftOut } = request;
      return {
        is: "join",
        request: number,
        ...again,
        key: stream.topic.key,
        since: { epoch: leftOut.epoch, seq: leftOut.seq },
      };
    }
    case "lapped":
      return { is: "lapped", request: number, topics: request.repair.positions() };
  }
}
