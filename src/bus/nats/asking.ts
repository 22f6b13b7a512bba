/**
 * Requests to owners on other nodes, and the answers given to theirs.
 *
 * Beside the path: a request is first put to the owners of this node; then every node that serves shards is asked and
 * answers with what it has or with "not mine". The first real answer wins, if no newer owner of the shard is known.
 * What a replaced owner says, or null, is only said when everybody who is known to serve has said "not mine", and not within `joinMs` after a connection
 * was made, when not everybody is known.
 * At the limit: a request without an answer is rejected with BUS_NO_ANSWER after its time; late answers are counted.
 */
import type { Clock, Timer } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Head, StateReply, StateRequest } from "../bus.ts";
import type { MemoryHub } from "../memory.ts";
import type { NatsBusCounters } from "./counters.ts";
import type { Presence } from "./presence.ts";
import type { AnswerFrame, AskFrame } from "./wire.ts";

export interface AskingOptions {
  readonly clock: Clock;
  readonly node: string;
  /** The owners of this node. */
  readonly hub: Pick<MemoryHub, "answer" | "headNow" | "serving">;
  readonly presence: Pick<Presence, "serving" | "believes" | "answered">;
  readonly counters: NatsBusCounters;
  readonly timeoutMs: number;
  readonly joinMs: number;
  /** False if there is no connection. */
  readonly ask: (frame: AskFrame) => boolean;
  /** To the node that asked. */
  readonly answer: (node: string, frame: AnswerFrame) => void;
}

interface Waiting {
  readonly id: number;
  readonly what: { readonly request: StateRequest } | { readonly headOf: string };
  /** What the owners here said last: `answer`'s null is `nothing`. */
  here: "nothing" | "silent";
  /** Nodes that said "not mine", or spoke for an owner that was replaced. */
  readonly notTheirs: Set<string>;
  /** What a replaced owner answered: better than nothing, the asker judges its token. */
  old: StateReply | null;
  readonly resolve: (answer: StateReply | Head | null) => void;
  readonly reject: (error: GatewayError) => void;
  readonly timer: Timer;
}

export class Asking {
  readonly #options: AskingOptions;
  readonly #waiting = new Map<number, Waiting>();
  #ids = 0;
  /** Monotonic ms from which on all that serve are known; null without a connection. */
  #joinedAt: number | null = null;
  #joining: Timer | null = null;

  constructor(options: AskingOptions) {
    this.#options = options;
  }

  get open(): number {
    return this.#waiting.size;
  }

  request(request: StateRequest): Promise<StateReply | null> {
    return this.#ask({ request }, request.channel, this.#options.timeoutMs) as Promise<StateReply | null>;
  }

  headOf(shard: string, timeoutMs: number): Promise<Head> {
    return this.#ask({ headOf: shard }, `shard ${shard}`, timeoutMs) as Promise<Head>;
  }

  /** There is a connection: what is open is asked again. */
  up(): void {
    const { clock, joinMs } = this.#options;
    this.#joinedAt = clock.monotonicMs() + joinMs;
    this.#joining?.cancel();
    this.#joining = clock.after(joinMs, () => this.judge());
    this.again();
  }

  down(): void {
    this.#joinedAt = null;
    this.#joining?.cancel();
    for (const waiting of this.#waiting.values()) waiting.notTheirs.clear();
  }

  /** Somebody new serves, here or elsewhere: all that is open is asked again. */
  again(): void {
    for (const waiting of [...this.#waiting.values()]) this.#put(waiting);
  }

  /** Somebody answered, or serves no longer: what nobody knows is known now. */
  judge(): void {
    for (const waiting of [...this.#waiting.values()]) this.#judge(waiting);
  }

  close(): void {
    this.#joining?.cancel();
    const closed = new GatewayError("BUS_CLOSED", "the bus of this node is closed");
    for (const waiting of [...this.#waiting.values()]) this.#end(waiting, () => waiting.reject(closed));
  }

  /** Another node asks. */
  asked(frame: AskFrame): void {
    const { hub, node, counters } = this.#options;
    if (!hub.serving) return;
    const { id } = frame;
    const answer = (what: AnswerFrame): void => {
      counters.answersOut++;
      this.#options.answer(frame.node, what);
    };
    if ("headOf" in frame) {
      const head = hub.headNow(frame.headOf);
      // Only the owner has anything to say.
      if (head !== null && this.#options.presence.believes(head)) answer({ node, id, head });
      return;
    }
    const reply = hub.answer(frame.request);
    // An owner that failed says nothing: the asker asks again.
    if (reply !== undefined) answer({ node, id, reply });
  }

  /** Another node answers. */
  answered(frame: AnswerFrame): void {
    const { presence, counters } = this.#options;
    presence.answered(frame.node);
    const answer = "head" in frame ? frame.head : frame.reply;
    const waiting = this.#waiting.get(frame.id);
    if (waiting === undefined) {
      if (answer !== null) counters.lateAnswers++;
      return;
    }
    if (answer !== null && presence.believes(answer)) {
      this.#end(waiting, () => waiting.resolve(answer));
      return;
    }
    if (answer !== null) counters.oldAnswers++;
    if (answer !== null && "reply" in frame) waiting.old = frame.reply;
    waiting.notTheirs.add(frame.node);
    this.#judge(waiting);
  }

  #ask(what: Waiting["what"], subject: string, timeoutMs: number): Promise<StateReply | Head | null> {
    return new Promise((resolve, reject) => {
      const id = ++this.#ids;
      const timer = this.#options.clock.after(timeoutMs, () => {
        const error = new GatewayError("BUS_NO_ANSWER", `no owner answered for ${subject} within ${timeoutMs} ms`);
        this.#end(waiting, () => reject(error));
      });
      const waiting: Waiting = { id, what, here: "silent", notTheirs: new Set(), old: null, resolve, reject, timer };
      this.#waiting.set(id, waiting);
      queueMicrotask(() => this.#put(waiting));
    });
  }

  /** Puts it to the owners here, then to all others. */
  #put(waiting: Waiting): void {
    const { hub, presence, node, counters } = this.#options;
    if (!this.#waiting.has(waiting.id)) return;
    const { what, id } = waiting;
    const own = "request" in what ? hub.answer(what.request) : hub.headNow(what.headOf);
    if (own !== undefined && own !== null && presence.believes(own)) {
      this.#end(waiting, () => waiting.resolve(own));
      return;
    }
    waiting.here = own === undefined ? "silent" : "nothing";
    if (own !== undefined && own !== null && "after" in own) waiting.old = own;
    if (this.#options.ask({ node, id, ...what })) counters.asksOut++;
    this.#judge(waiting);
  }

  #judge(waiting: Waiting): void {
    const { hub, presence, clock } = this.#options;
    if ("headOf" in waiting.what || this.#joinedAt === null || clock.monotonicMs() < this.#joinedAt) return;
    if (presence.serving.size === 0 && !hub.serving) return;
    if (hub.serving && waiting.here !== "nothing") return;
    for (const other of presence.serving.keys()) if (!waiting.notTheirs.has(other)) return;
    this.#end(waiting, () => waiting.resolve(waiting.old));
  }

  #end(waiting: Waiting, how: () => void): void {
    if (!this.#waiting.delete(waiting.id)) return;
    waiting.timer.cancel();
    how();
  }
}
