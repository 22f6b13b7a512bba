/**
 * Where no owner answers: what is missing of a chain may be in the stream.
 *
 * Beside the path: request -> owners -> HEALING -> stream. Invariants: an epoch that no owner names any more is over, and is
 * not continued from the stream; what is missing came after this node had entered the topic.
 * At the limit: it is looked for among the newest messages first, then back to BACK_MS_MAX; what was lost before is left
 * to the owner.
 */
import { type Clock, wallMs } from "../../lib/clock.ts";
import type { NatsLink } from "../../lib/nats.ts";
import type { StateReply, StateRequest } from "../bus.ts";
import type { Presence } from "./presence.ts";
import { replay } from "./replay.ts";
import type { Topics } from "./topics.ts";
import type { Wire } from "./wire.ts";

export interface HealingOptions {
  readonly clock: Clock;
  readonly link: () => NatsLink;
  readonly stream: string;
  readonly wire: Wire;
  readonly topics: Pick<Topics, "of">;
  readonly topicOf: ((channel: string, user: string) => string) | undefined;
  readonly presence: Pick<Presence, "isCurrent">;
  readonly failed: (error: unknown) => void;
  /** Default: `replay`. */
  readonly read?: typeof replay;
}

/** Reading begins so long before the last message that came; and if that is not enough, at most so long ago. */
const BACK_MS = 2000;
const BACK_MS_MAX = 60_000;

export class Healing {
  readonly #options: HealingOptions;
  /** When a persistent topic was entered, and when a message of it came last (or it was entered): wall clock in ms. */
  readonly #topics = new Map<string, { readonly enteredAt: number; heardAt: number }>();

  constructor(options: HealingOptions) {
    this.#options = options;
  }

  /** Somebody wants the topic; others may do so already. */
  entered(topic: string): void {
    const now = wallMs(this.#options.clock);
    if (this.#topics.has(topic) || this.#options.topics.of(topic).way !== "jetstream") return;
    this.#topics.set(topic, { enteredAt: now, heardAt: now });
  }

  heard(topic: string): void {
    const times = this.#topics.get(topic);
    if (times !== undefined) times.heardAt = wallMs(this.#options.clock);
  }

  /** Nobody wants it any more. */
  left(topic: string): void {
    this.#topics.delete(topic);
  }

  /** What the stream has behind `since`; null if that does not continue the chain. Never rejects. */
  async ask(request: StateRequest): Promise<StateReply | null> {
    const { topicOf, topics, presence, link, clock, stream, wire, failed, read = replay } = this.#options;
    const topic = topicOf?.(request.channel, request.user);
    const { connection } = link();
    if (topic === undefined || request.since === null || connection === null) return null;
    const { subject, way } = topics.of(topic);
    if (way !== "jetstream" || !presence.isCurrent(request.since.epoch)) return null;
    const { enteredAt, heardAt } = this.#topics.get(topic) ?? { enteredAt: 0, heardAt: 0 };
    const oldest = Math.max(wallMs(clock) - BACK_MS_MAX, enteredAt);
    const newest = Math.max(oldest, heardAt);
    const question = { connection, stream, subject, wire, request };
    try {
      const reply = await read({ ...question, fromMs: newest - BACK_MS });
      // While an owner is away others go on: what came last may be newer than what is missing.
      return reply !== null || newest === oldest ? reply : await read({ ...question, fromMs: oldest - BACK_MS });
    } catch (error) {
      failed(error);
      return null;
    }
  }
}
