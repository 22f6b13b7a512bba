/**
 * Commands of one connection: their ids, their replies, and how many may go just now.
 *
 * On the path: client -> COMMANDS -> connection; replies come back here.
 * Invariants: a reply reaches whoever asked, once. At the limit: over `burst` commands at once and `perSecond` after it
 * the caller waits (half of what a node takes by default), and when the node still refuses, for a second.
 */
import type { Clock } from "./clock.ts";
import type { Reply } from "./frames.ts";

const burst = 50;
const perSecond = 25;
const refusedMs = 1000;

interface Pending {
  readonly sentMs: number;
  readonly replied: (reply: Reply) => void;
}

export class Commands {
  readonly #send: (text: string) => void;
  readonly #clock: Clock;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #tokens = burst;
  #filledMs: number;
  #progressMs = Number.NEGATIVE_INFINITY;

  constructor(send: (text: string) => void, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
    this.#filledMs = clock.nowMs();
  }

  /** How long until a command may go; 0: now. */
  get roomInMs(): number {
    const now = this.#clock.nowMs();
    if (now > this.#filledMs) {
      this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledMs) * perSecond) / 1000);
      this.#filledMs = now;
    }
    if (this.#filledMs > now) return this.#filledMs - now;
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) * 1000) / perSecond);
  }

  /** Sends it under a new id; `roomInMs` is the caller's to look at. */
  ask(fields: Readonly<Record<string, unknown>>, replied: (reply: Reply, id: number) => void): number {
    const id = ++this.#lastId;
    this.#tokens -= 1;
    this.#pending.set(id, { sentMs: this.#clock.nowMs(), replied: (reply) => replied(reply, id) });
    this.#send(JSON.stringify({ id, ...fields }));
    return id;
  }

  /** False if nobody waits for it. */
  answer(reply: Reply): boolean {
    const pending = reply.id === undefined ? undefined : this.#pending.get(reply.id);
    if (pending === undefined || reply.id === undefined) return false;
    this.#pending.delete(reply.id);
    pending.replied(reply);
    return true;
  }

  /** The node takes no more for now. */
  refused(): void {
    this.#tokens = 1;
    this.#filledMs = this.#clock.nowMs() + refusedMs;
  }

  /** The node is at work on one of them: the time for a reply begins anew. */
  progress(): void {
    this.#progressMs = this.#clock.nowMs();
  }

  /** Whether one has waited for its reply for so long, and nothing was done for any. */
  isOverdue(ms: number): boolean {
    const [oldest] = this.#pending.values();
    return oldest !== undefined && this.#clock.nowMs() - Math.max(oldest.sentMs, this.#progressMs) >= ms;
  }
}
